import { describe, expect, it } from "vitest";
import { Follower, type Positioned } from "./follow";

const event = (seq: number, epoch = "a", run = "u"): Positioned => ({
  run,
  cursor: `${1000 + seq}-0.${epoch}`,
  event: { pod: "p", seq },
});
const snapshot = (seq: number, epoch = "a") => ({ cursors: { u: `${1000 + seq}-0.${epoch}` } });

function following() {
  const applied: number[] = [];
  const follower = new Follower<Positioned>((e) => applied.push(e.event.seq));
  return { applied, follower };
}

describe("Follower", () => {
  it("applies what came while the snapshot was on its way, without what the snapshot holds", () => {
    const { applied, follower } = following();
    for (const seq of [3, 4, 5, 6]) follower.push(event(seq));
    expect(applied).toEqual([]);
    expect(follower.arrived(snapshot(4))).toBe(true);
    expect(applied).toEqual([5, 6]);
  });
  it("then follows, each event once, however often it is delivered", () => {
    const { applied, follower } = following();
    follower.arrived(snapshot(0));
    for (const seq of [1, 2, 2, 1, 3]) follower.push(event(seq));
    expect(applied).toEqual([1, 2, 3]);
  });
  it("asks for a new snapshot when the epoch changes, and loses nothing meanwhile", () => {
    const { applied, follower } = following();
    follower.arrived(snapshot(0));
    expect(follower.push(event(1, "b"))).toBe(false);
    expect(follower.loading).toBe(true);
    follower.push(event(2, "b"));
    expect(follower.arrived(snapshot(0, "b"))).toBe(true);
    expect(applied).toEqual([1, 2]);
  });
  it("refuses a snapshot of an older epoch than what waits", () => {
    const { follower } = following();
    follower.push(event(1, "b"));
    expect(follower.arrived(snapshot(5, "a"))).toBe(false);
    expect(follower.loading).toBe(true);
  });
  it("buffers again during a reset", () => {
    const { applied, follower } = following();
    follower.arrived(snapshot(0));
    follower.begin();
    follower.push(event(4));
    expect(applied).toEqual([]);
    follower.arrived(snapshot(2));
    expect(applied).toEqual([4]);
  });
});
