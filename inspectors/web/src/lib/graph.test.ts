import { describe, expect, it } from "vitest";
import { isChain, layers } from "./graph";

const edge = (source: string, target: string) => ({ source, target });

describe("layers", () => {
  it("lays a chain out in a row", () => {
    expect(layers(["a", "b"], [edge("a", "b")])).toEqual([
      { name: "a", layer: 0, row: 0 },
      { name: "b", layer: 1, row: 0 },
    ]);
  });
  it("puts a block after the last that it waits for, siblings under each other", () => {
    const placed = layers(["a", "b", "c", "d"], [edge("a", "b"), edge("a", "c"), edge("b", "d"), edge("a", "d")]);
    expect(placed.map(({ layer, row }) => [layer, row])).toEqual([
      [0, 0],
      [1, 0],
      [1, 1],
      [2, 0],
    ]);
  });
  it("survives a cycle and an unknown block", () => {
    expect(layers(["a", "b"], [edge("a", "b"), edge("b", "a"), edge("x", "a")])).toHaveLength(2);
  });
});

describe("isChain", () => {
  it("knows a chain from a graph", () => {
    expect(isChain(["a", "b", "c"], [edge("a", "b"), edge("b", "c")])).toBe(true);
    expect(isChain(["a", "b", "c"], [edge("a", "b"), edge("a", "c")])).toBe(false);
    expect(isChain(["a"], [])).toBe(true);
  });
});
