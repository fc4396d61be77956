/** uPlot's options from ours: axes, scales, strokes. Built anew when a choice changes, never for a new point or another view. */
import type uPlot from "uplot";
import type { Axis } from "../../lib/chart";
import { DASHES } from "../../lib/colors";
import { offset, si } from "../../lib/format";
import { logLabels } from "../../lib/scale";
import type { Stroke } from "../../stores/page";
import { token } from "../../ui/theme";

export interface PlotLine {
  stroke: Stroke;
  /** The raw line behind a smoothed one. */
  faint: boolean;
  /** How many lines share the group: many lines are drawn thinner. */
  crowd: number;
}

export interface PlotChoices {
  axis: Axis;
  logX: boolean;
  logY: boolean;
  syncKey: string;
  lines: readonly PlotLine[];
}

/** What of the data is seen. It changes with every move of a pan, so that the scales ask for it. */
export interface PlotView {
  range: readonly [number, number] | null;
  /** A fixed y range, where outliers are clipped. */
  clip: readonly [number, number] | null;
}

const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif";

function xValues(axis: Axis): uPlot.Axis["values"] | undefined {
  if (axis === "wall") return undefined; // uPlot's own calendar
  if (axis === "relative") return (_u, ticks) => ticks.map(offset);
  return (_u, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? si(tick) : ""));
}

function yRange(choices: PlotChoices, view: () => PlotView): uPlot.Scale.Range {
  return (_u, low, high) => {
    const { clip } = view();
    if (clip) [low, high] = clip;
    if (low === null || high === null || !Number.isFinite(low)) return choices.logY ? [0.1, 1] : [0, 1];
    if (choices.logY) {
      const from = 10 ** Math.floor(Math.log10(low) + 1e-9);
      const to = 10 ** Math.ceil(Math.log10(high) - 1e-9);
      return high / low > 10 ? [from, to === from ? from * 10 : to] : [low / 1.1, high * 1.1];
    }
    const span = high - low || Math.abs(high) || 1;
    const pad = span * 0.06;
    // A quantity that never goes below zero keeps zero as its ground where that is near.
    const floor = low >= 0 && low < span * 0.3 ? 0 : low - pad;
    return [floor, high + pad];
  };
}

function xRange(choices: PlotChoices, view: () => PlotView): uPlot.Scale.Range {
  return (_u, low, high) => {
    const { range } = view();
    if (range) return [range[0], range[1]];
    if (low === null || high === null) return [choices.logX ? 1 : 0, choices.logX ? 10 : 1];
    if (low === high) return choices.logX ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    return [low, high];
  };
}

export function plotOptions(
  width: number,
  height: number,
  choices: PlotChoices,
  view: () => PlotView,
  hooks: uPlot.Hooks.Arrays,
): uPlot.Options {
  const muted = token("--muted");
  const line = token("--line");
  const axisBase: uPlot.Axis = {
    stroke: muted,
    font: FONT,
    grid: { stroke: line, width: 1 },
    ticks: { show: false },
    border: { show: false },
  };
  const logValues = (_u: uPlot, ticks: (number | null)[]) => ticks.map((t) => (t === null ? "" : si(t)));
  const logFilter = (_u: uPlot, ticks: number[]) => logLabels(ticks);
  const xLabels = choices.logX ? logValues : xValues(choices.axis);
  return {
    width,
    height,
    padding: [10, 12, 0, 0],
    legend: { show: false },
    focus: { alpha: 1 },
    cursor: {
      sync: { key: choices.syncKey, setSeries: false },
      drag: { x: true, y: false, setScale: false },
      // Of a crowd only the nearest line is marked; a line that has no point near the cursor is not.
      points: { size: 7, width: 2, one: choices.lines.length > 12 },
      focus: { prox: 24 },
      hover: { prox: 20, skip: [undefined] },
      bind: { dblclick: () => () => null },
    },
    scales: {
      x: { time: choices.axis === "wall", distr: choices.logX ? 3 : 1, range: xRange(choices, view) },
      y: { distr: choices.logY ? 3 : 1, range: yRange(choices, view) },
    },
    axes: [
      {
        ...axisBase,
        space: 64,
        size: 28,
        grid: { show: false },
        ...(xLabels ? { values: xLabels } : {}),
        ...(choices.logX ? { filter: logFilter } : {}),
      },
      {
        ...axisBase,
        size: 48,
        space: 32,
        values: choices.logY ? logValues : (_u, ticks) => ticks.map((t) => si(t)),
        ...(choices.logY ? { filter: logFilter, grid: { stroke: line, width: 1, filter: logFilter } } : {}),
      },
    ],
    series: [{}, ...choices.lines.map(seriesOptions)],
    hooks,
    ...(choices.axis === "wall" ? { ms: 1 as const } : {}),
  };
}

function seriesOptions({ stroke, faint, crowd }: PlotLine): uPlot.Series {
  const color = token(`--run-${stroke.hue}`);
  // Faint lines that lie upon each other must not add up to a full one.
  const alpha = faint ? Math.max(0.03, 0.3 / crowd ** 0.8) : crowd > 8 ? 0.6 : 1;
  return {
    stroke: color,
    width: faint ? 1 : crowd > 8 ? 1.25 : 1.75,
    alpha,
    dash: stroke.dash === DASHES[0] ? [] : [...stroke.dash],
    points: {
      show: (u: uPlot, i: number) => !faint && crowd <= 6 && pointCount(u, i) <= 32,
      size: 5,
      fill: color,
      stroke: color,
    },
  };
}

/** How many points a line has on the chart, counted until it is clear that they are many. */
function pointCount(u: uPlot, series: number): number {
  const column = u.data[series] ?? [];
  let n = 0;
  for (let i = 0; i < column.length && n <= 32; i += 1) if (typeof column[i] === "number") n += 1;
  return n;
}
