/** Several runs in the same inspectors, under one legend that governs all of them. */
import { useEffect, useMemo } from "preact/hooks";
import { Frame, FULL_SCREEN } from "../inspectors/frame";
import { list, text } from "../lib/urlstate";
import { type Page, PageProvider, runName, runStroke, usePageState } from "../stores/page";
import type { Inspector } from "../types/api";
import { barContent } from "../ui/bar-content";
import { Notice, Phase, Swatch } from "../ui/bits";
import { Icon } from "../ui/icons";
import { useShortcuts } from "../ui/keyboard";
import { Denied, Live } from "../ui/live";
import { control, href, query } from "../ui/router";

const DEFAULTS: readonly Inspector[] = [
  { title: "Curves", type: "metric_line_chart" },
  { title: "Figures", type: "scalar_summary" },
  { title: "Samples", type: "slideshow" },
];

export function ComparePage({ runs }: { runs: readonly string[] }) {
  if (runs.length === 0) {
    return (
      <div class="page">
        <Notice title="Nothing to compare yet">
          <p>
            Tick two or more runs in <a href={href("")}>the list</a>, then Compare.
          </p>
        </Notice>
      </div>
    );
  }
  return <Comparison runs={[...new Set(runs)]} />;
}

function Comparison({ runs }: { runs: readonly string[] }) {
  const page = usePageState(runs, () => "");
  const off = useMemo(() => control(list("off")), []);
  const base = useMemo(() => control(text("base")), []);
  const offKey = off.value.join();
  // The URL is the truth of the legend; the inspectors read the page's signals.
  useMemo(() => {
    page.hidden.value = new Set(off.value);
    page.baseline.value = base.value || null;
  }, [offKey, base.value, page]);
  useEffect(() => {
    document.title = `${runs.length} runs compared · diffrun`;
    barContent.value = <Live connection={page.feed.connection} lag={null} />;
    return () => {
      barContent.value = null;
    };
  }, [page]);
  useShortcuts([FULL_SCREEN]);
  const details = runs.flatMap((run) => page.feed.details.value.get(run) ?? []);
  const inspectors = details[0]?.inspectors ?? DEFAULTS;
  const visible = runs.filter((run) => !off.value.includes(run));
  return (
    <PageProvider value={page}>
      <div class="page">
        <div class="page-head">
          <h1>Compare</h1>
        </div>
        <Denied connection={page.feed.connection} what="the compared runs" />
        <Legend page={page} runs={runs} off={off} base={base} />
        {visible.length === 0 ? (
          <Notice title="Every run is switched off">
            <p>Switch one on in the legend above.</p>
          </Notice>
        ) : (
          inspectors.map((inspector, place) => (
            <Frame key={`${place}${inspector.type}`} inspector={inspector} place={place} runs={runs} />
          ))
        )}
      </div>
    </PageProvider>
  );
}

interface LegendProps {
  page: Page;
  runs: readonly string[];
  off: { value: readonly string[]; set(value: readonly string[]): void };
  base: { value: string; set(value: string): void };
}

function Legend({ page, runs, off, base }: LegendProps) {
  const toggle = (run: string) =>
    off.set(off.value.includes(run) ? off.value.filter((r) => r !== run) : [...off.value, run]);
  return (
    <ul class="run-legend" aria-label="Runs">
      {runs.map((run) => {
        const { hue, dash } = runStroke(page, run);
        const entry = page.feed.details.value.get(run)?.entry;
        const shown = !off.value.includes(run);
        const name = runName(page, run);
        return (
          <li key={run} data-off={!shown}>
            <label class="row">
              <input type="checkbox" checked={shown} onChange={() => toggle(run)} aria-label={`Show ${name}`} />
              <Swatch slot={hue} dash={dash} />
            </label>
            {entry ? <a href={href(`runs/${entry.namespace}/${entry.name}`)}>{name}</a> : <span>{name}</span>}
            {entry && <Phase phase={entry.phase} />}
            <button
              type="button"
              class="button quiet small"
              aria-pressed={base.value === run}
              onClick={() => base.set(base.value === run ? "" : run)}
            >
              {base.value === run ? "Baseline" : "Make baseline"}
            </button>
            {runs.length > 1 && (
              <a
                class="button quiet icon"
                aria-label={`Take ${name} out`}
                title="Take it out"
                href={href("compare", without(run))}
              >
                <Icon name="close" />
              </a>
            )}
          </li>
        );
      })}
    </ul>
  );
}

/** The address of this comparison with one run less, every other choice kept. */
function without(run: string): string {
  const next = new URLSearchParams();
  for (const [key, value] of query.value) if (!(key === "run" && value === run)) next.append(key, value);
  return `?${next}`;
}
