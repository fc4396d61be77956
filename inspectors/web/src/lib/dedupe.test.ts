import { describe, expect, it } from "vitest";
import { Seen } from "./dedupe";

describe("Seen", () => {
  it("counts an event once, in any order", () => {
    const seen = new Seen();
    expect([2, 0, 1, 1, 0, 2, 3].map((seq) => seen.add("pod", seq))).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      true,
    ]);
  });
  it("keeps pods apart", () => {
    const seen = new Seen();
    seen.add("a", 0);
    expect(seen.add("b", 0)).toBe(true);
  });
  it("works where one joins in the middle", () => {
    const seen = new Seen();
    expect([seen.add("a", 500), seen.add("a", 501), seen.add("a", 500)]).toEqual([true, true, false]);
  });
});
