import { describe, expect, it } from "vitest";
import { runsOf } from "./init";

describe("runsOf", () => {
  it("takes runs[] where there is one", () =>
    expect(runsOf({ run_id: "a", runs: ["b", "c", "b"] })).toEqual(["b", "c"]));
  it("falls back to run_id", () => {
    expect(runsOf({ run_id: "a" })).toEqual(["a"]);
    expect(runsOf({ run_id: "a", runs: [] })).toEqual(["a"]);
  });
  it("refuses an init without a run", () => expect(() => runsOf({})).toThrow(/run_id/));
});
