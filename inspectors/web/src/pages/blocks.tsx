/** The blocks of a run from left to right: state, time and progress; a gate is a lock between two of them. */
import { BLOCK_STATES, blockSeconds, blockShare, blocksOf, withLive, words } from "../lib/blocks";
import { duration, percent } from "../lib/format";
import { isChain, layers } from "../lib/graph";
import type { Progresses } from "../lib/progress";
import { now } from "../stores/clock";
import { usePage } from "../stores/page";
import type { BlockStatus, GateStatus, RunDetail } from "../types/api";
import { Ring, Time } from "../ui/bits";
import { Icon } from "../ui/icons";

const NONE: Progresses = new Map();

export interface BlocksProps {
  detail: RunDetail;
  /** The block that everything below is filtered to; empty for all. */
  chosen: string;
  onChoose: (name: string) => void;
}

export function Blocks({ detail, chosen, onChoose }: BlocksProps) {
  const progress = usePage().feed.progress.value.get(detail.entry.uid) ?? NONE;
  const blocks = blocksOf(detail).map(({ spec, status }) => ({
    spec,
    status: withLive(status, progress, spec?.shards ?? 1),
  }));
  const names = blocks.map(({ status }) => status.name);
  const hasGate = (name: string) =>
    blocks.some((b) => b.status.name === name && b.spec?.gate) || name in detail.status.gates;
  const node = (status: BlockStatus) => (
    <Node key={status.name} status={status} chosen={status.name === chosen} onChoose={() => onChoose(status.name)} />
  );
  if (isChain(names, detail.edges)) {
    return (
      <ol class="strip" aria-label="Blocks">
        {blocks.map(({ status }, i) => (
          <li key={status.name}>
            {node(status)}
            {(i < blocks.length - 1 || hasGate(status.name)) && (
              <span class="link">
                {hasGate(status.name) && <Gate name={status.name} gate={detail.status.gates[status.name] ?? null} />}
              </span>
            )}
          </li>
        ))}
      </ol>
    );
  }
  return <Graph detail={detail} statuses={blocks.map((b) => b.status)} names={names} node={node} hasGate={hasGate} />;
}

const NODE = { width: 200, height: 64, gapX: 64, gapY: 16 } as const;

function Graph(props: {
  detail: RunDetail;
  statuses: BlockStatus[];
  names: string[];
  node: (s: BlockStatus) => preact.JSX.Element;
  hasGate: (name: string) => boolean;
}) {
  const { detail, statuses, names, node, hasGate } = props;
  const placed = new Map(layers(names, detail.edges).map((p) => [p.name, p]));
  const left = (name: string) => (placed.get(name)?.layer ?? 0) * (NODE.width + NODE.gapX);
  const top = (name: string) => (placed.get(name)?.row ?? 0) * (NODE.height + NODE.gapY);
  const width = Math.max(...names.map(left)) + NODE.width + 48;
  const height = Math.max(...names.map(top)) + NODE.height;
  return (
    <div class="graph" tabIndex={0} role="group" aria-label="Blocks">
      <div style={{ position: "relative", width: `${width}px`, height: `${height}px` }}>
        <svg width={width} height={height} aria-hidden="true">
          {detail.edges.map(({ source, target }) => {
            const x1 = left(source) + NODE.width;
            const y1 = top(source) + NODE.height / 2;
            const x2 = left(target);
            const y2 = top(target) + NODE.height / 2;
            const bend = Math.max(24, (x2 - x1) / 2);
            return (
              <path key={`${source}>${target}`} d={`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`} />
            );
          })}
        </svg>
        {statuses.map((status) => (
          <div
            class="placed"
            key={status.name}
            style={{
              left: `${left(status.name)}px`,
              top: `${top(status.name)}px`,
              width: `${NODE.width}px`,
              height: `${NODE.height}px`,
            }}
          >
            {node(status)}
            {hasGate(status.name) && (
              <span class="placed-gate">
                <Gate name={status.name} gate={detail.status.gates[status.name] ?? null} />
              </span>
            )}
          </div>
        ))}
      </div>
    </div>
  );
}

function Node({ status, chosen, onChoose }: { status: BlockStatus; chosen: boolean; onChoose: () => void }) {
  const { icon, tone } = BLOCK_STATES[status.state];
  const seconds = blockSeconds(status, now.value);
  const share = blockShare(status);
  const running = status.state === "Running" && share !== null;
  const held = status.pausedSince !== null && status.pausedSince !== undefined;
  return (
    <button
      type="button"
      class="node"
      data-state={status.state}
      aria-pressed={chosen}
      title={status.message ?? undefined}
      onClick={onChoose}
      aria-label={`Block ${status.name}: ${held ? "paused" : status.state}${running ? `, ${percent(share)}` : ""}. Show only this block`}
    >
      <span class={`row state-${held ? "wait" : tone}`}>
        {running && !held ? (
          <Ring share={share} label={percent(share)} />
        ) : (
          <Icon name={held ? "pause" : icon} spin={status.state === "Running" && !held} />
        )}
        <strong class="truncate">{status.name}</strong>
      </span>
      <span class="small muted truncate">{describe(status, seconds, held)}</span>
    </button>
  );
}

function describe(status: BlockStatus, seconds: number | null, held: boolean): string {
  const time = seconds === null ? "" : ` · ${duration(seconds)}`;
  if (held) return `paused${time}`;
  const attempt = status.attempt > 1 ? ` · attempt ${status.attempt}` : "";
  if (status.state === "Running") {
    const done = status.progress ? `${status.progress.done} of ${status.progress.total}` : words(status.reason);
    return done + time + attempt;
  }
  if (status.state === "Succeeded") return `succeeded${time}${attempt}`;
  return words(status.reason) + attempt;
}

/** Who decided which gate, when, and what is to be remembered of it. */
export function Decisions({ detail }: { detail: RunDetail }) {
  const decided = Object.entries(detail.status.gates).filter(([, gate]) => gate.state !== "Waiting");
  if (decided.length === 0) return null;
  return (
    <ul class="decisions small">
      {decided.map(([block, gate]) => (
        <li key={block}>
          <strong>{block}</strong> <span class="muted">{gate.state.toLowerCase()}</span>
          {gate.decidedBy && (
            <>
              {" "}
              <span class="muted">by</span> {gate.decidedBy}
            </>
          )}
          {gate.closedAt && (
            <span class="muted">
              , <Time iso={gate.closedAt} />
            </span>
          )}
          {gate.note && <q>{gate.note}</q>}
        </li>
      ))}
    </ul>
  );
}

function Gate({ name, gate }: { name: string; gate: GateStatus | null }) {
  const state = gate?.state ?? null;
  const tone = state === "Waiting" ? "wait" : state === "Approved" ? "ok" : state === null ? "idle" : "bad";
  const word = state === null ? "gate" : state.toLowerCase();
  const who = gate?.decidedBy ? ` by ${gate.decidedBy}` : "";
  return (
    <span class={`gate state-${tone}`} title={`Gate after ${name}: ${word}${who}${gate?.note ? `. ${gate.note}` : ""}`}>
      <Icon name={state === "Approved" ? "unlock" : "lock"} />
      <span class="small">{word}</span>
    </span>
  );
}
