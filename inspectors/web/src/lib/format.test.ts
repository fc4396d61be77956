import { describe, expect, it } from "vitest";
import { age, bytes, clock, count, delta, duration, full, offset, percent, si, utc } from "./format";

describe("si", () => {
  it.each([
    [0, "0"],
    [0.99871, "0.999"],
    [12, "12"],
    [-0.25, "−0.25"],
    [999.6, "1k"],
    [1234, "1.23k"],
    [2_500_000, "2.5M"],
    [1e-7, "1e−7"],
    [1.234e-7, "1.23e−7"],
    [Number.NaN, "NaN"],
    [Number.POSITIVE_INFINITY, "∞"],
    [Number.NEGATIVE_INFINITY, "−∞"],
    [null, "–"],
  ])("writes %s as %s", (value, text) => expect(si(value)).toBe(text));

  it("keeps every digit in the full form", () => expect(full(-0.1234567890123)).toBe("−0.1234567890123"));
  it("always shows the sign of a difference", () => {
    expect(delta(0.5)).toBe("+0.5");
    expect(delta(-0.5)).toBe("−0.5");
    expect(delta(0)).toBe("0");
  });
});

describe("times and sizes", () => {
  it.each([
    [0.42, "0.4 s"],
    [42, "42 s"],
    [59.7, "1m 00s"],
    [185, "3m 05s"],
    [7800, "2h 10m"],
    [360_000, "4d 4h"],
  ])("writes %s seconds as %s", (s, text) => expect(duration(s)).toBe(text));
  it("says an age in one unit", () =>
    expect([age(8.9), age(200), age(7300), age(400_000)]).toEqual(["8 s", "3 min", "2 h", "4 d"]));
  it("never rounds progress up to a hundred", () =>
    expect([percent(0.999), percent(1), percent(1.2)]).toEqual(["99%", "100%", "100%"]));
  it("loses no percent to a fraction that no double holds", () =>
    expect([0.29, 0.57, 0.58].map(percent)).toEqual(["29%", "57%", "58%"]));
  it("tells before from after", () => expect([-42, 0, 42].map(offset)).toEqual(["−42 s", "0", "42 s"]));
  it("counts bytes in powers of 1024", () =>
    expect([bytes(512), bytes(1536), bytes(5 * 1024 ** 2)]).toEqual(["512 B", "1.5 KiB", "5 MiB"]));
  it("adds the date to a time that is not today's", () => {
    const noon = new Date(2026, 4, 5, 12, 30, 1).getTime();
    expect(clock(noon, noon)).toBe("12:30:01");
    const afterMidnight = new Date(2026, 4, 5, 0, 5, 3).getTime();
    expect(clock(afterMidnight, noon)).toBe("00:05:03");
    expect(clock(noon, noon + 86_400_000)).toContain("2026");
  });
  it("names UTC", () => expect(utc(0)).toBe("1970-01-01 00:00:00 UTC"));
  it("agrees in number", () => expect([count(1, "point"), count(1200, "point")]).toEqual(["1 point", "1,200 points"]));
});
