/** From one run to its comparison with another: the others are asked for when somebody wants to choose. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { type ApiError, asApiError, get, isAbort } from "../api/client";
import { compareRuns, filterRuns } from "../lib/runs";
import type { RunEntry, RunList } from "../types/api";
import { ErrorNotice, Phase, Skeleton } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { useShortcuts } from "../ui/keyboard";
import { compareSearch, href } from "../ui/router";
import { FilterBox } from "./filter-box";

/** As many as one reads; the filter finds the rest. */
const SHOWN = 50;

export function CompareWith({ entry }: { entry: RunEntry }) {
  const open = useSignal(false);
  const ask = () => {
    open.value = true;
  };
  useShortcuts([{ keys: "c", does: "Compare with another run", run: ask }]);
  return (
    <>
      <button type="button" class="button" aria-haspopup="dialog" onClick={ask}>
        <Icon name="compare" />
        Compare with…
      </button>
      <Dialog open={open} title={`Compare ${entry.name} with`}>
        <h2>Compare {entry.name} with</h2>
        <Choice entry={entry} />
        <Close open={open} />
      </Dialog>
    </>
  );
}

/** The box is there at once, for what is typed while the runs are on their way. */
function Choice({ entry }: { entry: RunEntry }) {
  const others = useSignal<readonly RunEntry[] | null>(null);
  const error = useSignal<ApiError | null>(null);
  const text = useSignal("");
  useEffect(() => {
    const abort = new AbortController();
    get<RunList>("api/runs", {}, abort.signal).then(
      ({ runs }) => {
        others.value = runs.filter((run) => run.uid !== entry.uid).sort(compareRuns);
      },
      (problem: unknown) => {
        if (!isAbort(problem)) error.value = asApiError(problem);
      },
    );
    return () => abort.abort();
  }, [entry.uid]);
  return (
    <>
      <FilterBox
        label="Filter the other runs"
        value={text.value}
        onText={(typed) => {
          text.value = typed;
        }}
        box={focus}
      />
      {error.value ? (
        <ErrorNotice error={error.value} what="The other runs" />
      ) : !others.value ? (
        <Skeleton height={120} />
      ) : others.value.length === 0 ? (
        <p class="muted">There is no other run yet.</p>
      ) : (
        <Others entry={entry} runs={filterRuns(others.value, text.value, [])} />
      )}
    </>
  );
}

const focus = (input: HTMLInputElement | null) => input?.focus();

function Others({ entry, runs }: { entry: RunEntry; runs: readonly RunEntry[] }) {
  if (runs.length === 0) return <p class="muted">No run matches.</p>;
  return (
    <>
      <ul class="others" aria-label="Other runs">
        {runs.slice(0, SHOWN).map((run) => (
          <li key={run.uid}>
            <a href={href("compare", compareSearch([entry, run]))}>
              <span class="truncate">
                <strong>{run.name}</strong> <span class="muted small">{run.namespace}</span>
              </span>
              <Phase phase={run.phase} />
            </a>
          </li>
        ))}
      </ul>
      {runs.length > SHOWN && <p class="small muted">and {runs.length - SHOWN} more, which the filter finds</p>}
    </>
  );
}

function Close({ open }: { open: Signal<boolean> }) {
  return (
    <div class="actions">
      <button
        type="button"
        class="button"
        onClick={() => {
          open.value = false;
        }}
      >
        Close
      </button>
    </div>
  );
}
