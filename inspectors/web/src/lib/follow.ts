/**
 * Back-fill, then follow: events that come while a snapshot is on its way wait; those that the snapshot holds are dropped,
 * the rest are applied in order, exactly once. No I/O here: whoever owns a Follower fetches when it asks for it.
 */
import { compareCursor } from "./cursor";
import { Seen } from "./dedupe";

export interface Positioned {
  run: string;
  cursor: string;
  event: { pod: string; seq: number };
}

export interface Snapshot {
  cursors: Readonly<Record<string, string>>;
}

/** Events that may wait for a snapshot before it is cheaper to fetch another one. */
export const MAX_WAITING = 20_000;

export class Follower<E extends Positioned> {
  private waiting: E[] | null = [];
  private overflowed = false;
  private cursors: Readonly<Record<string, string>> = {};
  private readonly seen = new Seen();

  constructor(private readonly apply: (event: E) => void) {}

  /** Whether a snapshot is awaited. */
  get loading(): boolean {
    return this.waiting !== null;
  }

  /** Before a snapshot is fetched: from here on events wait for it. */
  begin(): void {
    this.waiting ??= [];
  }

  /** The snapshot has been taken over; what waited follows. Returns false where it is too old: fetch again. */
  arrived(snapshot: Snapshot): boolean {
    const waiting = this.waiting ?? [];
    this.cursors = snapshot.cursors;
    this.seen.clear();
    if (this.overflowed || waiting.some((event) => this.order(event) === "stale")) {
      this.overflowed = false;
      this.waiting = [];
      return false;
    }
    this.waiting = null;
    for (const event of waiting) this.push(event);
    return true;
  }

  /** An event of the stream. Returns false where only a new snapshot helps. */
  push(event: E): boolean {
    if (this.waiting) {
      if (this.waiting.length >= MAX_WAITING) this.overflowed = true;
      else this.waiting.push(event);
      return true;
    }
    const order = this.order(event);
    if (order === "stale") {
      this.waiting = [event];
      return false;
    }
    if (order === "after" && this.seen.add(event.event.pod, event.event.seq)) this.apply(event);
    return true;
  }

  private order(event: E) {
    const snapshot = this.cursors[event.run];
    return snapshot === undefined ? "stale" : compareCursor(event.cursor, snapshot);
  }
}
