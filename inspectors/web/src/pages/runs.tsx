/** All runs, live: what happens, what waits for somebody, what one wants to compare. */
import type { RefObject } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { filterRuns, PHASES, phaseCounts } from "../lib/runs";
import { list, text } from "../lib/urlstate";
import { RunsStore } from "../stores/runs";
import type { RunEntry } from "../types/api";
import { barContent } from "../ui/bar-content";
import { Command, MissingRight, Notice, Skeleton } from "../ui/bits";
import { Icon } from "../ui/icons";
import { useShortcuts } from "../ui/keyboard";
import { Denied, Live } from "../ui/live";
import { compareSearch, control, go, href } from "../ui/router";
import { FilterBox } from "./filter-box";
import { RunRow } from "./run-row";

const filterText = control(text("q"));
const phaseFilter = control(list("phase"));
/** The runs that are ticked for comparison, by UID. */
const ticked = control(list("sel"));

const FIRST_RUN_LINES = `kubectl apply -f manifests/samples/ddpm-cat.yaml
kubectl get dfr --watch
kubectl wait dfr/ddpm-cat --for=condition=GatePending --timeout=30m`;

function useRunsStore(): RunsStore {
  const store = useMemo(() => new RunsStore(), []);
  // Not after the next paint: of a page that is left before it, the stream would stay.
  useLayoutEffect(() => {
    barContent.value = <Live connection={store.connection} />;
    document.title = "Runs · diffrun";
    return () => {
      store.close();
      barContent.value = null;
    };
  }, [store]);
  return store;
}

export function RunsPage() {
  const store = useRunsStore();
  const filterBox = useRef<HTMLInputElement>(null);
  const all = store.runs.value;
  const shown = filterRuns(all, filterText.value, phaseFilter.value);
  const chosen = all.filter((run) => ticked.value.includes(run.uid));
  useListKeys(chosen, filterBox);
  return (
    <div class="page">
      <div class="page-head">
        <h1>Runs</h1>
        <FilterBox
          label="Filter the runs"
          value={filterText.value}
          onText={(typed) => filterText.set(typed, true)}
          box={filterBox}
        />
        <CompareLink runs={chosen} />
      </div>
      <PhaseChips runs={all} />
      <Denied connection={store.connection} what="the runs" />
      <Problems store={store} />
      {!store.loaded.value ? (
        <Loading />
      ) : all.length === 0 ? (
        <Nothing store={store} />
      ) : shown.length === 0 ? (
        <NoMatch />
      ) : (
        <ul class="runs" aria-label="Runs">
          {shown.map((run) => (
            <RunRow
              key={run.uid}
              run={run}
              selected={ticked.value.includes(run.uid)}
              onToggle={() => toggle(run.uid)}
            />
          ))}
        </ul>
      )}
    </div>
  );
}

function toggle(uid: string): void {
  const before = ticked.value;
  ticked.set(before.includes(uid) ? before.filter((other) => other !== uid) : [...before, uid]);
}

/** The rows as they stand, and which of them has the focus (-1: none): a place that is remembered would be another run's after a change of order. */
function listed(): { rows: HTMLElement[]; at: number } {
  const rows = [...document.querySelectorAll<HTMLElement>(".run-row[data-uid]")];
  return { rows, at: rows.findIndex((row) => row.contains(document.activeElement)) };
}

function useListKeys(chosen: readonly RunEntry[], filterBox: RefObject<HTMLInputElement | null>): void {
  const move = (by: number) => {
    const { rows, at } = listed();
    rows[Math.max(0, Math.min(rows.length - 1, at + by))]?.querySelector<HTMLElement>(".run-link")?.focus();
  };
  const tick = () => {
    const { rows, at } = listed();
    const uid = rows[at]?.dataset.uid;
    if (uid) toggle(uid);
  };
  const compare = () => {
    if (chosen.length > 1) go("compare", compareSearch(chosen));
  };
  useShortcuts([
    { keys: "/", does: "Filter", run: () => filterBox.current?.focus() },
    { keys: "Escape", does: "Leave the filter", run: () => (document.activeElement as HTMLElement | null)?.blur() },
    { keys: "j", does: "Next run", run: () => move(1) },
    { keys: "k", does: "Previous run", run: () => move(-1) },
    { keys: "x", does: "Select the run for comparison", run: tick },
    { keys: "c", does: "Compare the selected runs", run: compare },
  ]);
}

/** What is missing and why. */
function Problems({ store }: { store: RunsStore }) {
  return (
    <>
      {store.problems.value.map((problem) => (
        <p class="badge" key={problem}>
          <Icon name="warn" />
          {problem}
        </p>
      ))}
    </>
  );
}

function CompareLink({ runs }: { runs: readonly RunEntry[] }) {
  if (runs.length < 2) {
    return (
      <button type="button" class="button" disabled title="Tick two or more runs">
        <Icon name="compare" />
        Compare
      </button>
    );
  }
  return (
    <a class="button primary" href={href("compare", compareSearch(runs))}>
      <Icon name="compare" />
      Compare {runs.length}
    </a>
  );
}

function PhaseChips({ runs }: { runs: readonly RunEntry[] }) {
  const active = phaseFilter.value;
  const counts = phaseCounts(runs);
  if (counts.length < 2 && active.length === 0) return null;
  return (
    <div class="row wrap chips">
      {counts.map(({ phase, count }) => (
        <button
          key={phase}
          type="button"
          class="chip"
          aria-pressed={active.includes(phase)}
          onClick={() =>
            phaseFilter.set(active.includes(phase) ? active.filter((p) => p !== phase) : [...active, phase])
          }
        >
          {PHASES[phase].word} <span class="n">{count}</span>
        </button>
      ))}
    </div>
  );
}

function Loading() {
  return (
    <div aria-busy="true">
      {[0, 1, 2, 3, 4].map((i) => (
        <div class="run-row" key={i}>
          <Skeleton height={48} />
        </div>
      ))}
    </div>
  );
}

/** No run, or none that one may see. */
function Nothing({ store }: { store: RunsStore }) {
  const denied = store.denied.value;
  if (denied)
    return (
      <Notice title="No permission: the runs" icon="lock">
        <MissingRight explanation={denied.message} grant={denied.grant} />
      </Notice>
    );
  return (
    <Notice title="No run yet">
      <p>Three lines make the first one. It appears here by itself.</p>
      <Command label="make the first run" text={FIRST_RUN_LINES} />
    </Notice>
  );
}

function NoMatch() {
  return (
    <Notice title="No run matches">
      <p>
        <button
          type="button"
          class="button"
          onClick={() => {
            filterText.set("");
            phaseFilter.set([]);
          }}
        >
          Show all runs
        </button>
      </p>
    </Notice>
  );
}
