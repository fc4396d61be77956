/** Where a metric is heading: the least-squares slope of its last five values, with a dead band around zero. */

export type Trend = "up" | "down" | "flat" | "unknown";

export const TREND_WINDOW = 5;
/** A change over the window smaller than this share of the values' own size is flat. */
export const DEAD_BAND = 0.01;

/** Least-squares slope of ys over 0, 1, 2, …: Σ(i − ī)(y − ȳ) / Σ(i − ī)². */
export function slope(ys: readonly number[]): number {
  const n = ys.length;
  if (n < 2) return 0;
  const middle = (n - 1) / 2;
  const mean = ys.reduce((sum, y) => sum + y, 0) / n;
  let above = 0;
  let below = 0;
  ys.forEach((y, i) => {
    above += (i - middle) * (y - mean);
    below += (i - middle) ** 2;
  });
  return above / below;
}

/** The trend of the last five finite values; unknown with fewer than two. */
export function trend(values: readonly number[]): Trend {
  const last = values.filter(Number.isFinite).slice(-TREND_WINDOW);
  if (last.length < 2) return "unknown";
  const change = slope(last) * (last.length - 1);
  const scale = Math.max(...last.map(Math.abs));
  if (scale === 0 || Math.abs(change) <= DEAD_BAND * scale) return "flat";
  return change > 0 ? "up" : "down";
}

export const TREND_ARROW: Record<Trend, string> = { up: "↗", down: "↘", flat: "→", unknown: "·" };
