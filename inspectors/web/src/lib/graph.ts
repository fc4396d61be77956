/** Where the blocks of a run stand: layers from left to right by what they wait for. Pure. */
import type { Edge } from "../types/api";

export interface Placed {
  name: string;
  layer: number;
  row: number;
}

/**
 * Each block in the layer after its last dependency (longest path), rows in the order of the spec. An edge whose block is
 * unknown is left out; a cycle, which the operator refuses, ends at its first repetition.
 */
export function layers(blocks: readonly string[], edges: readonly Edge[]): Placed[] {
  const sources = new Map(
    blocks.map((name) => [
      name,
      edges.filter((e) => e.target === name && blocks.includes(e.source)).map((e) => e.source),
    ]),
  );
  const depth = new Map<string, number>();
  const depthOf = (name: string, path: ReadonlySet<string>): number => {
    const known = depth.get(name);
    if (known !== undefined) return known;
    const before = (sources.get(name) ?? []).filter((source) => !path.has(source));
    const value =
      before.length === 0 ? 0 : 1 + Math.max(...before.map((source) => depthOf(source, new Set([...path, name]))));
    depth.set(name, value);
    return value;
  };
  const rows = new Map<number, number>();
  return blocks.map((name) => {
    const layer = depthOf(name, new Set([name]));
    const row = rows.get(layer) ?? 0;
    rows.set(layer, row + 1);
    return { name, layer, row };
  });
}

/** Whether the blocks are a chain: each waits for the one before it and for nothing else. */
export function isChain(blocks: readonly string[], edges: readonly Edge[]): boolean {
  return (
    edges.length === Math.max(0, blocks.length - 1) &&
    blocks.every((name, i) => i === 0 || edges.some((e) => e.source === blocks[i - 1] && e.target === name))
  );
}
