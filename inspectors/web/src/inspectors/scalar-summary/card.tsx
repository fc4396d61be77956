/** A metric: its newest value large, where it is heading, its bounds, its last hundred values; a row a run in comparisons. */
import { useMemo } from "preact/hooks";
import { age, delta, full, si } from "../../lib/format";
import { freshness, recent, type Summary } from "../../lib/summary";
import { TREND_ARROW, trend } from "../../lib/trend";
import { list } from "../../lib/urlstate";
import { now } from "../../stores/clock";
import { type Page, runName, runStroke, usePage } from "../../stores/page";
import { Figure, Swatch } from "../../ui/bits";
import { Icon } from "../../ui/icons";
import { control } from "../../ui/router";
import { Sparkline } from "../../ui/sparkline";
import { MetricLineChart } from "../line-chart";

export interface CardProps {
  name: string;
  rows: readonly Summary[];
  runs: readonly string[];
  urlPrefix: string;
}

/** Whether silence is to be expected: the run is over, or waits, or is held. */
function isAtRest(page: Page, run: string): boolean {
  return page.feed.details.value.get(run)?.entry.phase !== "Running";
}

export function Card({ name, rows, runs, urlPrefix }: CardProps) {
  const opened = useMemo(() => control(list("o"), urlPrefix), [urlPrefix]);
  const open = opened.value.includes(name);
  const many = runs.length > 1;
  return (
    <article class="card" data-metric={name} data-open={open}>
      <header class="card-head">
        <h3 class="truncate" title={name}>
          {name}
        </h3>
        <button
          type="button"
          class="button quiet icon"
          aria-expanded={open}
          aria-label={`${open ? "Close" : "Open"} the series of ${name}`}
          title={open ? "Close the series" : "Open the series"}
          onClick={() => opened.set(open ? opened.value.filter((other) => other !== name) : [...opened.value, name])}
        >
          <Icon name={open ? "close" : "expand"} />
        </button>
      </header>
      {many ? <Rows rows={rows} /> : rows[0] && <Single summary={rows[0]} />}
      {open && <MetricLineChart init={{ runs, metrics: [name], urlPrefix: `${urlPrefix}${name}.` }} />}
    </article>
  );
}

function TrendWord({ summary }: { summary: Summary }) {
  const way = trend(recent(summary));
  return (
    <span class="trend" title="The slope of the last five values">
      <span aria-hidden="true">{TREND_ARROW[way]}</span> {way === "unknown" ? "too few" : way}
    </span>
  );
}

function Stale({ summary }: { summary: Summary }) {
  const page = usePage();
  const { lastTime } = summary.stats;
  if (lastTime === null) return null;
  const seconds = (now.value - lastTime) / 1000;
  const late = freshness(summary, now.value, isAtRest(page, summary.run)) === "overdue";
  return (
    <span class={`small nowrap ${late ? "state-wait" : "muted"}`} title={new Date(lastTime).toISOString()}>
      {late ? "overdue: " : ""}last point {seconds < 1 ? "now" : `${age(seconds)} ago`}
    </span>
  );
}

/** The newest value; its step is marked in the charts and the slideshow while the pointer is here, and theirs here. */
function Newest({ summary }: { summary: Summary }) {
  const page = usePage();
  const { last, lastStep } = summary.stats;
  return (
    <span
      class="newest"
      data-marked={lastStep !== null && page.hover.value === lastStep}
      onPointerEnter={() => {
        page.hover.value = lastStep;
      }}
      onPointerLeave={() => {
        page.hover.value = null;
      }}
    >
      <Figure value={last} />
    </span>
  );
}

function Single({ summary }: { summary: Summary }) {
  const { stats } = summary;
  return (
    <>
      <p class="card-value">
        <Newest summary={summary} />
        <TrendWord summary={summary} />
      </p>
      <Sparkline
        values={summary.sparkline}
        color="var(--run-0)"
        label={`${summary.name}: the last ${summary.sparkline.length} values`}
      />
      <dl class="card-stats">
        <Stat name="min" value={stats.min} step={stats.minStep} />
        <Stat name="mean" value={stats.mean} step={null} />
        <Stat name="max" value={stats.max} step={stats.maxStep} />
      </dl>
      <p class="card-foot">
        <span class="small muted nowrap">
          step {stats.lastStep?.toLocaleString("en-US")} · {stats.count.toLocaleString("en-US")} points
          {stats.nonFinite > 0 && <span class="state-wait"> · {stats.nonFinite} not finite</span>}
        </span>
        <Stale summary={summary} />
      </p>
    </>
  );
}

function Stat({ name, value, step }: { name: string; value: number | null; step: number | null }) {
  return (
    <div>
      <dt class="small muted">{name}</dt>
      <dd>
        <Figure value={value} />
        {step !== null && (
          <span class="small muted" title={`at step ${step}`}>
            {" "}
            @{si(step)}
          </span>
        )}
      </dd>
    </div>
  );
}

function Rows({ rows }: { rows: readonly Summary[] }) {
  const page = usePage();
  const base = rows.find((row) => row.run === page.baseline.value);
  return (
    <div class="card-table">
      <table>
        <thead>
          <tr class="small muted">
            <th scope="col">run</th>
            <th scope="col" class="num">
              now
            </th>
            {base && (
              <th scope="col" class="num">
                Δ
              </th>
            )}
            <th scope="col" class="num">
              min
            </th>
            <th scope="col" class="num">
              mean
            </th>
            <th scope="col" class="num">
              max
            </th>
            <th scope="col">trend</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <Row key={row.run} row={row} base={base} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Row({ row, base }: { row: Summary; base: Summary | undefined }) {
  const page = usePage();
  const { hue, dash } = runStroke(page, row.run);
  const { stats } = row;
  const difference = base && stats.last !== null && base.stats.last !== null ? stats.last - base.stats.last : null;
  return (
    <tr>
      <th scope="row">
        <span class="row">
          <Swatch slot={hue} dash={dash} />
          <span class="truncate">{runName(page, row.run)}</span>
        </span>
        <Stale summary={row} />
      </th>
      <td class="num">
        <Newest summary={row} />
      </td>
      {base && (
        <td class="num muted" title={difference === null ? undefined : full(difference)}>
          {row === base ? "base" : difference === null ? "–" : delta(difference)}
        </td>
      )}
      <td class="num">
        <Figure value={stats.min} step={stats.minStep} />
      </td>
      <td class="num">
        <Figure value={stats.mean} />
      </td>
      <td class="num">
        <Figure value={stats.max} step={stats.maxStep} />
      </td>
      <td class="nowrap">
        <TrendWord summary={row} />
        <Sparkline values={row.sparkline} color={`var(--run-${hue})`} label={`${row.name}: the last values`} />
      </td>
    </tr>
  );
}
