/** How far a block has come by its pods' own word, between the operator's two words a minute. Pure. */
import type { Event } from "../types/api";

export interface ShardProgress {
  attempt: number;
  retry: number;
  done: number;
  total: number;
}

/** By block, then by shard. */
export type Progresses = ReadonlyMap<string, ReadonlyMap<number, ShardProgress>>;

/** With the event's word; what a superseded pod says is ignored. Other events change nothing. */
export function foldProgress(before: Progresses, event: Event): Progresses {
  if (event.body.type !== "progress") return before;
  const shards = before.get(event.block) ?? new Map<number, ShardProgress>();
  const known = shards.get(event.shard);
  if (known && (event.attempt - known.attempt || event.retry - known.retry) < 0) return before;
  const { done, total } = event.body;
  const next = new Map(shards).set(event.shard, { attempt: event.attempt, retry: event.retry, done, total });
  return new Map(before).set(event.block, next);
}

/** Over all shards of an attempt; null until each of them has said something. */
export function liveProgress(
  all: Progresses,
  block: string,
  attempt: number,
  shards: number,
): { done: number; total: number } | null {
  const own = [...(all.get(block)?.values() ?? [])].filter((p) => p.attempt === attempt);
  if (own.length < shards) return null;
  return own.reduce((sum, p) => ({ done: sum.done + p.done, total: sum.total + p.total }), { done: 0, total: 0 });
}
