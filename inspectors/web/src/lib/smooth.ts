/**
 * Exponential smoothing, debiased, over a full series. A value that is not finite is left out of the average and stays a
 * gap, so that one NaN does not erase the rest of the line.
 */

export const SMOOTHING_MODES = ["off", "ema", "time"] as const;
export type SmoothingMode = (typeof SMOOTHING_MODES)[number];

/** What an average needs to go on from where it stopped: Σ wᵏ·y, Σ wᵏ, and the last x. */
export interface SmoothState {
  total: number;
  norm: number;
  x: number;
}

export const START: Readonly<SmoothState> = { total: 0, norm: 0, x: Number.NaN };

/**
 * One step of the average, as the gateway takes it.
 * 1. w is `weight`, or `weight ** (dx / unit)` where the average is weighted by the distance on x.
 * 2. total ← w·total + y, and norm ← w·norm + 1.
 * 3. The debiased average is total / norm.
 */
export function advance(state: SmoothState, x: number, y: number, weight: number, unit: number | null): SmoothState {
  const w = unit === null ? weight : weight ** (Math.max(0, Number.isNaN(state.x) ? 0 : x - state.x) / unit);
  return { total: w * state.total + y, norm: w * state.norm + 1, x };
}

/** The mean distance between neighbouring finite points: what one step of a time-weighted average is measured in. */
export function meanGap(xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  let first = -1;
  let last = -1;
  let n = 0;
  for (let i = 0; i < ys.length; i += 1) {
    if (!Number.isFinite(ys[i] as number)) continue;
    if (first < 0) first = i;
    last = i;
    n += 1;
  }
  const span = n < 2 ? 0 : (xs[last] as number) - (xs[first] as number);
  return span > 0 ? span / (n - 1) : 1;
}

/**
 * The smoothed series; NaN stands where a value is not finite. `weight` is in [0, 1): 0 leaves the series as it is.
 * `mode` "time" weighs by the distance on x, so that points bunched together do not count for more.
 */
export function smooth(
  xs: ArrayLike<number>,
  ys: ArrayLike<number>,
  mode: SmoothingMode,
  weight: number,
): Float64Array {
  if (weight < 0 || weight >= 1) throw new RangeError(`weight must be in [0, 1); got ${weight}`);
  const out = Float64Array.from({ length: ys.length }, (_, i) => ys[i] as number);
  if (mode === "off" || weight === 0) return out;
  const unit = mode === "time" ? meanGap(xs, ys) : null;
  let state: SmoothState = START;
  for (let i = 0; i < out.length; i += 1) {
    const y = out[i] as number;
    if (!Number.isFinite(y)) {
      out[i] = Number.NaN;
      continue;
    }
    state = advance(state, xs[i] as number, y, weight, unit);
    out[i] = state.total / state.norm;
  }
  return out;
}
