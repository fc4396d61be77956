/** Fewer points, the same picture: each bucket keeps its lowest and its highest point, so that no spike is lost. */

/**
 * The indices to keep, ascending, of a series of `ys.length` points: at most `limit`, with both ends among them. Points that
 * are not finite are not kept; they are counted and marked apart.
 */
export function minMaxIndices(ys: ArrayLike<number>, limit: number): number[] {
  const n = ys.length;
  if (limit < 4) throw new RangeError(`limit must be at least 4; got ${limit}`);
  if (n <= limit) return Array.from({ length: n }, (_, i) => i);
  const buckets = Math.floor((limit - 2) / 2);
  const kept: number[] = [0];
  for (let b = 0; b < buckets; b += 1) {
    const from = 1 + Math.floor((b * (n - 2)) / buckets);
    const to = 1 + Math.floor(((b + 1) * (n - 2)) / buckets);
    let low = -1;
    let high = -1;
    for (let i = from; i < to; i += 1) {
      const y = ys[i] as number;
      if (!Number.isFinite(y)) continue;
      if (low < 0 || y < (ys[low] as number)) low = i;
      if (high < 0 || y > (ys[high] as number)) high = i;
    }
    if (low < 0) continue;
    kept.push(Math.min(low, high));
    if (low !== high) kept.push(Math.max(low, high));
  }
  kept.push(n - 1);
  return kept;
}

/** The first index with xs[i] >= x; xs ascends. */
export function lowerBound(xs: ArrayLike<number>, x: number): number {
  let from = 0;
  let to = xs.length;
  while (from < to) {
    const mid = (from + to) >> 1;
    if ((xs[mid] as number) < x) from = mid + 1;
    else to = mid;
  }
  return from;
}

/** The index of the point nearest to x; -1 where there is none. */
export function nearest(xs: ArrayLike<number>, x: number): number {
  if (xs.length === 0) return -1;
  const right = lowerBound(xs, x);
  if (right === 0) return 0;
  if (right === xs.length) return xs.length - 1;
  return (xs[right] as number) - x < x - (xs[right - 1] as number) ? right : right - 1;
}
