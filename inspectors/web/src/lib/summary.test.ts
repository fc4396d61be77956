import { describe, expect, it } from "vitest";
import type { Statistics } from "../types/api";
import { foldPoint, freshness, fromWire, recent } from "./summary";

const point = (value: number | "NaN", step: number) => ({
  value,
  step,
  time: "2026-05-05T10:00:00Z",
  block: "preview",
  labels: {},
});
const wire: Statistics = {
  run: "u",
  name: "denoise/snr",
  count: 3,
  nonFinite: 1,
  min: point(1, 0),
  max: point(4, 1),
  mean: 2.5,
  last: point("NaN", 2),
  recent: [1, 4, null],
  sparkline: [1, 4, null],
  intervalSeconds: 0.5,
};

describe("a metric in figures", () => {
  it("takes the gateway's word, NaN included", () => {
    const summary = fromWire(wire);
    expect(summary.stats).toMatchObject({ count: 3, min: 1, maxStep: 1, mean: 2.5, last: Number.NaN, lastStep: 2 });
    expect(summary.sparkline).toEqual([1, 4, Number.NaN]);
  });
  it("goes on from there, exactly", () => {
    const time = Date.parse(wire.last.time) + 1000;
    const summary = foldPoint(fromWire(wire), "u", "denoise/snr", 3, 10, time);
    expect(summary.stats).toMatchObject({ count: 4, max: 10, maxStep: 3, last: 10, lastTime: time });
    expect(summary.stats.mean).toBeCloseTo(5, 12);
  });
  it("begins with the first point", () =>
    expect(foldPoint(undefined, "u", "m", 0, 7, 5).stats).toMatchObject({ count: 1, min: 7, max: 7, mean: 7 }));
  it("shows the newest point by time, even where its step is lower (the next sample begins)", () => {
    let summary = foldPoint(undefined, "u", "m", 9, 1, 1);
    summary = foldPoint(summary, "u", "m", 0, 2, 2);
    expect(summary.stats).toMatchObject({ last: 2, lastStep: 0 });
  });
  it("keeps a hundred values for the sparkline and five for the trend", () => {
    let summary = fromWire(wire);
    for (let i = 0; i < 200; i += 1) summary = foldPoint(summary, "u", "denoise/snr", i, i, i);
    expect(summary.sparkline).toHaveLength(100);
    expect(recent(summary)).toEqual([195, 196, 197, 198, 199]);
  });
});

describe("staleness", () => {
  const at = Date.parse("2026-05-05T10:00:00Z");
  it("is measured in the metric's own intervals", () => {
    expect(freshness(fromWire(wire), at + 8_000, false)).toBe("fresh");
    expect(freshness(fromWire(wire), at + 11_000, false)).toBe("overdue");
    expect(freshness(fromWire({ ...wire, intervalSeconds: 60 }), at + 300_000, false)).toBe("fresh");
  });
  it("does not concern a run that is over", () => expect(freshness(fromWire(wire), at + 1e9, true)).toBe("fresh"));
});
