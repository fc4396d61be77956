/** The list of runs: its order, its filters, and what one run's line says. Pure. */
import type { RunEntry, RunPhase } from "../types/api";

export type Tone = "ok" | "bad" | "wait" | "busy" | "idle";
export type PhaseIcon = "pending" | "running" | "done" | "failed" | "lock" | "pause" | "cancel" | "warn";

/** State is never colour alone: a word, an icon and a tone for each phase. */
export const PHASES: Readonly<Record<RunPhase, { word: string; icon: PhaseIcon; tone: Tone }>> = {
  Pending: { word: "Pending", icon: "pending", tone: "idle" },
  Invalid: { word: "Invalid", icon: "warn", tone: "bad" },
  Queued: { word: "Queued", icon: "pending", tone: "idle" },
  Running: { word: "Running", icon: "running", tone: "busy" },
  Waiting: { word: "Waiting for review", icon: "lock", tone: "wait" },
  Paused: { word: "Paused", icon: "pause", tone: "wait" },
  Succeeded: { word: "Succeeded", icon: "done", tone: "ok" },
  Failed: { word: "Failed", icon: "failed", tone: "bad" },
  Rejected: { word: "Rejected", icon: "failed", tone: "bad" },
  Cancelled: { word: "Cancelled", icon: "cancel", tone: "idle" },
  Unknown: { word: "Unknown", icon: "warn", tone: "idle" },
};

const millis = (iso: string | null | undefined): number => (iso ? Date.parse(iso) : 0);

/** Runs whose gate waits first, then the newest; a name breaks the tie so that nothing trembles. */
export function compareRuns(a: RunEntry, b: RunEntry): number {
  const waiting = Number(b.phase === "Waiting") - Number(a.phase === "Waiting");
  return waiting || millis(b.created) - millis(a.created) || a.name.localeCompare(b.name) || a.uid.localeCompare(b.uid);
}

/** Runs whose name, namespace, phase or block holds every word of the filter. */
export function filterRuns(runs: readonly RunEntry[], text: string, phases: readonly string[]): RunEntry[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  return runs.filter((run) => {
    if (phases.length > 0 && !phases.includes(run.phase)) return false;
    const hay = `${run.namespace}/${run.name} ${PHASES[run.phase].word} ${run.block ?? ""}`.toLowerCase();
    return words.every((word) => hay.includes(word));
  });
}

/** The phases that there are, with how many runs are in each, in the order of PHASES. */
export function phaseCounts(runs: readonly RunEntry[]): { phase: RunPhase; count: number }[] {
  const counts = new Map<RunPhase, number>();
  for (const run of runs) counts.set(run.phase, (counts.get(run.phase) ?? 0) + 1);
  return (Object.keys(PHASES) as RunPhase[])
    .filter((p) => counts.has(p))
    .map((phase) => ({ phase, count: counts.get(phase) ?? 0 }));
}

/** The share of the run that is done, from 0 to 1: whole blocks, and of the current one its progress. */
export function shareDone(run: RunEntry): number {
  if (run.blocksTotal === 0) return 0;
  const within = run.total && run.done && run.phase !== "Waiting" && !run.over ? Math.min(1, run.done / run.total) : 0;
  return Math.min(1, (run.blocksDone + within) / run.blocksTotal);
}

/** Seconds that the run has taken: until now, or until it ended. */
export function elapsed(run: RunEntry, nowMs: number): number | null {
  const start = millis(run.started ?? run.created);
  if (!start) return null;
  const end = run.completed ? millis(run.completed) : run.over ? start : nowMs;
  return Math.max(0, (end - start) / 1000);
}

/** Seconds until the current block is done; null where nothing tells. */
export function remaining(run: RunEntry, nowMs: number): number | null {
  if (run.over || !run.eta || run.phase !== "Running") return null;
  return Math.max(0, (millis(run.eta) - nowMs) / 1000);
}

/** The title of the tab: `● ddpm-cat · waiting for review`. */
export function tabTitle(run: RunEntry): string {
  const mark = run.over ? (run.phase === "Succeeded" ? "✓" : "✕") : "●";
  return `${mark} ${run.name} · ${PHASES[run.phase].word.toLowerCase()}`;
}
