/** Every metric in figures: the gateway's statistics over the whole history, then each point as it comes. */
import type { Source } from "../../api/backfill";
import { get } from "../../api/client";
import { metricValue } from "../../api/wire";
import { foldPoint, fromWire, keyOf, type Summary } from "../../lib/summary";
import type { StatisticsList, StreamEvent } from "../../types/api";
import { Version } from "../../ui/frame-signal";

export class SummarySource implements Source<StatisticsList> {
  readonly summaries = new Map<string, Summary>();
  readonly version = new Version();
  notices: readonly string[] = [];

  constructor(
    private readonly runs: readonly string[],
    private readonly metrics: readonly string[],
  ) {}

  fetch(signal: AbortSignal): Promise<StatisticsList> {
    return get<StatisticsList>("api/statistics", { run: this.runs, metric: this.metrics }, signal);
  }

  take(snapshot: StatisticsList): void {
    this.summaries.clear();
    for (const wire of snapshot.statistics) this.summaries.set(keyOf(wire.run, wire.name), fromWire(wire));
    this.notices = snapshot.notices;
    this.version.now();
  }

  apply({ run, event }: StreamEvent): void {
    if (event.body.type !== "metric") return;
    const time = Date.parse(event.time);
    for (const point of event.body.points) {
      if (this.metrics.length > 0 && !this.metrics.includes(point.name)) continue;
      const key = keyOf(run, point.name);
      this.summaries.set(
        key,
        foldPoint(this.summaries.get(key), run, point.name, point.step, metricValue(point.value), time),
      );
    }
    this.version.bump();
  }

  /** The metrics that there are, by name, each with its runs in the order asked for. */
  byName(hidden: ReadonlySet<string>): [string, Summary[]][] {
    const names = [...new Set([...this.summaries.values()].map((summary) => summary.name))].sort();
    return names.map((name) => [
      name,
      this.runs.filter((run) => !hidden.has(run)).flatMap((run) => this.summaries.get(keyOf(run, name)) ?? []),
    ]);
  }
}
