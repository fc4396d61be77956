import { describe, expect, it } from "vitest";
import type { Event } from "../types/api";
import { foldProgress, liveProgress, type Progresses } from "./progress";

const says = (shard: number, done: number, over: Partial<Event> = {}): Event =>
  ({ block: "full", attempt: 1, retry: 0, shard, body: { type: "progress", done, total: 10 }, ...over }) as Event;
const heard = (...events: Event[]) => events.reduce(foldProgress, new Map() as Progresses);

describe("a block's live progress", () => {
  it("is the sum over its shards, the newest word of each", () => {
    expect(liveProgress(heard(says(0, 3), says(1, 4), says(0, 5)), "full", 1, 2)).toEqual({ done: 9, total: 20 });
  });
  it("is not known until every shard has spoken", () =>
    expect(liveProgress(heard(says(0, 3)), "full", 1, 2)).toBeNull());
  it("begins anew with a new attempt", () => expect(liveProgress(heard(says(0, 9)), "full", 2, 1)).toBeNull());
  it("does not listen to a superseded pod", () => {
    expect(liveProgress(heard(says(0, 2, { retry: 1 }), says(0, 9)), "full", 1, 1)).toEqual({ done: 2, total: 10 });
  });
  it("does not listen to other events", () => {
    const before = heard(says(0, 2));
    expect(foldProgress(before, { ...says(0, 9), body: { type: "paused" } } as Event)).toBe(before);
  });
});
