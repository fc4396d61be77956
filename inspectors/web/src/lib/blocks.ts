/** What the page says of a block: its state in words, its time, its progress as the newest word tells it. Pure. */
import type { Block, BlockStatus, DiffusionRunSpec, RunDetail } from "../types/api";
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
  const end = block.completionTime ? Date.parse(block.completionTime) : nowMs;
  return Math.max(0, (end - Date.parse(block.startTime)) / 1000);
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

/** The line that decides a gate, bound to what was seen. Single quotes in the note are escaped for the shell. */
export function patchLine(detail: RunDetail, block: string, decision: "Approved" | "Rejected", note: string): string {
  const gate: Record<string, string> = { decision, decidedBy: "<your user name>" };
  const digest = detail.status.gates[block]?.previewDigest;
  if (digest) gate.previewDigest = digest;
  if (note) gate.note = note;
  const patch = JSON.stringify({ status: { gates: { [block]: gate } } }).replaceAll("'", "'\\''");
  return `kubectl patch dfr ${detail.entry.name} -n ${detail.entry.namespace} --subresource=status --type=merge -p '${patch}'`;
}

/** The line that pauses, resumes or cancels a run. */
export function controlLine(detail: RunDetail, action: "pause" | "resume" | "cancel"): string {
  const spec = action === "cancel" ? { cancel: true } : { pause: action === "pause" };
  return `kubectl patch dfr ${detail.entry.name} -n ${detail.entry.namespace} --type=merge -p '${JSON.stringify({ spec })}'`;
}
