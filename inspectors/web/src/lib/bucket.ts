/** Searching an axis that ascends. */

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
