/** Many lines in a small box without axes, all on one scale: the curves beside the samples that are to be judged. */
import { BOX } from "./sparkline";

export interface MiniLine {
  xs: readonly number[];
  ys: readonly (number | null)[];
}

/** An SVG path for each line over the box of a sparkline; empty where a line has nothing to draw. */
export function miniPaths(lines: readonly MiniLine[]): string[] {
  const finite = (y: number | null): y is number => y !== null && Number.isFinite(y);
  const ys = lines.flatMap((line) => line.ys.filter(finite));
  const xs = lines.flatMap((line) => [line.xs[0] ?? 0, line.xs.at(-1) ?? 0]);
  const [left, right] = [Math.min(...xs), Math.max(...xs)];
  const [low, high] = [Math.min(...ys), Math.max(...ys)];
  const px = (x: number) => round(right === left ? BOX.width / 2 : ((x - left) / (right - left)) * BOX.width);
  const py = (y: number) =>
    round(
      high === low ? BOX.height / 2 : BOX.height - BOX.pad - ((y - low) / (high - low)) * (BOX.height - 2 * BOX.pad),
    );
  return lines.map((line) => {
    let pen = "M";
    let d = "";
    line.ys.forEach((y, i) => {
      if (!finite(y)) {
        pen = "M";
        return;
      }
      d += `${pen}${px(line.xs[i] as number)} ${py(y)}`;
      pen = "L";
    });
    return d;
  });
}

const round = (n: number): number => Math.round(n * 100) / 100;
