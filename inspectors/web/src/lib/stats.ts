/** Exact statistics of a series, accumulated point by point and merged without keeping the points. */

export interface Stats {
  /** All points, whatever their value. */
  count: number;
  /** How many of them are NaN or infinite; those are in no other figure. */
  nonFinite: number;
  min: number | null;
  minStep: number | null;
  max: number | null;
  maxStep: number | null;
  mean: number | null;
  last: number | null;
  lastStep: number | null;
  /** Milliseconds since 1970. */
  lastTime: number | null;
}

export const EMPTY: Readonly<Stats> = {
  count: 0,
  nonFinite: 0,
  min: null,
  minStep: null,
  max: null,
  maxStep: null,
  mean: null,
  last: null,
  lastStep: null,
  lastTime: null,
};

/** The statistics with one more point. `last` is the newest point by time, so that late arrivals do not replace it. */
export function fold(stats: Stats, step: number, value: number, time: number): Stats {
  const one: Stats = Number.isFinite(value)
    ? { ...EMPTY, count: 1, min: value, minStep: step, max: value, maxStep: step, mean: value }
    : { ...EMPTY, count: 1, nonFinite: 1 };
  return merge(stats, { ...one, last: value, lastStep: step, lastTime: time });
}

/** The statistics of both histories; the mean is weighted, and stays exact for any split. */
export function merge(a: Stats, b: Stats): Stats {
  if (a.count === 0) return b;
  if (b.count === 0) return a;
  const na = a.count - a.nonFinite;
  const nb = b.count - b.nonFinite;
  const n = na + nb;
  const lower = pick(a, b, "min", (x, y) => x <= y);
  const upper = pick(a, b, "max", (x, y) => x >= y);
  const newer = (b.lastTime ?? 0) >= (a.lastTime ?? 0) ? b : a;
  return {
    count: a.count + b.count,
    nonFinite: a.nonFinite + b.nonFinite,
    min: lower.min,
    minStep: lower.minStep,
    max: upper.max,
    maxStep: upper.maxStep,
    mean: n === 0 ? null : ((a.mean ?? 0) * na) / n + ((b.mean ?? 0) * nb) / n,
    last: newer.last,
    lastStep: newer.lastStep,
    lastTime: newer.lastTime,
  };
}

function pick(a: Stats, b: Stats, field: "min" | "max", better: (x: number, y: number) => boolean): Stats {
  const x = a[field];
  const y = b[field];
  if (x === null) return b;
  if (y === null) return a;
  return better(x, y) ? a : b;
}
