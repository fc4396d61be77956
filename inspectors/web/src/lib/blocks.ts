/** What the page says of a block: its state in words, its time, its progress as the newest word tells it. Pure. */
import type { Block, BlockStatus, DiffusionRunSpec, RunDetail } from "../types/api";
import { parseTime } from "./format";
import { liveProgress, type Progresses } from "./progress";
import type { PhaseIcon, Tone } from "./runs";

export type BlockState = BlockStatus["state"];

export const BLOCK_STATES: Readonly<Record<BlockState, { icon: PhaseIcon | "skip"; tone: Tone }>> = {
  Pending: { icon: "pending", tone: "idle" },
  Running: { icon: "running", tone: "busy" },
  Succeeded: { icon: "done", tone: "ok" },
  Failed: { icon: "failed", tone: "bad" },
  Skipped: { icon: "skip", tone: "idle" },
  Cancelled: { icon: "cancel", tone: "idle" },
};

/** A reason in words: `WaitingForDependencies` is `waiting for dependencies`, `OOMKilled` stays what it is. */
export function words(reason: string): string {
  return reason
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .split(" ")
    .map((word) => (/^[A-Z]{2,}/.test(word) ? word : word.toLowerCase()))
    .join(" ");
}

/** Seconds that a block has run, without what it was held; null where it has not begun. */
export function blockSeconds(block: BlockStatus, nowMs: number): number | null {
  if (!block.startTime) return null;
  // What is held now counts up to when the hold began; what was held before is in pausedSeconds.
  const end = parseTime(block.completionTime ?? block.pausedSince) ?? nowMs;
  return Math.max(0, (end - Date.parse(block.startTime)) / 1000 - block.pausedSeconds);
}

/** The share that is done; null where nothing tells. */
export function blockShare(block: BlockStatus): number | null {
  if (block.state === "Succeeded") return 1;
  if (!block.progress || block.progress.total === 0) return null;
  return Math.min(1, block.progress.done / block.progress.total);
}

/** The blocks of a run in the order of the spec; without a spec those of the ledger. */
export function blocksOf(detail: RunDetail): { spec: Block | null; status: BlockStatus }[] {
  const ledger = new Map(detail.status.blocks.map((block) => [block.name, block]));
  const specs = detail.spec?.blocks ?? [];
  if (specs.length === 0) return detail.status.blocks.map((status) => ({ spec: null, status }));
  return specs.map((spec) => ({
    spec,
    status: ledger.get(spec.name) ?? {
      name: spec.name,
      state: "Pending",
      reason: "WaitingForDependencies",
      attempt: 0,
      disruptions: 0,
      pausedSeconds: 0,
    },
  }));
}

/** The ledger's line with the pods' own, newer word of their progress. */
export function withLive(status: BlockStatus, progress: Progresses, shards: number): BlockStatus {
  const live = status.state === "Running" ? liveProgress(progress, status.name, status.attempt, shards) : null;
  return live ? { ...status, progress: live } : status;
}

/** The model and the commit that was resolved, where a block downloads one. */
export function modelOf(detail: RunDetail): { repo: string; revision: string; commit: string | null } | null {
  const spec: DiffusionRunSpec | null | undefined = detail.spec;
  const block = spec?.blocks.find((b) => b.downloadCheckpoint);
  if (!block?.downloadCheckpoint) return null;
  const outputs = detail.status.blocks.find((b) => b.name === block.name)?.outputs ?? {};
  const commit = Object.entries(outputs).find(
    ([key, value]) => /commit|revision/i.test(key) && /^[0-9a-f]{40}$/.test(String(value)),
  );
  return {
    repo: block.downloadCheckpoint.repo,
    revision: block.downloadCheckpoint.revision,
    commit: commit ? String(commit[1]) : null,
  };
}

export interface Decided {
  decision: "Approved" | "Rejected";
  note: string;
  /** Who decides; null where nobody is signed in, and the shell asks Kubernetes who runs the line. */
  user: string | null;
}

/** Within single quotes: ends them, lets the shell ask who runs the line, and opens them again. */
const WHOEVER_RUNS_IT = `'"$(kubectl auth whoami -o jsonpath='{.status.userInfo.username}')"'`;
const NOBODY = "{}"; // no user's name, and not what a decision could be called

/** The line that decides a gate, bound to what was seen; it runs as it stands in a POSIX shell. */
export function patchLine(detail: RunDetail, block: string, { decision, note, user }: Decided): string {
  const gate: Record<string, string> = { decision, decidedBy: user ?? NOBODY };
  const digest = detail.status.gates[block]?.previewDigest;
  if (digest) gate.previewDigest = digest;
  if (note) gate.note = note;
  const quoted = JSON.stringify({ status: { gates: { [block]: gate } } }).replaceAll("'", "'\\''");
  // The first one: the note, which may hold anything, stands behind it.
  const patch = user === null ? quoted.replace(NOBODY, () => WHOEVER_RUNS_IT) : quoted;
  return `kubectl patch dfr ${detail.entry.name} -n ${detail.entry.namespace} --subresource=status --type=merge -p '${patch}'`;
}

/** The line that pauses, resumes or cancels a run. */
export function controlLine(detail: RunDetail, action: "pause" | "resume" | "cancel"): string {
  const spec = action === "cancel" ? { cancel: true } : { pause: action === "pause" };
  return `kubectl patch dfr ${detail.entry.name} -n ${detail.entry.namespace} --type=merge -p '${JSON.stringify({ spec })}'`;
}
