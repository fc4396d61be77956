/** A line so small that it has no axes: an SVG path over a box of 100 × 24, gaps where a value is not finite. */

export const BOX = { width: 100, height: 24, pad: 2 } as const;

/** The path's `d`; empty where there is nothing to draw. A single value is drawn as a level line. */
export function sparkPath(values: readonly (number | null)[]): string {
  const finite = values.filter((v): v is number => v !== null && Number.isFinite(v));
  if (finite.length === 0) return "";
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const y = (v: number) =>
    high === low ? BOX.height / 2 : BOX.height - BOX.pad - ((v - low) / (high - low)) * (BOX.height - 2 * BOX.pad);
  if (values.length === 1) return `M0 ${y(finite[0] as number)}H${BOX.width}`;
  const step = BOX.width / (values.length - 1);
  let pen = "M";
  let d = "";
  values.forEach((v, i) => {
    if (v === null || !Number.isFinite(v)) {
      pen = "M";
      return;
    }
    d += `${pen}${round(i * step)} ${round(y(v))}`;
    pen = "L";
  });
  return d;
}

const round = (n: number): number => Math.round(n * 100) / 100;
