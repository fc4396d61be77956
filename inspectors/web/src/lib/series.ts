/**
 * Series in memory. A series is (run, block, metric, labels without `step`). A pod that was replaced begins again: from its
 * first step on, its points supersede those of every older (attempt, retry), and what is older than that stays.
 */
import { lowerBound } from "./bucket";

export type Labels = Readonly<Record<string, string | number>>;

export interface SeriesId {
  run: string;
  block: string;
  metric: string;
  labels: Labels;
}

/** Which life of a pod measured a point; compared by attempt, then by retry. */
export interface Generation {
  attempt: number;
  retry: number;
}

export interface Series {
  id: SeriesId;
  key: string;
  /** Ascending. */
  steps: number[];
  values: number[];
  /** Milliseconds since 1970. */
  times: number[];
  /** Null until a live event tells it: then what is here came as a snapshot, from which the gateway has dropped what is superseded. */
  generation: Generation | null;
}

/** The labels that tell series apart: `step` is the x axis. Sorted by name. */
export function identity(labels: Labels): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(labels)
      .filter(([name]) => name !== "step")
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** The one place where a series gets its key. */
export function seriesKey(id: SeriesId): string {
  const labels = Object.entries(identity(id.labels)).map(([name, value]) => [name, String(value)]);
  return JSON.stringify([id.run, id.block, id.metric, labels]);
}

export function newSeries(id: SeriesId, generation: Generation | null = null): Series {
  const clean = { ...id, labels: identity(id.labels) };
  return { id: clean, key: seriesKey(clean), steps: [], values: [], times: [], generation };
}

/** Below zero where `a` is the older. */
export function compareGenerations(a: Generation, b: Generation): number {
  return a.attempt - b.attempt || a.retry - b.retry;
}

/**
 * Puts a point into the series, in place. Returns false where it changes nothing: it is of a superseded generation.
 */
export function addPoint(series: Series, step: number, value: number, time: number, generation: Generation): boolean {
  series.generation ??= generation;
  const order = compareGenerations(generation, series.generation);
  if (order < 0) return false;
  if (order > 0) {
    truncate(series, lowerBound(series.steps, step));
    series.generation = generation;
  }
  const last = series.steps.length - 1;
  if (last < 0 || step > (series.steps[last] as number)) {
    series.steps.push(step);
    series.values.push(value);
    series.times.push(time);
    return true;
  }
  const at = lowerBound(series.steps, step);
  const replace = series.steps[at] === step ? 1 : 0;
  series.steps.splice(at, replace, step);
  series.values.splice(at, replace, value);
  series.times.splice(at, replace, time);
  return true;
}

function truncate(series: Series, length: number): void {
  series.steps.length = length;
  series.values.length = length;
  series.times.length = length;
}

/** The labels as people read them: `sample_index 3`. */
export function describeLabels(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name.replaceAll("_", " ")} ${value}`)
    .join(", ");
}

/** By block, then by labels, figures as figures: sample 2 comes before sample 10. */
export function compareSeries(a: SeriesId, b: SeriesId): number {
  if (a.block !== b.block) return a.block < b.block ? -1 : 1;
  return describeLabels(a.labels).localeCompare(describeLabels(b.labels), "en", { numeric: true });
}
