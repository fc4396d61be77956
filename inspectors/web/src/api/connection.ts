/** An EventSource that says how it is, and comes back by itself: after a drop, a restart of the gateway, a proxy's error. */
import { type Signal, signal } from "@preact/signals";
import { backoff } from "../lib/backoff";
import type { Problem } from "../types/api";

export type ConnectionState =
  | { kind: "connecting" }
  | { kind: "live" }
  /** The gateway is there, but Redis is not: events come late. */
  | { kind: "late"; since: number }
  | { kind: "reconnecting"; since: number; nextTry: number }
  | { kind: "ended" }
  | { kind: "denied"; problem: Problem };

export interface ConnectionOptions {
  /** The address for the next try; it carries how far we are. */
  url: () => string;
  /** The names of the messages, which are also their `type`. */
  types: readonly string[];
  /** The gateway answered, but not with a stream; or it knows the viewer no more. */
  onRefused: () => void;
  onMessage: (message: { type?: string }) => void;
}

/** Without a word for so long (three heartbeats) a connection is dead, whatever TCP believes. */
const SILENCE_MS = 45_000;

export class Connection {
  readonly state: Signal<ConnectionState> = signal({ kind: "connecting" });
  /** Milliseconds since 1970 of the last message. */
  readonly lastMessage = signal(0);
  private source: EventSource | null = null;
  private timer = 0;
  private watchdog = 0;
  private failures = 0;
  private since = 0;

  constructor(private readonly options: ConnectionOptions) {
    this.open();
  }

  /** Ends it for good: what has been sent stays on the page. */
  close(state?: ConnectionState): void {
    clearTimeout(this.timer);
    clearTimeout(this.watchdog);
    this.source?.close();
    this.source = null;
    if (state) this.state.value = state;
  }

  /** Ends it because the viewer may look no longer; where the session has ended, whoever owns it finds out. */
  deny(problem: Problem): void {
    this.close({ kind: "denied", problem });
    if (problem.code === "Unauthenticated") this.options.onRefused();
  }

  /** Tries now instead of later. */
  retryNow(): void {
    clearTimeout(this.timer);
    const state = this.state.value;
    if (state.kind === "reconnecting") this.state.value = { ...state, nextTry: Date.now() };
    this.open();
  }

  private open(): void {
    this.source?.close();
    const source = new EventSource(this.options.url());
    this.source = source;
    for (const type of this.options.types) {
      source.addEventListener(type, (event) => this.receive(event as MessageEvent<string>));
    }
    source.onerror = () => this.lost();
    this.watch();
  }

  private receive(event: MessageEvent<string>): void {
    this.failures = 0;
    this.since = 0;
    this.watch();
    this.lastMessage.value = Date.now();
    const kind = this.state.value.kind;
    if (kind === "connecting" || kind === "reconnecting") this.state.value = { kind: "live" };
    this.options.onMessage(JSON.parse(event.data) as { type?: string });
  }

  private watch(): void {
    clearTimeout(this.watchdog);
    this.watchdog = window.setTimeout(() => this.lost(), SILENCE_MS);
  }

  private lost(): void {
    const source = this.source;
    if (!source) return;
    // Closed by the browser itself: an answer other than a stream, perhaps for want of a session.
    if (source.readyState === EventSource.CLOSED) this.options.onRefused();
    source.close();
    this.source = null;
    clearTimeout(this.watchdog);
    const now = Date.now();
    this.since ||= now;
    const wait = backoff(this.failures, Math.random());
    this.failures += 1;
    this.state.value = { kind: "reconnecting", since: this.since, nextTry: now + wait };
    this.timer = window.setTimeout(() => this.open(), wait);
  }
}
