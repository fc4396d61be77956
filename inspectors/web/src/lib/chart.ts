/** From series to what a chart draws: the x axis that was chosen, smoothing, one table for all lines. Pure. */
import type { Series } from "./series";
import { type SmoothingMode, smooth } from "./smooth";

export const AXES = ["step", "relative", "wall"] as const;
export type Axis = (typeof AXES)[number];

/** A series as it came, and what the gateway knows of it beyond the points that it sent. */
export interface Line extends Series {
  /** Points that there are in the asked range. */
  total: number;
  /** Whether fewer points than `total` were sent: then the gateway's smoothing holds, not ours. */
  thinned: boolean;
  /** Whether it was asked for in a range: what an average carries into it from before is not here. */
  cut: boolean;
  /** At the points that were sent. */
  smoothed: (number | null)[] | null;
  /** Of `total`: how many are NaN or infinite, and how many have no place on a logarithmic axis. */
  nonFinite: number;
  hiddenOnLog: number;
  /** How many points have been added since; they are the last ones. */
  added: number;
  /** Milliseconds since 1970 of the series' first point. */
  start: number | null;
}

export interface Drawn {
  line: Line;
  xs: number[];
  ys: number[];
  /** Null without smoothing. */
  smoothed: ArrayLike<number> | null;
}

/**
 * Times that ascend strictly. Points of one batch bear one time: they were measured between the batch before and this one,
 * so they are spread evenly over that interval; those of the first batch over a millisecond each.
 */
export function spreadTimes(times: readonly number[]): number[] {
  const out = times.slice();
  let from = 0;
  let before = Number.NaN;
  while (from < out.length) {
    let to = from;
    while (to + 1 < out.length && (times[to + 1] as number) <= (times[from] as number)) to += 1;
    const at = Math.max(times[from] as number, Number.isNaN(before) ? Number.NEGATIVE_INFINITY : before + 1e-3);
    const n = to - from + 1;
    const step = Number.isNaN(before) ? 1 : (at - before) / n;
    for (let i = from; i <= to; i += 1) out[i] = at - (to - i) * step;
    before = at;
    from = to + 1;
  }
  return out;
}

/** The x of every point. Relative time is in seconds since the series began, wall time in milliseconds since 1970. */
export function xOf(line: Line, axis: Axis): number[] {
  if (axis === "step") return line.steps;
  const times = spreadTimes(line.times);
  if (axis === "wall") return times;
  const start = line.start ?? times[0] ?? 0;
  return times.map((time) => (time - start) / 1000);
}

/** What is drawn of a line. Where points are missing the gateway's smoothing holds, and goes on from its last value. */
export function draw(line: Line, axis: Axis, mode: SmoothingMode, weight: number): Drawn {
  const xs = xOf(line, axis);
  if (mode === "off" || weight === 0) return { line, xs, ys: line.values, smoothed: null };
  if (!(line.thinned || line.cut) || !line.smoothed)
    return { line, xs, ys: line.values, smoothed: smooth(xs, line.values, mode, weight) };
  const known = line.values.length - line.added;
  const out = line.smoothed.slice(0, known).map((v) => v ?? Number.NaN);
  let average = out.findLast(Number.isFinite) ?? Number.NaN;
  for (let i = known; i < line.values.length; i += 1) {
    const y = line.values[i] as number;
    if (Number.isFinite(y)) average = Number.isNaN(average) ? y : weight * average + (1 - weight) * y;
    out.push(Number.isFinite(y) ? average : Number.NaN);
  }
  return { line, xs, ys: line.values, smoothed: out };
}

/** A column of a chart: null is a gap, undefined a place where this line has no point. */
export type Column = (number | null | undefined)[];

export interface ColumnInput {
  xs: readonly number[];
  ys: ArrayLike<number>;
}

/**
 * One table of all lines: [x, column, column, …], x ascending and each once. Values that are not finite, or not above zero
 * on a logarithmic axis (`positive`), become gaps; an x that a logarithmic axis has no place for is left out.
 */
export function align(inputs: readonly ColumnInput[], positive: { x: boolean; y: boolean }): [number[], ...Column[]] {
  const rows = new Map<number, number>();
  const all: number[] = [];
  for (const { xs } of inputs) for (const x of xs) if (!positive.x || x > 0) all.push(x);
  const sorted = Float64Array.from(all).sort();
  const x: number[] = [];
  for (const value of sorted) {
    if (x.length > 0 && x[x.length - 1] === value) continue;
    rows.set(value, x.length);
    x.push(value);
  }
  const columns = inputs.map(({ xs, ys }) => {
    const column: Column = new Array(x.length).fill(undefined);
    for (let i = 0; i < xs.length; i += 1) {
      const row = rows.get(xs[i] as number);
      if (row === undefined) continue;
      const y = ys[i] as number;
      column[row] = Number.isFinite(y) && (!positive.y || y > 0) ? y : null;
    }
    return column;
  });
  return [x, ...columns];
}

/** What tells the lines of one chart apart by colour. */
export type Grouping = "run" | "block" | "series";

/** Several runs: by run. One run: by block where there are several, else by series while there are hues for them. */
export function groupingOf(lines: readonly Line[], runs: number, hues: number): Grouping {
  if (runs > 1) return "run";
  if (new Set(lines.map((line) => line.id.block)).size > 1) return "block";
  return lines.length <= hues ? "series" : "block";
}
