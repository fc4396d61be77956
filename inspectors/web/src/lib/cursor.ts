/** Positions in a run's history, `<ms>-<seq>.<epoch>`: comparable within an epoch, incomparable across. */

export interface Position {
  ms: number;
  seq: number;
  epoch: string;
}

/** Reads a cursor; null for one that is not of this form. */
export function parseCursor(cursor: string): Position | null {
  const match = /^(\d+)-(\d+)\.([0-9a-z]+)$/.exec(cursor);
  return match ? { ms: Number(match[1]), seq: Number(match[2]), epoch: match[3] as string } : null;
}

export type Order = "covered" | "after" | "stale";

/** Whether a snapshot that reaches to `snapshot` holds the event at `event` already; stale where their epochs differ. */
export function compareCursor(event: string, snapshot: string): Order {
  const a = parseCursor(event);
  const b = parseCursor(snapshot);
  if (!a || !b || a.epoch !== b.epoch) return "stale";
  return a.ms < b.ms || (a.ms === b.ms && a.seq <= b.seq) ? "covered" : "after";
}
