/** The lines of a chart: fetched with the smoothing and the range of the moment, then followed point by point. */
import type { Source } from "../../api/backfill";
import { get } from "../../api/client";
import { metricValue } from "../../api/wire";
import type { Axis, Line } from "../../lib/chart";
import { addPoint, newSeries, seriesKey } from "../../lib/series";
import type { SmoothingMode } from "../../lib/smooth";
import type { Series, SeriesList, StreamEvent } from "../../types/api";
import { Version } from "../../ui/frame-signal";

export interface ChartQuery {
  runs: readonly string[];
  metrics: readonly string[];
  axis: Axis;
  /** In units of the axis; null for all. */
  range: readonly [number, number] | null;
  mode: SmoothingMode;
  weight: number;
  /** Points a line; 0 for all. */
  points: number;
}

const SMOOTHING = { off: "none", ema: "ema", time: "time" } as const;
/** What asks for the cursors alone: leaving the parameter out would ask for every metric, and none has an empty name. */
const NO_METRIC = "";
/** After so many added points a thinned line is fetched anew. */
const REFRESH_AFTER = 2000;

export class ChartSource implements Source<SeriesList> {
  readonly lines = new Map<string, Line>();
  readonly version = new Version();
  notices: readonly string[] = [];
  /** Asks for a new snapshot; set by whoever owns the backfill. */
  refresh: () => void = () => {};

  /** What was asked for last: the lines that are here answer it, or their successors are on their way. */
  private asked: ChartQuery;

  constructor(public query: ChartQuery) {
    this.asked = query;
  }

  fetch(signal: AbortSignal): Promise<SeriesList> {
    this.asked = this.query;
    const { runs, metrics, axis, range, mode, weight, points } = this.query;
    const smoothing = mode === "off" || weight === 0 ? {} : { smoothing: SMOOTHING[mode], weight };
    const window = range ? { from: range[0], to: range[1] } : {};
    return get<SeriesList>(
      "api/series",
      { run: runs, metric: metrics.length > 0 ? metrics : NO_METRIC, x: axis, points, ...smoothing, ...window },
      signal,
    );
  }

  take(snapshot: SeriesList): void {
    this.lines.clear();
    for (const series of snapshot.series) {
      const line = toLine(series, this.asked.range !== null);
      this.lines.set(line.key, line);
    }
    this.notices = snapshot.notices;
    this.version.now();
  }

  /** Whether only the gateway has what the query of the moment wants. `settled`: the lines that are here answer `asked`. */
  outdated(settled: boolean): boolean {
    const { asked, query } = this;
    if (JSON.stringify(asked) === JSON.stringify(query)) return false;
    if (!settled || asked.range !== null || asked.points !== query.points) return true;
    return [...this.lines.values()].some((line) => line.thinned);
  }

  apply(message: StreamEvent): void {
    const { event } = message;
    if (event.body.type !== "metric") return;
    const time = Date.parse(event.time);
    const generation = { attempt: event.attempt, retry: event.retry };
    let changed = false;
    for (const point of event.body.points) {
      if (!this.query.metrics.includes(point.name)) continue;
      const id = { run: message.run, block: event.block, metric: point.name, labels: point.labels };
      changed = this.add(id, point.step, metricValue(point.value), time, generation) || changed;
    }
    if (changed) this.version.bump();
  }

  private add(
    id: Parameters<typeof newSeries>[0],
    step: number,
    value: number,
    time: number,
    generation: { attempt: number; retry: number },
  ): boolean {
    const key = seriesKey(id);
    let line = this.lines.get(key);
    if (!line) {
      line = {
        ...newSeries(id, generation),
        total: 0,
        thinned: false,
        cut: this.asked.range !== null,
        smoothed: null,
        nonFinite: 0,
        hiddenOnLog: 0,
        added: 0,
        start: time,
      };
      this.lines.set(key, line);
    }
    if (this.beyond(line, step, time)) return false;
    const length = line.steps.length;
    if (!addPoint(line, step, value, time, generation)) return false;
    const grown = line.steps.length - length;
    line.total += grown;
    line.added += grown;
    if (!Number.isFinite(value)) line.nonFinite += 1;
    else if (value <= 0) line.hiddenOnLog += 1;
    if (grown !== 1 && (line.thinned || line.cut)) this.refresh(); // rewound, or a point replaced: the averages are no longer ours to keep
    if (line.thinned && line.added === REFRESH_AFTER) this.refresh();
    return true;
  }

  /** Whether a point lies outside of the range that the lines were asked for in. */
  private beyond(line: Line, step: number, time: number): boolean {
    const { range, axis } = this.asked;
    if (!range) return false;
    const x = axis === "step" ? step : axis === "wall" ? time : (time - (line.start ?? time)) / 1000;
    return x < range[0] || x > range[1];
  }
}

/** The columns of the wire as a line; what is not finite comes back to what it was. */
export function toLine(series: Series, cut = false): Line {
  const values = series.values.map((value) => value ?? Number.NaN);
  for (const { index, value } of series.nonFinitePoints) values[index] = metricValue(value);
  const id = { run: series.run, block: series.block, metric: series.name, labels: series.labels };
  return {
    ...newSeries(id),
    steps: series.steps.slice(),
    times: series.times.slice(),
    values,
    total: series.total,
    thinned: series.shown < series.total,
    cut,
    smoothed: series.smoothed ?? null,
    nonFinite: series.nonFinite,
    hiddenOnLog: series.hiddenOnLog,
    added: 0,
    start: series.start ?? null,
  };
}
