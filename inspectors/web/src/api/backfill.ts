/** A snapshot that keeps itself up to date: fetch, follow the stream, fetch again when told so. */
import { type Signal, signal } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { backoff } from "../lib/backoff";
import { Follower } from "../lib/follow";
import type { StreamEvent } from "../types/api";
import { type ApiError, asApiError, isAbort } from "./client";
import type { RunFeed } from "./feed";

export interface Source<S extends { cursors: Record<string, string> }> {
  fetch(signal: AbortSignal): Promise<S>;
  /** Takes the snapshot over, in place of what was there. */
  take(snapshot: S): void;
  /** Folds an event that the snapshot does not hold. */
  apply(event: StreamEvent): void;
}

export interface Load {
  /** Whether anything has arrived at all. */
  loaded: boolean;
  /** Whether a request is under way. */
  busy: boolean;
  error: ApiError | null;
}

/** Runs one source on one feed until it is stopped. */
export class Backfill<S extends { cursors: Record<string, string> }> {
  readonly load: Signal<Load> = signal({ loaded: false, busy: true, error: null });
  private readonly follower: Follower<StreamEvent>;
  private readonly unlisten: () => void;
  private request: AbortController | null = null;
  private timer = 0;
  private failures = 0;
  private stopped = false;

  constructor(
    feed: RunFeed,
    private readonly source: Source<S>,
  ) {
    this.follower = new Follower((event) => source.apply(event));
    this.unlisten = feed.listen({
      onEvent: (event) => {
        if (!this.follower.push(event)) this.refetch();
      },
      onReset: () => this.refetch(),
    });
    void feed.ready.then(() => this.refetch());
  }

  /** Fetches anew; what is shown stays until the answer comes. */
  refetch(): void {
    if (this.stopped) return;
    this.follower.begin();
    this.request?.abort();
    clearTimeout(this.timer);
    const request = new AbortController();
    this.request = request;
    this.load.value = { ...this.load.value, busy: true };
    this.source.fetch(request.signal).then(
      (snapshot) => {
        if (this.stopped || this.request !== request) return;
        this.source.take(snapshot);
        if (!this.follower.arrived(snapshot)) return this.later(null);
        this.failures = 0;
        this.load.value = { loaded: true, busy: false, error: null };
      },
      (error: unknown) => {
        if (!isAbort(error) && !this.stopped && this.request === request) this.later(asApiError(error));
      },
    );
  }

  stop(): void {
    this.stopped = true;
    this.unlisten();
    this.request?.abort();
    clearTimeout(this.timer);
  }

  private later(error: ApiError | null): void {
    this.load.value = { ...this.load.value, busy: false, error };
    if (error && !error.passing) return; // asking again would not help
    this.timer = window.setTimeout(() => this.refetch(), backoff(this.failures, Math.random()));
    this.failures += 1;
  }
}

/** A backfill for as long as the component is mounted and `key` stays; `make` may close over anything that `key` names. */
export function useBackfill<S extends { cursors: Record<string, string> }, M extends Source<S>>(
  feed: RunFeed,
  key: string,
  make: () => M,
): { source: M; backfill: Backfill<S> } {
  const held = useRef<{ feed: RunFeed; key: string; source: M; backfill: Backfill<S> } | null>(null);
  if (held.current?.key !== key || held.current.feed !== feed) {
    held.current?.backfill.stop();
    const source = make();
    held.current = { feed, key, source, backfill: new Backfill<S>(feed, source) };
  }
  // Not after the next paint: what is left before it would follow for ever.
  useLayoutEffect(() => () => held.current?.backfill.stop(), []);
  return held.current;
}
