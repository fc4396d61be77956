// @vitest-environment happy-dom
import { describe, expect, it } from "vitest";
import { ChartSource, toLine } from "../inspectors/line-chart/source";
import { SummarySource } from "../inspectors/scalar-summary/source";
import { keyOf } from "../lib/summary";
import type { Event, Series, StreamEvent } from "../types/api";

// The same files that the Python models are checked with.
const files = import.meta.glob<Event>("../../../../contracts/golden/*.json", { eager: true, import: "default" });
const golden = (name: string): Event => {
  const found = Object.entries(files).find(([path]) => path.endsWith(`/${name}.json`));
  if (!found) throw new Error(`contracts/golden/${name}.json is missing`);
  return found[1];
};
const streamed = (event: Event): StreamEvent => ({ type: "event", run: event.run.uid, cursor: "1-0.a", event });

describe("golden events", () => {
  it.each(["block_started", "metric", "artifact_written", "progress", "paused", "resumed", "block_finished"])(
    "%s is what its name says",
    (name) => {
      const event = golden(name);
      expect(event.schemaVersion).toBe(1);
      expect(event.body.type).toBe(name);
      expect(Number.isNaN(Date.parse(event.time))).toBe(false);
    },
  );

  it("metric becomes points of a chart, the values that JSON has no number for included", () => {
    const event = golden("metric");
    const metrics = ["denoise/noise_level", "denoise/predicted_noise_mse", "denoise/snr", "loss"];
    const source = new ChartSource({
      runs: [event.run.uid],
      metrics,
      axis: "step",
      range: null,
      mode: "off",
      weight: 0,
      points: 0,
    });
    source.apply(streamed(event));
    const lines = [...source.lines.values()];
    expect(lines.map((line) => line.values[0])).toEqual([
      0.9998,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    ]);
    expect(lines.map((line) => line.id.labels)).toEqual([
      { sample_index: 0 },
      { sample_index: 0 },
      { sample_index: 0 },
      {},
    ]);
  });

  it("metric becomes figures", () => {
    const event = golden("metric");
    const source = new SummarySource([event.run.uid], []);
    source.apply(streamed(event));
    expect(source.summaries.get(keyOf(event.run.uid, "denoise/noise_level"))?.stats).toMatchObject({
      count: 1,
      min: 0.9998,
      last: 0.9998,
    });
    expect(source.summaries.get(keyOf(event.run.uid, "loss"))?.stats).toMatchObject({ nonFinite: 1, min: null });
  });
});

describe("a series from the gateway", () => {
  const series: Series = {
    run: "u",
    block: "train",
    name: "loss",
    labels: {},
    series: "s",
    total: 100,
    shown: 3,
    nonFinite: 2,
    hiddenOnLog: 1,
    steps: [0, 1, 2],
    times: [1000, 2000, 3000],
    values: [1, null, null],
    smoothed: [1, null, null],
    nonFinitePoints: [
      { index: 1, value: "NaN" },
      { index: 2, value: "-Infinity" },
    ],
  };
  it("gets back what JSON could not carry, and knows that it is thinned", () => {
    const line = toLine(series);
    expect(line.values).toEqual([1, Number.NaN, Number.NEGATIVE_INFINITY]);
    expect(line).toMatchObject({ thinned: true, nonFinite: 2, hiddenOnLog: 1, total: 100 });
  });
});
