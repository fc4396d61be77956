import { describe, expect, it } from "vitest";
import { lowerBound, minMaxIndices, nearest } from "./bucket";

describe("minMaxIndices", () => {
  it("keeps a short series whole", () => expect(minMaxIndices([3, 1, 2], 10)).toEqual([0, 1, 2]));
  it("never loses a spike, however long the series", () => {
    const ys = new Float64Array(200_000);
    ys[123_456] = 1;
    ys[77_777] = -1;
    const kept = minMaxIndices(ys, 2000);
    expect(kept.length).toBeLessThanOrEqual(2000);
    expect(kept).toContain(123_456);
    expect(kept).toContain(77_777);
  });
  it("keeps both ends and ascends", () => {
    const kept = minMaxIndices(
      Array.from({ length: 999 }, (_, i) => Math.sin(i)),
      100,
    );
    expect(kept[0]).toBe(0);
    expect(kept.at(-1)).toBe(998);
    expect(kept).toEqual([...new Set(kept)].sort((a, b) => a - b));
  });
  it("passes over what is not finite", () => {
    const ys = Array.from({ length: 50 }, (_, i) => (i % 2 ? Number.NaN : i));
    expect(
      minMaxIndices(ys, 10)
        .slice(1, -1)
        .every((i) => Number.isFinite(ys[i])),
    ).toBe(true);
  });
  it("refuses a limit that cannot hold a bucket", () => expect(() => minMaxIndices([1], 2)).toThrow(/limit/));
});

describe("searching an ascending axis", () => {
  it("finds the first that is not smaller", () =>
    expect([lowerBound([1, 3, 5], 3), lowerBound([1, 3, 5], 6)]).toEqual([1, 3]));
  it("finds the nearest, or nothing", () =>
    expect([nearest([0, 10], 4), nearest([0, 10], 6), nearest([], 1)]).toEqual([0, 1, -1]));
});
