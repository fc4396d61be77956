import { describe, expect, it } from "vitest";
import { align, draw, groupingOf, type Line, spreadTimes, xOf } from "./chart";

const line = (values: number[], over: Partial<Line> = {}): Line => ({
  id: { run: "u", block: "preview", metric: "m", labels: {} },
  key: "k",
  generation: { attempt: 1, retry: 0 },
  steps: values.map((_, i) => i),
  times: values.map((_, i) => 1000 + i * 500),
  values,
  total: values.length,
  thinned: false,
  cut: false,
  smoothed: null,
  nonFinite: 0,
  hiddenOnLog: 0,
  added: 0,
  start: 1000,
  ...over,
});

describe("spreadTimes", () => {
  it("spreads a batch over the interval before it", () =>
    expect(spreadTimes([1000, 2000, 2000, 2000, 2000])).toEqual([1000, 1250, 1500, 1750, 2000]));
  it("ascends strictly, even in the first batch and when a clock goes back", () => {
    const out = spreadTimes([500, 500, 500, 400, 600]);
    expect(out.every((t, i) => i === 0 || t > (out[i - 1] as number))).toBe(true);
  });
  it("leaves distinct times alone", () => expect(spreadTimes([1, 5, 9])).toEqual([1, 5, 9]));
});

describe("the x axis", () => {
  it("counts relative time in seconds since the series began", () =>
    expect(xOf(line([1, 2, 3]), "relative")).toEqual([0, 0.5, 1]));
  it("may be the step or the hour", () => {
    expect(xOf(line([1, 2]), "step")).toEqual([0, 1]);
    expect(xOf(line([1, 2]), "wall")).toEqual([1000, 1500]);
  });
});

describe("draw", () => {
  it("smooths all points that are here by itself", () =>
    expect(draw(line([2, 2, 2]), "step", "ema", 0.9).smoothed?.[2]).toBeCloseTo(2));
  it("goes on from the gateway's average where the line was thinned", () => {
    const thinned = line([1, 9, 5], { thinned: true, smoothed: [1, 4], added: 1, total: 1000 });
    expect(draw(thinned, "step", "ema", 0.5).smoothed).toEqual([1, 4, 4.5]);
  });
  it("keeps the gateway's average in a range: it has what came before", () =>
    expect(draw(line([9, 9], { cut: true, smoothed: [5, 7] }), "step", "ema", 0.5).smoothed).toEqual([5, 7]));
  it("has no second line without smoothing", () => expect(draw(line([1]), "step", "off", 0.9).smoothed).toBeNull());
});

describe("align", () => {
  it("puts lines of different steps into one table", () => {
    const table = align(
      [
        { xs: [0, 2], ys: [1, 3] },
        { xs: [1, 2], ys: [5, 6] },
      ],
      { x: false, y: false },
    );
    expect(table).toEqual([
      [0, 1, 2],
      [1, undefined, 3],
      [undefined, 5, 6],
    ]);
  });
  it("makes gaps of what has no place on the axis", () => {
    const table = align([{ xs: [0, 1, 2, 3], ys: [1, Number.NaN, 0, 4] }], { x: false, y: true });
    expect(table[1]).toEqual([1, null, null, 4]);
  });
  it("leaves step 0 out of a logarithmic x axis", () =>
    expect(align([{ xs: [0, 1], ys: [7, 8] }], { x: true, y: false })).toEqual([[1], [8]]));
});

describe("groupingOf", () => {
  const lines = (n: number, blocks = 1) =>
    Array.from({ length: n }, (_, i) =>
      line([1], { id: { run: "u", block: `b${i % blocks}`, metric: "m", labels: { i } } }),
    );
  it("colours by run where there are several", () => expect(groupingOf(lines(2), 2, 6)).toBe("run"));
  it("colours by block in one run", () => expect(groupingOf(lines(4, 2), 1, 6)).toBe("block"));
  it("colours by series while the hues last", () => {
    expect(groupingOf(lines(6), 1, 6)).toBe("series");
    expect(groupingOf(lines(7), 1, 6)).toBe("block");
  });
});
