/** metric_line_chart: a chart a metric, all of them on one x axis, for one run or for several. */
import { useEffect, useMemo } from "preact/hooks";
import { type Backfill, useBackfill } from "../../api/backfill";
import type { Line } from "../../lib/chart";
import { type InspectorInit, runsOf } from "../../lib/init";
import { compareSeries } from "../../lib/series";
import { MetricNames } from "../../stores/metrics";
import { type Page, usePage } from "../../stores/page";
import type { MetricList, SeriesList } from "../../types/api";
import { ErrorNotice, Notice, Skeleton, Swatch } from "../../ui/bits";
import { useShortcuts } from "../../ui/keyboard";
import { ControlBar, chartControls, nextMode } from "./controls";
import { Panel } from "./panel";
import { Picker } from "./picker";
import { ChartSource } from "./source";
import { strokesOf } from "./strokes";

const POINTS = 2000;
const NONE: readonly Line[] = [];
/** While the slider moves no request is made; after so long at rest one is. */
const SETTLE_MS = 150;

export function MetricLineChart({ init }: { init: InspectorInit }) {
  const page = usePage();
  const runs = runsOf(init);
  const runsKey = runs.join();
  const c = useMemo(() => chartControls(init.urlPrefix ?? ""), [init.urlPrefix]);
  const { source: names } = useBackfill<MetricList, MetricNames>(page.feed, runsKey, () => new MetricNames(runs));
  const available = names.names.value;
  const chosen = c.metrics.value.length > 0 ? c.metrics.value : firstMetrics(init.metrics ?? [], available);
  const metrics = useMemo(() => [...chosen], [chosen.join("\n")]);

  const { source, backfill } = useBackfill<SeriesList, ChartSource>(
    page.feed,
    `${runsKey}|${metrics.join("\n")}`,
    () =>
      new ChartSource({
        runs,
        metrics,
        axis: c.axis.value,
        range: c.range.value,
        mode: c.mode.value,
        weight: c.weight.value,
        points: c.raw.value ? 0 : POINTS,
      }),
  );
  source.refresh = () => backfill.refetch();
  useRefetch(c, source, backfill);

  useShortcuts([
    { keys: "l", does: "Logarithmic y axis", run: () => c.logY.set(!c.logY.value) },
    { keys: "s", does: "Smoothing", run: () => c.mode.set(nextMode(c.mode.value)) },
  ]);

  const version = source.version.signal.value;
  const byRun = (a: Line, b: Line) => runs.indexOf(a.id.run) - runs.indexOf(b.id.run);
  const block = page.block();
  const hidden = page.hidden.value;
  const lines = useMemo(
    () =>
      [...source.lines.values()]
        .filter((line) => !hidden.has(line.id.run) && (!block || line.id.block === block))
        .sort((a, b) => byRun(a, b) || blockRank(page, a.id) - blockRank(page, b.id) || compareSeries(a.id, b.id)),
    [source, version, hidden, block, page.feed.details.value],
  );
  const strokes = useMemo(() => strokesOf(page, lines, runs.length), [lines, page.feed.details.value]);
  const byMetric = useMemo(
    () => new Map(metrics.map((metric) => [metric, lines.filter((line) => line.id.metric === metric)])),
    [lines, metrics],
  );
  const load = backfill.load.value;
  const over = runs.every((run) => page.feed.details.value.get(run)?.entry.over);
  return (
    <div class="line-chart">
      <div class="controls">
        <Picker available={available} chosen={metrics} onChange={c.metrics.set} />
        <ControlBar c={c} thinned={lines.some((line) => line.thinned)} />
      </div>
      {load.error && <ErrorNotice error={load.error} what="The curves" retry={() => backfill.refetch()} />}
      {source.notices.map((notice) => (
        <p class="badge" key={notice}>
          {notice}
        </p>
      ))}
      {strokes.groups.length > 1 && strokes.grouping !== "run" && (
        <ul class="legend small muted">
          {strokes.groups.map((group) => (
            <li class="row" key={group.key}>
              <Swatch slot={group.stroke.hue} dash={group.stroke.dash} />
              {group.name}
            </li>
          ))}
        </ul>
      )}
      {metrics.length === 0 && load.loaded ? (
        <Notice title="No metric yet">
          <p>Curves appear here as soon as a block emits its first point with ctx.metric().</p>
        </Notice>
      ) : (
        <div class="panels" data-count={Math.min(3, metrics.length)}>
          {metrics.map((metric) =>
            load.loaded ? (
              <Panel
                key={metric}
                metric={metric}
                lines={byMetric.get(metric) ?? NONE}
                version={version}
                strokes={strokes}
                c={c}
                syncKey={init.urlPrefix ?? "chart"}
                over={over}
              />
            ) : (
              <Skeleton key={metric} height={280} />
            ),
          )}
        </div>
      )}
    </div>
  );
}

/** The metrics that the spec names; where the runs emit others only, the first of those. */
export function firstMetrics(named: readonly string[], available: readonly string[]): readonly string[] {
  const known = available.length === 0 || named.some((name) => available.includes(name));
  return named.length > 0 && known ? named : available.slice(0, 3);
}

/** A block's place in its run, so that colours follow the order in which blocks run. */
function blockRank(page: Page, { run, block }: { run: string; block: string }): number {
  return page.feed.details.value.get(run)?.status.blocks.findIndex((b) => b.name === block) ?? 0;
}

/** Fetches anew when the server's answer would differ: another axis or range, or another smoothing of a thinned line. */
function useRefetch(c: ReturnType<typeof chartControls>, source: ChartSource, backfill: Backfill<SeriesList>): void {
  const { axis, range, mode, weight, raw } = {
    axis: c.axis.value,
    range: c.range.value,
    mode: c.mode.value,
    weight: c.weight.value,
    raw: c.raw.value,
  };
  const wanted = JSON.stringify([axis, range, mode, weight, raw]);
  useEffect(() => {
    source.query = { ...source.query, axis, range, mode, weight, points: raw ? 0 : POINTS };
    const { busy, error } = backfill.load.peek();
    if (!source.outdated(!busy && !error)) return; // every point is here: zooming and smoothing are ours
    const timer = setTimeout(() => backfill.refetch(), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [wanted, source]);
}
