/** Which colour and which dash a run has: a function of its UID, kept for as long as the run is selected. */

/** Okabe–Ito, in the order in which the hues are easiest told apart. `--run-0` … `--run-5` are their values by theme. */
export const HUES = 6;
/** Dashes of a line after the six hues: solid first. Lengths in CSS pixels. */
export const DASHES: readonly (readonly number[])[] = [[], [8, 4], [2, 3], [10, 3, 2, 3]];

/** FNV-1a, 32 bits: the same for everybody who opens the same link. */
export function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    h ^= text.charCodeAt(i);
    h = Math.imul(h, 0x01000193);
  }
  return h >>> 0;
}

/**
 * The slot of every run, by UID. A run that had one keeps it; new ones take the free slots in the order of their hashes, so
 * that few runs have the hues that are easiest told apart and everybody who opens a link sees the same.
 */
export function assignSlots(
  uids: readonly string[],
  before: ReadonlyMap<string, number> = new Map(),
): Map<string, number> {
  const slots = new Map<string, number>();
  const taken = new Set<number>();
  for (const uid of uids) {
    const slot = before.get(uid);
    if (slot === undefined || taken.has(slot)) continue;
    slots.set(uid, slot);
    taken.add(slot);
  }
  const fresh = uids.filter((uid) => !slots.has(uid)).sort((a, b) => hash(a) - hash(b) || (a < b ? -1 : 1));
  let next = 0;
  for (const uid of fresh) {
    while (taken.has(next)) next += 1;
    slots.set(uid, next); // past the last slot the dashes begin anew: the legend still tells the runs apart by name
    taken.add(next);
  }
  return slots;
}

export const hueOf = (slot: number): number => slot % HUES;
export const dashOf = (slot: number): readonly number[] => DASHES[Math.floor(slot / HUES) % DASHES.length] ?? [];
