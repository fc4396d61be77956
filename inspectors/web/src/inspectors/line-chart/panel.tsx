/** One metric: its heading with what is hidden or left out, its chart, its figures as a table. */
import { useSignal } from "@preact/signals";
import { useMemo, useRef } from "preact/hooks";
import type uPlot from "uplot";
import { align, type Drawn, draw, type Line } from "../../lib/chart";
import { fileName, toCsv } from "../../lib/csv";
import { count, si } from "../../lib/format";
import { readingsAt } from "../../lib/readings";
import { clippedRange, outside } from "../../lib/scale";
import { runName, usePage } from "../../stores/page";
import { canvasPng, download } from "../../ui/download";
import { token } from "../../ui/theme";
import type { ChartControls } from "./controls";
import { type CursorAt, type OffAxis, Plot } from "./plot";
import type { PlotLine } from "./plot-options";
import type { Strokes } from "./strokes";
import { PointTable } from "./table";
import { describeX, Tooltip } from "./tooltip";

export interface PanelProps {
  metric: string;
  lines: readonly Line[];
  version: number;
  strokes: Strokes;
  c: ChartControls;
  syncKey: string;
  /** Whether no further point will come. */
  over: boolean;
}

export function Panel({ metric, lines, version, strokes, c, syncKey, over }: PanelProps) {
  const page = usePage();
  const plot = useRef<uPlot | null>(null);
  const cursor = useSignal<{ at: CursorAt; own: boolean } | null>(null);
  const said = useSignal("");
  const unsaved = useSignal(false);
  const axis = c.axis.value;
  const logX = c.logX.value && axis !== "wall";
  const logY = c.logY.value;
  const mode = c.mode.value;
  const weight = c.weight.value;

  const drawn = useMemo(
    () => lines.map((line) => draw(line, axis, mode, weight)),
    [lines, version, axis, mode, weight],
  );
  const table = useMemo(() => tableOf(drawn, logX, logY), [drawn, logX, logY]);
  const clip = c.clip.value
    ? clippedRange(drawn.map((d) => d.ys).map((ys) => (logY ? ys.filter((y) => y > 0) : ys)))
    : null;
  const offAxis = useMemo(() => offAxisOf(drawn, strokes), [drawn, strokes]);
  const crowd = drawn.length;
  const plotLines: PlotLine[] = drawn.flatMap((d) => {
    const { stroke } = strokes.of(d.line);
    return d.smoothed
      ? [
          { stroke, faint: true, crowd },
          { stroke, faint: false, crowd },
        ]
      : [{ stroke, faint: false, crowd }];
  });

  const readingsOf = (at: CursorAt) => {
    const x = at.row === null ? undefined : table[0][at.row];
    return x === undefined ? null : { x, readings: readingsAt(drawn, x, at.y) };
  };
  const onCursor = (at: CursorAt, own: boolean) => {
    cursor.value = at.row === null ? null : { at, own };
    if (!own) return;
    const here = readingsOf(at);
    page.hover.value = here && axis === "step" ? here.x : null;
    if (here && document.activeElement?.contains(plot.current?.root ?? null)) {
      const first = here.readings
        .slice(0, 4)
        .map((r) => `${strokes.of(r.drawn.line).name} ${strokes.detail(r.drawn.line)} ${si(r.smoothed ?? r.raw)}`);
      said.value = `${describeX(axis, here.x)}: ${first.join(", ")}`;
    }
  };
  const onPick = (at: CursorAt) => {
    const here = readingsOf(at);
    const nearestLine = here?.readings[0]?.drawn;
    if (!here || !nearestLine) return;
    const { id, steps } = nearestLine.line;
    const row = nearestLine.xs.findIndex((x) => x >= here.x);
    page.seek.value = {
      run: id.run,
      block: id.block,
      labels: id.labels,
      step: steps[row < 0 ? steps.length - 1 : row] ?? 0,
    };
  };

  const here = cursor.value ? readingsOf(cursor.value.at) : null;
  const names = [...new Set(lines.map((line) => runName(page, line.id.run)))];
  const blocks = [...new Set(lines.map((line) => line.id.block))];
  const fileParts = [names.length > 3 ? `${names.length}-runs` : names.join("-"), blocks.join("-"), metric];
  const savePng = async () => {
    if (!plot.current) return;
    unsaved.value = false;
    try {
      download(fileName(fileParts, "png"), await canvasPng(plot.current.ctx.canvas, token("--bg")));
    } catch {
      unsaved.value = true; // a canvas too large for the browser, or a browser that lets no page read one
    }
  };
  return (
    <section class="panel" aria-label={metric} data-metric={metric}>
      <header class="panel-head">
        <h3 class="truncate" title={metric}>
          {metric}
        </h3>
        <Badges drawn={drawn} logX={logX} logY={logY} clip={clip} />
        {unsaved.value && (
          <span class="badge" role="alert">
            this browser gives no PNG
          </span>
        )}
        <span class="spread row tools">
          <button
            type="button"
            class="button quiet icon"
            title="Download the points as CSV"
            aria-label={`Download ${metric} as CSV`}
            onClick={() =>
              download(
                fileName(fileParts, "csv"),
                new Blob([toCsv(drawn, (uid) => runName(page, uid))], { type: "text/csv" }),
              )
            }
          >
            <span class="small">CSV</span>
          </button>
          <button
            type="button"
            class="button quiet icon"
            title="Download the chart as PNG"
            aria-label={`Download ${metric} as PNG`}
            onClick={savePng}
          >
            <span class="small">PNG</span>
          </button>
        </span>
      </header>
      <div
        class="plot-box"
        onPointerLeave={() => {
          page.hover.value = null;
        }}
      >
        <div class="plot-size">
          <Plot
            label={`${metric}, ${count(drawn.length, "line")}`}
            table={table}
            choices={{ axis, logX, logY, syncKey, lines: plotLines }}
            view={{ range: c.range.value, clip }}
            offAxis={offAxis}
            mark={axis === "step" && !cursor.value ? page.hover.value : null}
            onCursor={onCursor}
            onZoom={(range) => c.range.set(range, true)}
            onPick={onPick}
            onReady={(u) => {
              plot.current = u;
            }}
          />
          {drawn.length === 0 && (
            <p class="plot-empty muted">{over ? "No points" : "No points yet. They appear as the block runs."}</p>
          )}
        </div>
        {here && cursor.value && here.readings.length > 0 && (
          <Tooltip
            axis={axis}
            x={here.x}
            at={cursor.value.at}
            width={plot.current?.over.clientWidth ?? 0}
            readings={here.readings}
            strokes={strokes}
          />
        )}
      </div>
      <div class="visually-hidden" aria-live="polite">
        {said.value}
      </div>
      {c.table.value && <PointTable drawn={drawn} axis={axis} strokes={strokes} />}
    </section>
  );
}

