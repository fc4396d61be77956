import { describe, expect, it } from "vitest";
import { meanGap, smooth } from "./smooth";

const near = (a: ArrayLike<number>, b: number[]) => {
  expect(a.length).toBe(b.length);
  b.forEach((value, i) => {
    expect(a[i]).toBeCloseTo(value, 12);
  });
};

describe("smooth", () => {
  it("leaves a constant series constant from its first point on (debiased)", () => {
    near(smooth([0, 1, 2, 3], [5, 5, 5, 5], "ema", 0.9), [5, 5, 5, 5]);
  });
  it("weighs with (1 − w)·w^k, normalised", () => {
    // y = [1, 0, 0]: weights of the first point are 1, w/(1+w), w²/(1+w+w²).
    const w = 0.5;
    near(smooth([0, 1, 2], [1, 0, 0], "ema", w), [1, w / (1 + w), w ** 2 / (1 + w + w ** 2)]);
  });
  it("is the same as EMA when weighted by time over even steps", () => {
    const ys = [1, 4, 2, 8, 5];
    near(smooth([0, 10, 20, 30, 40], ys, "time", 0.7), [...smooth([0, 1, 2, 3, 4], ys, "ema", 0.7)]);
  });
  it("lets points close together in time count for less", () => {
    const bunched = smooth([0, 99, 100], [0, 0, 1], "time", 0.5)[2] as number;
    const even = smooth([0, 50, 100], [0, 0, 1], "time", 0.5)[2] as number;
    expect(bunched).toBeLessThan(even);
  });
  it("skips what is not finite without losing the average", () => {
    const out = smooth([0, 1, 2], [2, Number.NaN, 2], "ema", 0.9);
    expect(out[1]).toBeNaN();
    expect(out[2]).toBeCloseTo(2, 12);
  });
  it("returns the series itself when off", () => near(smooth([0, 1], [3, 7], "off", 0.9), [3, 7]));
  it("refuses a weight of one, which would never move", () =>
    expect(() => smooth([0], [1], "ema", 1)).toThrow(/weight/));
  it("measures time in the mean gap", () => expect(meanGap([0, 1, 10], [1, 1, 1])).toBe(5));
});
