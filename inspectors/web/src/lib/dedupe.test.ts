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
  it("lets the head of a batch come after its tail, even where that is what one joins at", () => {
    const seen = new Seen();
    expect([502, 503, 501, 502, 503, 504].map((seq) => seen.add("a", seq))).toEqual([
      true,
      true,
      true,
      false,
      false,
      true,
    ]);
  });
  it("keeps few numbers however long one follows, wherever one has joined", () => {
    const seen = new Seen();
    for (let seq = 5000; seq < 15_000; seq += 1) expect(seen.add("a", seq)).toBe(true);
    expect(seen.size).toBeLessThanOrEqual(2000);
    expect([5000, 14_999].map((seq) => seen.add("a", seq))).toEqual([false, false]);
  });
});
