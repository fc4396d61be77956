/** The metrics that runs emit, by name: fetched once, and added to as new ones appear in the stream. */
import { signal } from "@preact/signals";
import type { Source } from "../api/backfill";
import { get } from "../api/client";
import type { MetricList, StreamEvent } from "../types/api";

export class MetricNames implements Source<MetricList> {
  readonly names = signal<readonly string[]>([]);
  private readonly known = new Set<string>();

  constructor(private readonly runs: readonly string[]) {}

  fetch(abort: AbortSignal): Promise<MetricList> {
    return get<MetricList>("api/metrics", { run: this.runs }, abort);
  }

  take(snapshot: MetricList): void {
    this.known.clear();
    for (const { name } of snapshot.metrics) this.known.add(name);
    this.publish();
  }

  apply({ event }: StreamEvent): void {
    if (event.body.type !== "metric") return;
    const before = this.known.size;
    for (const { name } of event.body.points) this.known.add(name);
    if (this.known.size > before) this.publish();
  }

  private publish(): void {
    this.names.value = [...this.known].sort();
  }
}
