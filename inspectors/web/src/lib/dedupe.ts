/**
 * Which events have been seen. (pod, seq) names an event for ever and each pod counts from 0, so that a mark below which
 * all are seen and a few above it are enough, however long the run.
 */
export class Seen {
  private readonly pods = new Map<string, { below: number; above: Set<number> }>();

  /** True the first time. */
  add(pod: string, seq: number): boolean {
    let entry = this.pods.get(pod);
    if (!entry) {
      entry = { below: 0, above: new Set() };
      this.pods.set(pod, entry);
    }
    if (seq < entry.below || entry.above.has(seq)) return false;
    entry.above.add(seq);
    while (entry.above.delete(entry.below)) entry.below += 1;
    return true;
  }

  clear(): void {
    this.pods.clear();
  }
}
