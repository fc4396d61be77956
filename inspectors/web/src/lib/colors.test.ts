import { describe, expect, it } from "vitest";
import { assignSlots, dashOf, HUES, hueOf } from "./colors";

const uids = Array.from({ length: 8 }, (_, i) => `uid-${i}`);

describe("assignSlots", () => {
  it("gives six runs six hues, all solid", () => {
    const slots = [...assignSlots(uids.slice(0, 6)).values()];
    expect(new Set(slots.map(hueOf)).size).toBe(6);
    expect(slots.every((slot) => dashOf(slot).length === 0)).toBe(true);
  });
  it("gives two runs the two hues that are easiest told apart", () => {
    expect([...assignSlots(["x", "y"]).values()].sort()).toEqual([0, 1]);
  });
  it("does not depend on the order in which the runs were ticked", () => {
    expect(assignSlots(["x", "y", "z"]).get("y")).toBe(assignSlots(["z", "y", "x"]).get("y"));
  });
  it("dashes the seventh", () => {
    const slots = [...assignSlots(uids).values()];
    expect(slots.filter((slot) => slot >= HUES)).toHaveLength(2);
    expect(new Set(slots).size).toBe(8);
  });
  it("keeps a run's slot while others come and go", () => {
    const first = assignSlots(uids.slice(0, 4));
    const fewer = assignSlots([uids[3], uids[1], uids[5]] as string[], first);
    expect(fewer.get("uid-3")).toBe(first.get("uid-3"));
    expect(fewer.get("uid-1")).toBe(first.get("uid-1"));
  });
  it("is the same for two people with the same link", () => expect(assignSlots(uids)).toEqual(assignSlots(uids)));
  it("draws a single run in blue", () => expect(assignSlots(["anything"]).get("anything")).toBe(0));
});
