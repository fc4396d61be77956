import { describe, expect, it } from "vitest";
import { EMPTY, fold, merge, type Stats } from "./stats";

const of = (values: number[], from = 0): Stats =>
  values.reduce((stats, value, i) => fold(stats, from + i, value, 1000 + from + i), EMPTY as Stats);

describe("stats", () => {
  it("remembers the steps of its extremes", () => {
    expect(of([3, 9, 1, 4])).toMatchObject({
      count: 4,
      min: 1,
      minStep: 2,
      max: 9,
      maxStep: 1,
      mean: 4.25,
      last: 4,
      lastStep: 3,
    });
  });
  it("is the same however the history is split", () => {
    const values = [5, -2, 8, 0.5, 3];
    const whole = of(values);
    for (let cut = 0; cut <= values.length; cut += 1) {
      const merged = merge(of(values.slice(0, cut)), of(values.slice(cut), cut));
      expect({ ...merged, mean: undefined }).toEqual({ ...whole, mean: undefined });
      expect(merged.mean).toBeCloseTo(whole.mean as number, 12);
    }
  });
  it("counts NaN without letting it into any figure but the last", () => {
    expect(of([1, Number.NaN])).toMatchObject({ count: 2, nonFinite: 1, min: 1, max: 1, mean: 1, last: Number.NaN });
  });
  it("has no extremes where nothing is finite", () =>
    expect(of([Number.NaN])).toMatchObject({ min: null, max: null, mean: null }));
  it("does not let a late point pose as the newest", () => {
    expect(fold(fold(EMPTY, 3, 1, 6), 10, 2, 5)).toMatchObject({ last: 1, lastStep: 3, lastTime: 6, count: 2 });
  });
  it("takes the later of two points of one time", () => {
    expect(fold(fold(EMPTY, 0, 1, 5), 1, 2, 5)).toMatchObject({ last: 2, lastStep: 1 });
  });
});
