/** One run in the list. The link covers the name; what can be done from here has controls of its own. */
import { apiUrl } from "../api/client";
import { age, duration, percent } from "../lib/format";
import { elapsed, remaining, shareDone } from "../lib/runs";
import { now } from "../stores/clock";
import type { RunEntry } from "../types/api";
import { Phase } from "../ui/bits";
import { href } from "../ui/router";
import { Sparkline } from "../ui/sparkline";

export interface RunRowProps {
  run: RunEntry;
  selected: boolean;
  onToggle: () => void;
}

export function RunRow({ run, selected, onToggle }: RunRowProps) {
  const to = href(`runs/${run.namespace}/${run.name}`, run.archived ? `?uid=${run.uid}` : "");
  return (
    <li class="run-row" data-uid={run.uid}>
      <input type="checkbox" checked={selected} onChange={onToggle} aria-label={`Select ${run.name} for comparison`} />
      <Thumb run={run} />
      <div class="run-name">
        <a class="run-link" href={to}>
          {run.name}
        </a>
        <span class="muted small truncate">
          {run.namespace}
          {run.archived && " · archived"}
        </span>
      </div>
      <div class="run-phase">
        <Phase phase={run.phase} />
        <span class="muted small truncate" title={run.message ?? undefined}>
          {run.over ? reasonOf(run) : (run.block ?? "")}
        </span>
      </div>
      <Progress run={run} />
      <div class="run-spark" title={run.sparkline?.name}>
        {run.sparkline && (
          <>
            <Sparkline
              values={run.sparkline.values}
              color="var(--run-0)"
              label={`${run.sparkline.name}, newest values`}
            />
            <span class="muted small truncate">{run.sparkline.name}</span>
          </>
        )}
      </div>
      <div class="run-age">
        <span title={run.created ?? undefined}>
          {run.created ? `${age((now.value - Date.parse(run.created)) / 1000)} ago` : "–"}
        </span>
        <span class="muted small">{elapsedText(run)}</span>
      </div>
      <div class="run-act">
        {run.phase === "Waiting" && (
          <a class="button primary" href={to}>
            Review
          </a>
        )}
      </div>
    </li>
  );
}

function reasonOf(run: RunEntry): string {
  return run.phase === "Succeeded"
    ? `${run.blocksDone} of ${run.blocksTotal} blocks`
    : (run.message ?? run.reason ?? "");
}

function elapsedText(run: RunEntry): string {
  const seconds = elapsed(run, now.value);
  if (seconds === null || (run.over && !run.completed)) return "";
  return run.over ? `took ${duration(seconds)}` : `for ${duration(seconds)}`;
}

function Progress({ run }: { run: RunEntry }) {
  const share = shareDone(run);
  const left = remaining(run, now.value);
  return (
    <div class="run-progress">
      <progress value={share} max={1} aria-label={`${run.name}: ${percent(share)} done`} data-over={run.over} />
      <span class="muted small">
        {run.blocksDone}/{run.blocksTotal}
        {!run.over && run.total ? ` · ${run.done ?? 0}/${run.total}` : ""}
        {left !== null && ` · ${duration(left)} left`}
      </span>
    </div>
  );
}

function Thumb({ run }: { run: RunEntry }) {
  if (!run.thumbnail) return <div class="run-thumb" aria-hidden="true" />;
  return (
    <img class="run-thumb" src={apiUrl(run.thumbnail, { size: 128 })} alt="" loading="lazy" width={48} height={48} />
  );
}
