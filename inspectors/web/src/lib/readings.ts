/** What the lines of a chart say at one x: each by itself while they are few, by group where they are many. Pure. */
import { nearest } from "./bucket";
import type { Drawn } from "./chart";

export interface Reading {
  drawn: Drawn;
  raw: number;
  smoothed: number | null;
}

export const shownValue = (reading: Reading): number => reading.smoothed ?? reading.raw;

/** Each line's value at x, those nearest to y first. A line without a point within one of its own steps is left out. */
export function readingsAt(lines: readonly Drawn[], x: number, y: number | null): Reading[] {
  const readings: Reading[] = [];
  for (const drawn of lines) {
    const { xs } = drawn;
    const i = nearest(xs, x);
    if (i < 0) continue;
    const gap = xs.length > 1 ? ((xs.at(-1) as number) - (xs[0] as number)) / (xs.length - 1) : 0;
    if (Math.abs((xs[i] as number) - x) > gap) continue;
    const smoothed = drawn.smoothed ? (drawn.smoothed[i] as number) : null;
    readings.push({ drawn, raw: drawn.ys[i] as number, smoothed });
  }
  if (y !== null) readings.sort((a, b) => Math.abs(shownValue(a) - y) - Math.abs(shownValue(b) - y));
  return readings;
}

export interface GroupReading {
  key: string;
  lines: number;
  mean: number;
  min: number;
  max: number;
}

/** The readings of each group in three figures, in the order of `keys`; groups without a finite reading are left out. */
export function byGroup(
  readings: readonly Reading[],
  keys: readonly string[],
  keyOf: (reading: Reading) => string,
): GroupReading[] {
  return keys.flatMap((key) => {
    const values = readings
      .filter((reading) => keyOf(reading) === key)
      .map(shownValue)
      .filter(Number.isFinite);
    if (values.length === 0) return [];
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    return [{ key, lines: values.length, mean, min: Math.min(...values), max: Math.max(...values) }];
  });
}
