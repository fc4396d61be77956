/** The list of runs, live: the whole list first, then what changes. */
import { computed, signal } from "@preact/signals";
import { apiUrl } from "../api/client";
import { Connection } from "../api/connection";
import type { RunsWire } from "../api/wire";
import { compareRuns } from "../lib/runs";
import type { Problem, RunEntry } from "../types/api";
import { probeSession } from "./session";

const TYPES = ["runs", "run", "gone", "heartbeat", "denied"] as const;

export class RunsStore {
  private readonly byUid = signal<ReadonlyMap<string, RunEntry>>(new Map());
  readonly loaded = signal(false);
  readonly problems = signal<readonly string[]>([]);
  /** Why nothing is listed, where a right is missing. */
  readonly denied = signal<Problem | null>(null);
  readonly connection: Connection;
  readonly runs = computed(() => [...this.byUid.value.values()].sort(compareRuns));

  constructor() {
    this.connection = new Connection({
      url: () => apiUrl("api/runs/events"),
      types: TYPES,
      onRefused: () => void probeSession(),
      onMessage: (message) => this.receive(message as RunsWire),
    });
  }

  close(): void {
    this.connection.close();
  }

  private receive(message: RunsWire): void {
    if (message.type === "runs") {
      this.byUid.value = new Map(message.list.runs.map((run) => [run.uid, run]));
      this.problems.value = message.list.problems;
      this.denied.value = message.list.denied ?? null;
      this.loaded.value = true;
    } else if (message.type === "run") {
      this.byUid.value = new Map(this.byUid.value).set(message.entry.uid, message.entry);
    } else if (message.type === "gone") {
      const next = new Map(this.byUid.value);
      next.delete(message.uid);
      this.byUid.value = next;
    } else if (message.type === "denied") {
      this.connection.deny(message.problem);
    }
  }
}
