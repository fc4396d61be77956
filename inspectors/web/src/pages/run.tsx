/** Everything of one run: its head, its blocks and gates, what waits for a decision, the attached inspectors. */
import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type ApiError, asApiError, get } from "../api/client";
import { Frame, FULL_SCREEN } from "../inspectors/frame";
import { blocksOf } from "../lib/blocks";
import { PHASES, tabTitle } from "../lib/runs";
import { text } from "../lib/urlstate";
import { type Page, PageProvider, usePageState } from "../stores/page";
import type { RunDetail, RunEntry } from "../types/api";
import { barContent } from "../ui/bar-content";
import { ErrorNotice, Notice, Skeleton } from "../ui/bits";
import { useShortcuts } from "../ui/keyboard";
import { Denied, Live } from "../ui/live";
import { type Control, control, href, query } from "../ui/router";
import { Blocks, Decisions } from "./blocks";
import { Review } from "./review";
import { RunHead } from "./run-head";

/** How often a run that is not there, or not to be had just now, is asked for again. */
const AGAIN_MS = 4000;

export interface RunPageProps {
  namespace: string;
  name: string;
}

/** The run's UID is asked for once; from then on the stream keeps its detail. */
export function RunPage({ namespace, name }: RunPageProps) {
  const { detail, error, load } = useFirstDetail({ namespace, name });
  if (error.value?.status === 404) return <Absent namespace={namespace} name={name} error={error.value} />;
  if (error.value) {
    return (
      <div class="page">
        <ErrorNotice error={error.value} what={`The run ${name}`} retry={load} />
      </div>
    );
  }
  if (!detail.value) return <Loading />;
  return <LoadedRun key={detail.value.entry.uid} first={detail.value} />;
}

interface FirstDetail {
  detail: Signal<RunDetail | null>;
  error: Signal<ApiError | null>;
  load: () => void;
}

function useFirstDetail({ namespace, name }: RunPageProps): FirstDetail {
  const detail = useSignal<RunDetail | null>(null);
  const error = useSignal<ApiError | null>(null);
  const uid = query.value.get("uid");
  const load = () => {
    get<RunDetail>(`api/runs/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`, { uid }).then(
      (answer) => {
        error.value = null;
        detail.value = answer;
      },
      (problem: unknown) => {
        error.value = asApiError(problem);
      },
    );
  };
  const again = error.value?.status === 404 || error.value?.passing; // it may have been applied a moment ago
  useEffect(() => {
    if (!again) return;
    const timer = setInterval(load, AGAIN_MS);
    return () => clearInterval(timer);
  }, [again]);
  useEffect(() => {
    document.title = `${name} · diffrun`;
    load();
    return () => {
      barContent.value = null;
    };
  }, [namespace, name, uid]);
  return { detail, error, load };
}

function Absent({ namespace, name, error }: RunPageProps & { error: ApiError }) {
  return (
    <div class="page">
      <Notice title={`There is no run ${namespace}/${name}`} icon="warn">
        <p>{error.message}</p>
        <p>Where it has just been applied, it appears here by itself.</p>
        <p>
          <a href={href("")}>All runs</a>
        </p>
      </Notice>
    </div>
  );
}

function Loading() {
  return (
    <div class="page" aria-busy="true">
      <Skeleton height={36} width="240px" />
      <div style={{ height: "24px" }} />
      <Skeleton height={72} />
      <div style={{ height: "32px" }} />
      <Skeleton height={320} />
    </div>
  );
}

function LoadedRun({ first }: { first: RunDetail }) {
  const { uid } = first.entry;
  const runs = useMemo(() => [uid], [uid]);
  const block = useMemo(() => control(text("block")), []);
  const page = usePageState(runs, () => block.value);
  useMemo(() => page.feed.put(first), [page]);
  const detail = page.feed.details.value.get(uid) ?? first;
  const put = (next: RunDetail) => page.feed.put(next);
  useSurroundings(page, detail.entry);
  useBlockKeys(detail, block);
  return (
    <PageProvider value={page}>
      <div class="page">
        <Denied connection={page.feed.connection} what={`The run ${detail.entry.name}`} />
        <RunHead detail={detail} onDetail={put} />
        <Trouble entry={detail.entry} />
        <Blocks detail={detail} chosen={block.value} onChoose={(name) => block.set(name === block.value ? "" : name)} />
        <Decisions detail={detail} />
        {detail.entry.waitingGates.map((name) => (
          <Review key={name} detail={detail} block={name} onDetail={put} />
        ))}
        <OnlyBlock block={block} />
        {detail.inspectors.map((inspector, place) => (
          <Frame key={`${place}${inspector.type}`} inspector={inspector} place={place} runs={runs} />
        ))}
        <Conditions detail={detail} />
      </div>
    </PageProvider>
  );
}

/** The tab's title and the bar say how the run and its stream are. */
function useSurroundings(page: Page, entry: RunEntry): void {
  useEffect(() => {
    document.title = tabTitle(entry);
  }, [entry.phase, entry.name]);
  useEffect(() => {
    barContent.value = <RunLive page={page} />;
  }, [page]);
}

function RunLive({ page }: { page: Page }) {
  return <Live connection={page.feed.connection} lag={page.feed.lag.value} />;
}

function useBlockKeys(detail: RunDetail, block: Control<string>): void {
  const names = ["", ...blocksOf(detail).map(({ status }) => status.name)];
  const step = (by: number) => {
    const at = names.indexOf(block.value);
    block.set(names[(at + by + names.length) % names.length] ?? "");
  };
  useShortcuts([
    { keys: "[", does: "Previous block", run: () => step(-1) },
    { keys: "]", does: "Next block", run: () => step(1) },
    FULL_SCREEN,
  ]);
}

function Trouble({ entry }: { entry: RunEntry }) {
  if (!entry.message || !["Failed", "Invalid", "Rejected"].includes(entry.phase)) return null;
  return (
    <p class="trouble" role="alert">
      <strong>{PHASES[entry.phase].word}.</strong> {entry.message}
    </p>
  );
}

function OnlyBlock({ block }: { block: Control<string> }) {
  if (!block.value) return null;
  return (
    <p class="small muted filter-note">
      Only block <strong>{block.value}</strong>.{" "}
      <button type="button" class="button quiet small" onClick={() => block.set("")}>
        Show all
      </button>
    </p>
  );
}

function Conditions({ detail }: { detail: RunDetail }) {
  const { conditions } = detail.status;
  if (conditions.length === 0) return null;
  return (
    <details class="conditions">
      <summary>Conditions</summary>
      <dl>
        {conditions.map((condition) => (
          <div key={condition.type}>
            <dt>
              {condition.type} <span class="muted">{condition.status}</span>
            </dt>
            <dd>
              {condition.reason}
              {condition.message && <span class="muted"> {condition.message}</span>}
            </dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
