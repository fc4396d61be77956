import { describe, expect, it } from "vitest";
import { lowerBound, nearest } from "./bucket";

describe("searching an ascending axis", () => {
  it("finds the first that is not smaller", () =>
    expect([lowerBound([1, 3, 5], 3), lowerBound([1, 3, 5], 6)]).toEqual([1, 3]));
  it("finds the nearest, or nothing", () =>
    expect([nearest([0, 10], 4), nearest([0, 10], 6), nearest([], 1)]).toEqual([0, 1, -1]));
});
