import { describe, expect, it } from "vitest";
import type { Drawn } from "./chart";
import { byGroup, readingsAt } from "./readings";

const drawn = (block: string, xs: number[], ys: number[]) =>
  ({ line: { id: { block } }, xs, ys, smoothed: null }) as unknown as Drawn;
const lines = [drawn("a", [0, 1, 2], [1, 2, 3]), drawn("a", [0, 1, 2], [5, 6, 7]), drawn("b", [0, 1], [9, Number.NaN])];

describe("readingsAt", () => {
  it("puts the line nearest to the pointer first", () => expect(readingsAt(lines, 1, 6.1)[0]?.raw).toBe(6));
  it("leaves out a line that has ended long before", () => {
    expect(readingsAt([drawn("a", [0, 1], [1, 1]), drawn("b", [0, 9], [2, 2])], 9, null).map((r) => r.raw)).toEqual([
      2,
    ]);
  });
});

describe("byGroup", () => {
  it("gives mean and bounds of each group, without what is not finite", () => {
    const groups = byGroup(readingsAt(lines, 1, null), ["a", "b"], (r) => r.drawn.line.id.block);
    expect(groups).toEqual([{ key: "a", lines: 2, mean: 4, min: 2, max: 6 }]);
  });
});
