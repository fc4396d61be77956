import { describe, expect, it } from "vitest";
import { clippedRange, hiddenOnLog, logLabels, nonFinite, outside, quantile } from "./scale";

describe("a logarithmic axis", () => {
  it("hides zero and below, and says how many", () => expect(hiddenOnLog([0, -1, 1e-12, 3, Number.NaN])).toBe(2));
  it("labels powers of ten", () => {
    expect(logLabels([0.1, 0.2, 0.5, 1, 2, 5, 10])).toEqual([0.1, null, null, 1, null, null, 10]);
  });
  it("thins the labels of many decades", () => {
    const ticks = Array.from({ length: 15 }, (_, i) => 10 ** (i - 12));
    expect(logLabels(ticks).filter((t) => t !== null).length).toBeLessThanOrEqual(6);
  });
  it("still has labels inside of one decade", () =>
    expect(logLabels([2, 3, 4]).filter((t) => t !== null)).toEqual([2, 3, 4]));
  it("labels round figures only", () => expect(logLabels([0.767, 0.8, 0.9, 1])).toEqual([null, 0.8, 0.9, 1]));
});

describe("clipping outliers", () => {
  const ys = [...Array.from({ length: 199 }, (_, i) => i / 199), 1e6];
  it("leaves the spike outside and counts it", () => {
    const range = clippedRange([ys]) as [number, number];
    expect(range[1]).toBeLessThan(2);
    expect(outside(ys, range)).toBeGreaterThanOrEqual(1);
  });
  it("has no range without a finite value", () => expect(clippedRange([[Number.NaN]])).toBeNull());
  it("interpolates quantiles", () => expect(quantile([0, 10], 0.25)).toBe(2.5));
  it("counts what is not finite", () => expect(nonFinite([1, Number.NaN, Number.POSITIVE_INFINITY])).toBe(2));
});
