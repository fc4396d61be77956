import { describe, expect, it } from "vitest";
import { compareCursor, parseCursor } from "./cursor";

describe("compareCursor", () => {
  it.each([
    ["5-0.a", "5-0.a", "covered"],
    ["4-9.a", "5-0.a", "covered"],
    ["5-1.a", "5-0.a", "after"],
    ["10-0.a", "9-0.a", "after"],
    ["5-10.a", "5-9.a", "after"],
    ["5-1.b", "5-0.a", "stale"],
    ["nonsense", "5-0.a", "stale"],
  ] as const)("%s against a snapshot at %s is %s", (event, snapshot, order) =>
    expect(compareCursor(event, snapshot)).toBe(order),
  );
  it("reads its three parts", () =>
    expect(parseCursor("1763690000000-3.k3f9")).toEqual({ ms: 1763690000000, seq: 3, epoch: "k3f9" }));
});
