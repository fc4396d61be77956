import { describe, expect, it } from "vitest";
import { addPoint, compareSeries, describeLabels, newSeries, seriesKey } from "./series";

const id = { run: "u", block: "preview", metric: "denoise/snr", labels: { sample_index: 0 } };
const first = { attempt: 1, retry: 0 };
const second = { attempt: 1, retry: 1 };

const filled = (steps: number[]) => {
  const series = newSeries(id);
  for (const step of steps) addPoint(series, step, step * 10, step * 1000, first);
  return series;
};

describe("a series' key", () => {
  it("leaves the step out and does not care for the labels' order", () => {
    const a = seriesKey({ ...id, labels: { step: 4, sample_index: 1, shard: "a" } });
    const b = seriesKey({ ...id, labels: { shard: "a", sample_index: 1, step: 9 } });
    expect(a).toBe(b);
  });
  it("tells runs, blocks and labels apart", () => {
    const keys = [id, { ...id, run: "v" }, { ...id, block: "full" }, { ...id, labels: { sample_index: 1 } }].map(
      seriesKey,
    );
    expect(new Set(keys).size).toBe(4);
  });
});

describe("addPoint", () => {
  it("keeps the steps ascending when points come late", () => expect(filled([0, 2, 1]).steps).toEqual([0, 1, 2]));
  it("replaces the point of the same step", () => {
    const series = filled([0, 1]);
    addPoint(series, 1, 99, 0, first);
    expect(series.values).toEqual([0, 99]);
  });
  it("drops what a replaced pod had measured from where its successor begins", () => {
    const series = filled([0, 1, 2, 3]);
    addPoint(series, 2, 7, 0, second);
    expect(series.steps).toEqual([0, 1, 2]);
    expect(series.values[2]).toBe(7);
  });
  it("does not cut a snapshot whose generation it does not know", () => {
    const series = newSeries(id);
    for (const step of [0, 1, 5]) addPoint(series, step, step, 0, first);
    series.generation = null;
    addPoint(series, 3, 3, 0, second);
    expect(series.steps).toEqual([0, 1, 3, 5]);
  });
  it("ignores the last words of a superseded pod", () => {
    const series = filled([0]);
    addPoint(series, 1, 1, 0, second);
    expect(addPoint(series, 2, 2, 0, first)).toBe(false);
    expect(series.steps).toEqual([0, 1]);
  });
});

describe("naming series", () => {
  it("reads like words", () => expect(describeLabels({ sample_index: 3 })).toBe("sample index 3"));
  it("sorts sample 2 before sample 10", () => {
    const ids = [10, 2].map((n) => ({ ...id, labels: { sample_index: n } }));
    expect(ids.sort(compareSeries).map((x) => x.labels.sample_index)).toEqual([2, 10]);
  });
});
