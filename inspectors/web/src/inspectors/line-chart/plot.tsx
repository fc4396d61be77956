/** One chart: uPlot in a box that may be resized, with zoom, pan, a keyboard cursor and clicks that name a point. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { nearest } from "../../lib/bucket";
import type { Column } from "../../lib/chart";
import { theme, token } from "../../ui/theme";
import { type PlotChoices, type PlotView, plotOptions } from "./plot-options";

export interface CursorAt {
  /** The row of the table; null where the pointer is outside. */
  row: number | null;
  left: number;
  top: number;
  /** The value of y under the pointer. */
  y: number | null;
}

/** A value without a place on the y axis. */
export interface OffAxis {
  x: number;
  hue: number;
  /** At the upper edge (NaN, Infinity) or the lower one (-Infinity). */
  top: boolean;
}

export interface PlotProps {
  label: string;
  table: [number[], ...Column[]];
  choices: PlotChoices;
  view: PlotView;
  offAxis: readonly OffAxis[];
  /** An x that another inspector speaks of. */
  mark: number | null;
  onCursor: (at: CursorAt, own: boolean) => void;
  onZoom: (range: [number, number] | null) => void;
  onPick: (at: CursorAt) => void;
  onReady: (u: uPlot | null) => void;
}

export function Plot(props: PlotProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const shape = JSON.stringify(props.choices) + theme.value;
  const { range, clip } = props.view;

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const u = new uPlot(
      plotOptions(element.clientWidth, element.clientHeight, props.choices, () => latest.current.view, hooks(latest)),
      latest.current.table as uPlot.AlignedData,
      element,
    );
    plot.current = u;
    latest.current.onReady(u);
    const unbind = bindPointer(u, latest);
    const observer = new ResizeObserver(() => {
      if (element.clientWidth > 0 && element.clientHeight > 0)
        u.setSize({ width: element.clientWidth, height: element.clientHeight });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      unbind();
      latest.current.onReady(null);
      u.destroy();
      plot.current = null;
    };
  }, [shape]);

  useEffect(() => {
    plot.current?.setData(props.table as uPlot.AlignedData); // which asks for the ranges of the scales too
  }, [props.table, range?.join(), clip?.join()]);

  useEffect(() => {
    plot.current?.redraw(false);
  }, [props.mark, props.offAxis]);

  return (
    <div
      ref={box}
      class="plot"
      role="group"
      tabIndex={0}
      aria-label={`${props.label}. Arrow keys move the cursor, Enter shows the image of the step, Escape resets the zoom.`}
      onKeyDown={(event) => onKey(event, plot.current, latest.current)}
    />
  );
}

function at(u: uPlot): CursorAt {
  const { idx, left, top } = u.cursor;
  const inside = (left ?? -1) >= 0 && idx !== null && idx !== undefined;
  return { row: inside ? idx : null, left: left ?? 0, top: top ?? 0, y: inside ? u.posToVal(top ?? 0, "y") : null };
}

function hooks(latest: { current: PlotProps }): uPlot.Hooks.Arrays {
  return {
    setCursor: [
      (u) =>
        latest.current.onCursor(at(u), u.over.matches(":hover") || u.root.parentElement === document.activeElement),
    ],
    setSelect: [
      (u) => {
        if (u.select.width < 4) return;
        const from = u.posToVal(u.select.left, "x");
        const to = u.posToVal(u.select.left + u.select.width, "x");
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        latest.current.onZoom([from, to]);
      },
    ],
    draw: [(u) => drawMarks(u, latest.current)],
  };
}

/** The marks of values without a place, at the edges; the line of the step that is spoken of elsewhere. */
function drawMarks(u: uPlot, { offAxis, mark }: PlotProps): void {
  const { ctx, bbox } = u;
  const px = devicePixelRatio;
  ctx.save();
  for (const { x, hue, top } of offAxis) {
    const cx = u.valToPos(x, "x", true);
    if (cx < bbox.left || cx > bbox.left + bbox.width) continue;
    const cy = top ? bbox.top + 5 * px : bbox.top + bbox.height - 5 * px;
    const size = 4 * px;
    ctx.strokeStyle = token(`--run-${hue}`);
    ctx.lineWidth = 1.5 * px;
    ctx.beginPath();
    ctx.moveTo(cx - size, cy - size);
    ctx.lineTo(cx + size, cy + size);
    ctx.moveTo(cx + size, cy - size);
    ctx.lineTo(cx - size, cy + size);
    ctx.stroke();
  }
  if (mark !== null) {
    const cx = Math.round(u.valToPos(mark, "x", true));
    if (cx >= bbox.left && cx <= bbox.left + bbox.width) {
      ctx.strokeStyle = token("--muted");
      ctx.lineWidth = px;
      ctx.setLineDash([3 * px, 3 * px]);
      ctx.beginPath();
      ctx.moveTo(cx, bbox.top);
      ctx.lineTo(cx, bbox.top + bbox.height);
      ctx.stroke();
    }
  }
  ctx.restore();
}

function bindPointer(u: uPlot, latest: { current: PlotProps }): () => void {
  let panFrom: { x: number; low: number; high: number } | null = null;
  let downAt: { x: number; y: number } | null = null;
  const onDown = (event: MouseEvent) => {
    downAt = { x: event.clientX, y: event.clientY };
    if (!event.shiftKey || event.button !== 0) return;
    const { min, max } = u.scales.x as uPlot.Scale;
    if (min === undefined || max === undefined || min === null || max === null) return;
    panFrom = { x: event.clientX, low: min, high: max };
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  const onMove = (event: MouseEvent) => {
    if (!panFrom) return;
    const by = ((panFrom.x - event.clientX) / u.over.clientWidth) * (panFrom.high - panFrom.low);
    latest.current.onZoom([panFrom.low + by, panFrom.high + by]);
  };
  const onUp = () => {
    panFrom = null;
  };
  const onClick = (event: MouseEvent) => {
    if (event.shiftKey || !downAt || Math.hypot(event.clientX - downAt.x, event.clientY - downAt.y) > 4) return;
    latest.current.onPick(at(u));
  };
  const onDouble = () => latest.current.onZoom(null);
  u.over.addEventListener("mousedown", onDown, { capture: true });
  addEventListener("mousemove", onMove);
  addEventListener("mouseup", onUp);
  u.over.addEventListener("click", onClick);
  u.over.addEventListener("dblclick", onDouble);
  return () => {
    removeEventListener("mousemove", onMove);
    removeEventListener("mouseup", onUp);
  };
}

const STEPS: Readonly<Record<string, number>> = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 };

function onKey(event: KeyboardEvent, u: uPlot | null, props: PlotProps): void {
  if (!u || event.ctrlKey || event.metaKey || event.altKey) return;
  const xs = u.data[0];
  const by = STEPS[event.key];
  const row = u.cursor.idx ?? nearest(xs, (u.scales.x as uPlot.Scale).min ?? 0);
  let to: number | null = null;
  if (by !== undefined) to = (u.cursor.left ?? -1) < 0 ? row : row + by;
  else if (event.key === "Home") to = 0;
  else if (event.key === "End") to = xs.length - 1;
  else if (event.key === "Enter") props.onPick(at(u));
  else if (event.key === "Escape") props.onZoom(null);
  else return;
  event.preventDefault();
  if (to === null || xs.length === 0) return;
  const x = xs[Math.max(0, Math.min(xs.length - 1, to))] as number;
  u.setCursor({ left: u.valToPos(x, "x"), top: u.over.clientHeight / 2 }, true);
}