function tableOf(drawn: readonly Drawn[], logX: boolean, logY: boolean) {
  const inputs = drawn.flatMap((d) =>
    d.smoothed
      ? [
          { xs: d.xs, ys: d.ys },
          { xs: d.xs, ys: d.smoothed },
        ]
      : [{ xs: d.xs, ys: d.ys }],
  );
  return align(inputs, { x: logX, y: logY });
}

function offAxisOf(drawn: readonly Drawn[], strokes: Strokes): OffAxis[] {
  const marks: OffAxis[] = [];
  for (const d of drawn) {
    const { hue } = strokes.of(d.line).stroke;
    d.ys.forEach((y, i) => {
      if (!Number.isFinite(y)) marks.push({ x: d.xs[i] as number, hue, top: y !== Number.NEGATIVE_INFINITY });
    });
  }
  return marks;
}

/** What the chart does not show, said openly. */
function Badges({
  drawn,
  logX,
  logY,
  clip,
}: {
  drawn: readonly Drawn[];
  logX: boolean;
  logY: boolean;
  clip: readonly [number, number] | null;
}) {
  const sum = (f: (d: Drawn) => number) => drawn.reduce((n, d) => n + f(d), 0);
  const odd = sum((d) => d.line.nonFinite);
  const hidden = logY ? sum((d) => d.line.hiddenOnLog) : 0;
  const before = logX ? sum((d) => d.xs.filter((x) => x <= 0).length) : 0;
  const clipped = clip ? sum((d) => outside(d.ys, clip)) : 0;
  const total = sum((d) => d.line.total);
  const shown = sum((d) => d.ys.length);
  return (
    <span class="row wrap">
      {odd > 0 && <span class="badge">{count(odd, "point")} NaN or ∞</span>}
      {hidden > 0 && <span class="badge">{count(hidden, "point")} ≤ 0 hidden</span>}
      {before > 0 && <span class="badge">{count(before, "point")} at x ≤ 0 hidden</span>}
      {clipped > 0 && <span class="badge">{count(clipped, "point")} clipped</span>}
      {shown < total && (
        <span class="small muted nowrap" title="The lowest and the highest of each stretch are shown; zoom in for more">
          showing {shown.toLocaleString("en-US")} of {total.toLocaleString("en-US")}
        </span>
      )}
    </span>
  );
}
