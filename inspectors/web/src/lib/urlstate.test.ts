import { describe, expect, it } from "vitest";
import { type Field, flag, interval, list, number, oneOf, read, text, toSearch, write } from "./urlstate";

const scale = oneOf("y", ["lin", "log"], "lin");
const weight = number("s", 0, 0, 0.999);
const metrics = list("m");
const zoom = interval("x");

function roundTrip<T>(field: Field<T>, value: T): T {
  return read(new URLSearchParams(toSearch(write(new URLSearchParams(), field, value))), field);
}

describe("the URL's state", () => {
  it("survives a round trip", () => {
    expect(roundTrip(scale, "log")).toBe("log");
    expect(roundTrip(weight, 0.6)).toBe(0.6);
    expect(roundTrip(metrics, ["denoise/snr", "odd,name", "50%"])).toEqual(["denoise/snr", "odd,name", "50%"]);
    expect(roundTrip(zoom, [1.5, 20])).toEqual([1.5, 20]);
    expect(roundTrip(flag("f"), true)).toBe(true);
    expect(roundTrip(text("q"), "a&b=c d")).toBe("a&b=c d");
  });
  it("leaves defaults out", () => {
    const query = write(new URLSearchParams("y=log&z=1"), scale, "lin");
    expect(toSearch(query)).toBe("?z=1");
    expect(toSearch(write(new URLSearchParams(), metrics, []))).toBe("");
  });
  it.each([
    ["y=cubic", scale, "lin"],
    ["s=2", weight, 0],
    ["s=", weight, 0],
    ["x=5~1", zoom, null],
    ["x=hello", zoom, null],
    ["m=%25zz", metrics, []],
  ] as [string, Field<unknown>, unknown][])("falls back on nonsense: %s", (search, field, expected) => {
    expect(read(new URLSearchParams(search), field)).toEqual(expected);
  });
  it("keeps two inspectors apart by their prefix", () => {
    const query = write(new URLSearchParams(), scale, "log", "b.");
    expect(read(query, scale, "a.")).toBe("lin");
    expect(read(query, scale, "b.")).toBe("log");
  });
  it("stays readable", () => {
    expect(toSearch(write(new URLSearchParams(), metrics, ["denoise/snr", "loss"]))).toBe("?m=denoise/snr,loss");
  });
});
