import { describe, expect, it } from "vitest";
import { slope, trend } from "./trend";

describe("trend", () => {
  it.each([
    [[1, 2, 3, 4, 5], "up"],
    [[5, 4, 3, 2, 1], "down"],
    [[1, 1.001, 0.999, 1, 1.0005], "flat"],
    [[0, 0, 0, 0, 0], "flat"],
    [[7], "unknown"],
    [[], "unknown"],
    [[-5, -4, -3, -2, -1], "up"],
  ] as const)("of %s is %s", (values, expected) => expect(trend(values)).toBe(expected));
  it("looks at the last five alone", () => expect(trend([100, 50, 1, 2, 3, 4, 5])).toBe("up"));
  it("passes over NaN", () => expect(trend([1, 2, Number.NaN, 3, 4, 5])).toBe("up"));
  it("has the slope of a line exactly", () => expect(slope([3, 5, 7, 9])).toBeCloseTo(2, 12));
});
