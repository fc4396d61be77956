/** What a logarithmic or clipped axis shows, and what it has to own up to hiding. */

/** How many values a logarithmic axis has no place for: finite and not above zero. */
export function hiddenOnLog(ys: ArrayLike<number>): number {
  let hidden = 0;
  for (let i = 0; i < ys.length; i += 1) {
    const y = ys[i] as number;
    if (Number.isFinite(y) && y <= 0) hidden += 1;
  }
  return hidden;
}

/** How many values are NaN or infinite. */
export function nonFinite(ys: ArrayLike<number>): number {
  let n = 0;
  for (let i = 0; i < ys.length; i += 1) if (!Number.isFinite(ys[i] as number)) n += 1;
  return n;
}

/** Of the ticks of a base-10 axis those that are shown: powers of ten, thinned to about six; within a decade round figures. */
export function logLabels(ticks: readonly number[]): (number | null)[] {
  const powers = ticks.filter((t) => isPowerOfTen(t));
  if (powers.length < 2) {
    const round = ticks.filter((t) => Number(t.toPrecision(2)) === t);
    const every = Math.max(1, Math.ceil(round.length / 6));
    return ticks.map((t) => (round.includes(t) && round.indexOf(t) % every === 0 ? t : null));
  }
  const every = Math.max(1, Math.ceil(powers.length / 6));
  return ticks.map((t) => (isPowerOfTen(t) && Math.round(Math.log10(t)) % every === 0 ? t : null));
}

export function isPowerOfTen(value: number): boolean {
  if (value <= 0) return false;
  const exponent = Math.log10(value);
  return Math.abs(exponent - Math.round(exponent)) < 1e-9;
}

/** The range that holds the middle 98 % of the finite values of all lines; null where there are none. */
export function clippedRange(lines: readonly ArrayLike<number>[], low = 0.01, high = 0.99): [number, number] | null {
  const all: number[] = [];
  for (const ys of lines) for (let i = 0; i < ys.length; i += 1) if (Number.isFinite(ys[i])) all.push(ys[i] as number);
  if (all.length === 0) return null;
  all.sort((a, b) => a - b);
  return [quantile(all, low), quantile(all, high)];
}

/** Linear interpolation between the two neighbours; `sorted` is not empty. */
export function quantile(sorted: readonly number[], q: number): number {
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const a = sorted[below] as number;
  const b = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return a + (b - a) * (at - below);
}

/** How many values lie outside of a range. */
export function outside(ys: ArrayLike<number>, [low, high]: readonly [number, number]): number {
  let n = 0;
  for (let i = 0; i < ys.length; i += 1) {
    const y = ys[i] as number;
    if (Number.isFinite(y) && (y < low || y > high)) n += 1;
  }
  return n;
}
