/**
 * Which events have been seen. (pod, seq) names an event for ever, and each pod sends in order, so that those numbers are
 * enough that are not far behind the newest: a retry may bring the last ones again, or late, but no older ones. One may
 * join in the middle, where the numbers before never come.
 */

/** Far more than the events that a pod sends at once. */
const WINDOW = 1000;

export class Seen {
  private readonly pods = new Map<string, { newest: number; recent: Set<number> }>();

  /** True the first time. */
  add(pod: string, seq: number): boolean {
    let entry = this.pods.get(pod);
    if (!entry) {
      entry = { newest: seq, recent: new Set() };
      this.pods.set(pod, entry);
    }
    if (seq <= entry.newest - WINDOW || entry.recent.has(seq)) return false;
    entry.recent.add(seq);
    entry.newest = Math.max(entry.newest, seq);
    if (entry.recent.size > 2 * WINDOW)
      for (const old of entry.recent) if (old <= entry.newest - WINDOW) entry.recent.delete(old);
    return true;
  }

  /** How many numbers are kept. */
  get size(): number {
    return [...this.pods.values()].reduce((n, { recent }) => n + recent.size, 0);
  }

  clear(): void {
    this.pods.clear();
  }
}
