import { describe, expect, it } from "vitest";
import type { RunEntry } from "../types/api";
import { compareRuns, elapsed, filterRuns, phaseCounts, remaining, shareDone, tabTitle } from "./runs";

const make = (over: Partial<RunEntry> = {}): RunEntry => ({
  namespace: "diffrun",
  name: "ddpm-cat",
  uid: "u",
  phase: "Running",
  over: false,
  archived: false,
  created: "2026-05-05T10:00:00Z",
  started: "2026-05-05T10:00:10Z",
  blocksDone: 1,
  blocksTotal: 4,
  waitingGates: [],
  ...over,
});
const now = Date.parse("2026-05-05T10:01:10Z");

describe("the list of runs", () => {
  it("pins a waiting gate to the top, then the newest", () => {
    const runs = [
      make({ uid: "old", created: "2026-05-01T00:00:00Z" }),
      make({ uid: "new" }),
      make({ uid: "gate", phase: "Waiting", created: "2026-01-01T00:00:00Z" }),
    ];
    expect(runs.sort(compareRuns).map((r) => r.uid)).toEqual(["gate", "new", "old"]);
  });
  it("filters by words, in any order, and by phase", () => {
    const runs = [make(), make({ name: "celeba", phase: "Failed" })];
    expect(filterRuns(runs, "cat DIFF", [])).toHaveLength(1);
    expect(filterRuns(runs, "", ["Failed"]).map((r) => r.name)).toEqual(["celeba"]);
    expect(filterRuns(runs, "dog", [])).toEqual([]);
  });
  it("counts the phases that there are", () => {
    expect(phaseCounts([make(), make(), make({ phase: "Failed" })])).toEqual([
      { phase: "Running", count: 2 },
      { phase: "Failed", count: 1 },
    ]);
  });
});

describe("a run's line", () => {
  it("adds the current block's progress to the whole blocks", () =>
    expect(shareDone(make({ done: 5, total: 10 }))).toBe(0.375));
  it("does not count a block twice while its gate waits", () => {
    expect(shareDone(make({ phase: "Waiting", blocksDone: 2, done: 20, total: 20 }))).toBe(0.5);
  });
  it("counts its time from the start to the end", () => {
    expect(elapsed(make(), now)).toBe(60);
    expect(elapsed(make({ completed: "2026-05-05T10:00:40Z", over: true }), now)).toBe(30);
  });
  it("has no time left where nothing tells, or where it waits", () => {
    expect(remaining(make(), now)).toBeNull();
    expect(remaining(make({ eta: "2026-05-05T10:02:10Z" }), now)).toBe(60);
    expect(remaining(make({ eta: "2026-05-05T10:02:10Z", phase: "Paused" }), now)).toBeNull();
  });
  it("tells its state in the tab", () => {
    expect(tabTitle(make({ phase: "Waiting" }))).toBe("● ddpm-cat · waiting for review");
    expect(tabTitle(make({ phase: "Succeeded", over: true }))).toBe("✓ ddpm-cat · succeeded");
  });
});
