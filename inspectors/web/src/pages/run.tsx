/** Everything of one run: its head, its blocks and gates, what waits for a decision, the attached inspectors. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { type ApiError, asApiError, get } from "../api/client";
import { Frame, FULL_SCREEN } from "../inspectors/frame";
import { blocksOf } from "../lib/blocks";
import { PHASES, tabTitle } from "../lib/runs";
import { text } from "../lib/urlstate";
import { PageProvider, usePageState } from "../stores/page";
import type { RunDetail } from "../types/api";
import { barContent } from "../ui/bar-content";
import { ErrorNotice, Notice, Skeleton } from "../ui/bits";
import { useShortcuts } from "../ui/keyboard";
import { Live } from "../ui/live";
import { control, href, query } from "../ui/router";
import { Blocks, Decisions } from "./blocks";
import { Review } from "./review";
import { RunHead } from "./run-head";

/** How often a run that is not there is asked for again. */
const ABSENT_MS = 4000;

export interface RunPageProps {
  namespace: string;
  name: string;
}

/** The run's UID is asked for once; from then on the stream keeps its detail. */
export function RunPage({ namespace, name }: RunPageProps) {
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
  const missing = error.value?.status === 404;
  useEffect(() => {
    if (!missing) return;
    const timer = setInterval(load, ABSENT_MS); // it may have been applied a moment ago
    return () => clearInterval(timer);
  }, [missing]);
  useEffect(() => {
    document.title = `${name} · diffrun`;
    load();
    return () => {
      barContent.value = null;
    };
  }, [namespace, name, uid]);

  if (error.value && missing) {
    return (
      <div class="page">
        <Notice title={`There is no run ${namespace}/${name}`} icon="warn">
          <p>{error.value.message}</p>
          <p>Where it has just been applied, it appears here by itself.</p>
          <p>
            <a href={href("")}>All runs</a>
          </p>
        </Notice>
      </div>
    );
  }
  if (error.value) {
    return (
      <div class="page">
        <ErrorNotice error={error.value} what={`The run ${name}`} retry={load} />
      </div>
    );
  }
  if (!detail.value) {
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
  return <LoadedRun key={detail.value.entry.uid} first={detail.value} />;
}

function LoadedRun({ first }: { first: RunDetail }) {
  const { uid } = first.entry;
  const runs = useMemo(() => [uid], [uid]);
  const blockFilter = useMemo(() => control(text("block")), []);
  const page = usePageState(runs, () => blockFilter.value);
  useMemo(() => page.feed.put(first), [page]);
  const detail = page.feed.details.value.get(uid) ?? first;
  const { entry } = detail;

  useEffect(() => {
    document.title = tabTitle(entry);
  }, [entry.phase, entry.name]);
  useEffect(() => {
    barContent.value = <RunLive page={page} />;
  }, [page]);

  const names = ["", ...blocksOf(detail).map(({ status }) => status.name)];
  const step = (by: number) => {
    const at = names.indexOf(blockFilter.value);
    blockFilter.set(names[(at + by + names.length) % names.length] ?? "");
  };
  useShortcuts([
    { keys: "[", does: "Previous block", run: () => step(-1) },
    { keys: "]", does: "Next block", run: () => step(1) },
    FULL_SCREEN,
  ]);
  const trouble = ["Failed", "Invalid", "Rejected"].includes(entry.phase) && entry.message;
  return (
    <PageProvider value={page}>
      <div class="page">
        <RunHead detail={detail} onDetail={(d) => page.feed.put(d)} />
        {trouble && (
          <p class="trouble" role="alert">
            <strong>{PHASES[entry.phase].word}.</strong> {entry.message}
          </p>
        )}
        <Blocks
          detail={detail}
          chosen={blockFilter.value}
          onChoose={(name) => blockFilter.set(name === blockFilter.value ? "" : name)}
        />
        <Decisions detail={detail} />
        {entry.waitingGates.map((block) => (
          <Review key={block} detail={detail} block={block} onDetail={(d) => page.feed.put(d)} />
        ))}
        {blockFilter.value && (
          <p class="small muted filter-note">
            Only block <strong>{blockFilter.value}</strong>.{" "}
            <button type="button" class="button quiet small" onClick={() => blockFilter.set("")}>
              Show all
            </button>
          </p>
        )}
        {detail.inspectors.map((inspector, place) => (
          <Frame key={`${place}${inspector.type}`} inspector={inspector} place={place} runs={runs} />
        ))}
        <Conditions detail={detail} />
      </div>
    </PageProvider>
  );
}

function RunLive({ page }: { page: ReturnType<typeof usePageState> }) {
  return <Live connection={page.feed.connection} lag={page.feed.lag.value} />;
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
