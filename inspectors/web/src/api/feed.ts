/** The one stream of a page: every run that it shows, multiplexed; details as signals, events to whoever follows. */
import { batch, type Signal, signal } from "@preact/signals";
import { foldProgress, type Progresses } from "../lib/progress";
import { probeSession } from "../stores/session";
import type { RunDetail, StreamEvent } from "../types/api";
import { apiUrl } from "./client";
import { Connection } from "./connection";
import type { Wire } from "./wire";

const SCHEMA_VERSION = 1;
const TYPES = ["cursor", "status", "event", "reset", "live", "heartbeat", "end", "denied"] as const;

export interface Listener {
  onEvent(event: StreamEvent): void;
  /** What was fetched is stale. */
  onReset(run: string): void;
}

export class RunFeed {
  readonly details: Signal<ReadonlyMap<string, RunDetail>> = signal(new Map());
  /** What the pods say of their progress, by run. */
  readonly progress: Signal<ReadonlyMap<string, Progresses>> = signal(new Map());
  /** Milliseconds between an event's publication and its arrival here, of the newest. */
  readonly lag = signal<number | null>(null);
  readonly connection: Connection;
  /** Resolves when the stream has said from where it follows: what is fetched after that has no gap. */
  readonly ready: Promise<void>;
  private resolveReady: () => void = () => {};
  private readonly listeners = new Set<Listener>();
  private readonly cursors = new Map<string, string>();

  constructor(readonly runs: readonly string[]) {
    this.ready = new Promise((resolve) => {
      this.resolveReady = resolve;
    });
    this.connection = new Connection({
      url: () => apiUrl("api/events", { run: this.runs, cursor: this.position() }),
      types: TYPES,
      onRefused: () => void probeSession(),
      onMessage: (message) => this.receive(message as Wire),
    });
  }

  listen(listener: Listener): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  close(): void {
    this.connection.close();
    this.listeners.clear();
  }

  /** A detail that an answer to a request has brought, ahead of the stream. */
  put(detail: RunDetail): void {
    this.details.value = new Map(this.details.value).set(detail.entry.uid, detail);
  }

  /** How far we are, for the next connection; null before the first one said so. */
  private position(): string | null {
    const all = this.runs.map((run) => this.cursors.get(run));
    return all.every((cursor) => cursor !== undefined) && all.length > 0 ? all.join(",") : null;
  }

  private receive(message: Wire): void {
    switch (message.type) {
      case "cursor":
        this.follow(message.cursors);
        this.setLive(message.live);
        this.resolveReady();
        break;
      case "status":
        this.put(message.detail);
        break;
      case "event":
        this.cursors.set(message.run, message.cursor);
        if (message.event.schemaVersion !== SCHEMA_VERSION) break; // a newer worker's words, which this page does not know
        this.progress.value = withProgress(this.progress.value, message);
        this.lag.value = Math.max(0, Date.now() - Date.parse(message.event.time));
        batch(() => {
          for (const listener of this.listeners) listener.onEvent(message);
        });
        break;
      case "reset":
        this.follow(message.cursors);
        for (const listener of [...this.listeners]) listener.onReset(message.run);
        break;
      case "live":
        this.setLive(message.live);
        break;
      case "end":
        this.connection.close({ kind: "ended" });
        break;
      case "denied":
        this.connection.deny(message.problem);
        break;
      case "heartbeat":
        break;
    }
  }

  private follow(cursors: Readonly<Record<string, string>>): void {
    for (const [run, cursor] of Object.entries(cursors)) this.cursors.set(run, cursor);
  }

  private setLive(live: boolean): void {
    this.connection.state.value = live ? { kind: "live" } : { kind: "late", since: Date.now() };
  }
}

function withProgress(
  before: ReadonlyMap<string, Progresses>,
  { run, event }: StreamEvent,
): ReadonlyMap<string, Progresses> {
  const own = before.get(run) ?? new Map();
  const next = foldProgress(own, event);
  return next === own ? before : new Map(before).set(run, next);
}
