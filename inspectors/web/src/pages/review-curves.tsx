/** The curves of the block that is to be judged, small, beside its samples. */
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get, isAbort } from "../api/client";
import { si } from "../lib/format";
import { miniPaths } from "../lib/mini";
import { BOX } from "../lib/sparkline";
import type { Series, SeriesList } from "../types/api";

const POINTS = 200;
const SHOWN = 4;

export function ReviewCurves({ run, block }: { run: string; block: string }) {
  const series = useSignal<readonly Series[]>([]);
  useEffect(() => {
    const abort = new AbortController();
    // The block has succeeded: its curves do not change while its gate waits.
    get<SeriesList>("api/series", { run, block, points: POINTS }, abort.signal).then(
      (answer) => {
        series.value = answer.series;
      },
      (error: unknown) => {
        if (!isAbort(error)) series.value = []; // the inspector below shows the error, and tries again
      },
    );
    return () => abort.abort();
  }, [run, block]);
  const names = [...new Set(series.value.map((line) => line.name))];
  if (names.length === 0) return null;
  return (
    <div class="review-curves">
      {names.slice(0, SHOWN).map((name) => (
        <Curve key={name} name={name} lines={series.value.filter((line) => line.name === name)} />
      ))}
      {names.length > SHOWN && <p class="small muted">and {names.length - SHOWN} more metrics below</p>}
    </div>
  );
}

function Curve({ name, lines }: { name: string; lines: readonly Series[] }) {
  const paths = miniPaths(lines.map((line) => ({ xs: line.steps, ys: line.values })));
  const ends = lines.map((line) => line.values.at(-1)).filter((y): y is number => typeof y === "number");
  const from = Math.min(...ends);
  const to = Math.max(...ends);
  return (
    <figure>
      <figcaption class="row small">
        <span class="truncate">{name}</span>
        <span class="spread nowrap muted">ends at {si(from) === si(to) ? si(to) : `${si(from)} … ${si(to)}`}</span>
      </figcaption>
      <svg
        class="sparkline"
        viewBox={`0 0 ${BOX.width} ${BOX.height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${name}, ${lines.length} lines`}
      >
        {paths.map((d, i) => (
          <path
            key={lines[i]?.series}
            d={d}
            fill="none"
            stroke={`var(--run-${i % 6})`}
            stroke-width="1.5"
            stroke-linejoin="round"
            vector-effect="non-scaling-stroke"
          />
        ))}
      </svg>
    </figure>
  );
}
