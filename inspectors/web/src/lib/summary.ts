/** A metric of a run in figures: taken from the gateway's exact statistics, then folded point by point. Pure. */
import { metricValue } from "../api/wire";
import type { Point, Statistics } from "../types/api";
import { EMPTY, fold, type Stats } from "./stats";
import { TREND_WINDOW } from "./trend";

export const SPARK_POINTS = 100;

export interface Summary {
  run: string;
  name: string;
  stats: Stats;
  /** The last values in the order of their time, NaN where not finite; at most 100. */
  sparkline: number[];
  /** The median time between points, in seconds; null where there are too few. */
  interval: number | null;
}

export const keyOf = (run: string, name: string): string => `${run} ${name}`;

const stepOf = (point: Point | null | undefined) => point?.step ?? null;
const numberOf = (point: Point | null | undefined) => (point ? metricValue(point.value) : null);

export function fromWire(wire: Statistics): Summary {
  const stats: Stats = {
    count: wire.count,
    nonFinite: wire.nonFinite,
    min: numberOf(wire.min),
    minStep: stepOf(wire.min),
    max: numberOf(wire.max),
    maxStep: stepOf(wire.max),
    mean: wire.mean ?? null,
    last: metricValue(wire.last.value),
    lastStep: wire.last.step,
    lastTime: Date.parse(wire.last.time),
  };
  const numbers = (values: readonly (number | null)[]) => values.map((value) => value ?? Number.NaN);
  const sparkline = numbers(wire.sparkline.length >= wire.recent.length ? wire.sparkline : wire.recent);
  return { run: wire.run, name: wire.name, stats, sparkline, interval: wire.intervalSeconds ?? null };
}

/** The summary with a point that has just been published. */
export function foldPoint(
  before: Summary | undefined,
  run: string,
  name: string,
  step: number,
  value: number,
  time: number,
): Summary {
  const summary = before ?? { run, name, stats: EMPTY, sparkline: [], interval: null };
  const sparkline = [...summary.sparkline, value].slice(-SPARK_POINTS);
  return { ...summary, stats: fold(summary.stats, step, value, time), sparkline };
}

/** The values that the trend looks at. */
export const recent = (summary: Summary): number[] => summary.sparkline.slice(-TREND_WINDOW);

export type Freshness = "fresh" | "overdue";

/** Overdue where a running metric has been silent for ten of its own intervals, and for ten seconds at least. */
export function freshness(summary: Summary, nowMs: number, atRest: boolean): Freshness {
  if (atRest || summary.stats.lastTime === null) return "fresh";
  const patience = Math.max(10, 10 * (summary.interval ?? 3));
  return (nowMs - summary.stats.lastTime) / 1000 > patience ? "overdue" : "fresh";
}
