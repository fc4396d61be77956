import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import type { BlockStatus, RunDetail } from "../types/api";
import { blockSeconds, blockShare, blocksOf, controlLine, modelOf, patchLine, words } from "./blocks";

const status = (over: Partial<BlockStatus> = {}): BlockStatus => ({
  name: "preview",
  state: "Running",
  reason: "Running",
  attempt: 1,
  disruptions: 0,
  pausedSeconds: 0,
  ...over,
});

const detail = {
  entry: { namespace: "diffrun", name: "ddpm-cat" },
  spec: {
    blocks: [
      { name: "download", shards: 1, downloadCheckpoint: { repo: "google/ddpm-cat-256", revision: "main" } },
      { name: "preview", shards: 1 },
    ],
  },
  status: {
    blocks: [status({ name: "download", state: "Succeeded", outputs: { commit: "a".repeat(40), model_path: "x" } })],
    gates: { preview: { state: "Waiting", openedAt: "2026-05-05T10:00:00Z", previewDigest: "sha256:abc" } },
  },
} as unknown as RunDetail;

describe("a block's words", () => {
  it.each([
    ["WaitingForDependencies", "waiting for dependencies"],
    ["OOMKilled", "OOMKilled"],
    ["Completed", "completed"],
  ])("%s reads %s", (reason, text) => expect(words(reason)).toBe(text));
});

describe("a block's figures", () => {
  it("counts until it ended, or until now", () => {
    const now = Date.parse("2026-05-05T10:01:00Z");
    expect(blockSeconds(status({ startTime: "2026-05-05T10:00:00Z" }), now)).toBe(60);
    expect(
      blockSeconds(status({ startTime: "2026-05-05T10:00:00Z", completionTime: "2026-05-05T10:00:05Z" }), now),
    ).toBe(5);
    expect(blockSeconds(status(), now)).toBeNull();
  });
  it.each<[string, Partial<BlockStatus>, number]>([
    ["leaves out what it was held before", { pausedSeconds: 20 }, 40],
    ["stands still while it is held", { pausedSeconds: 20, pausedSince: "2026-05-05T10:00:45Z" }, 25],
    ["leaves it out once it has ended", { pausedSeconds: 20, completionTime: "2026-05-05T10:00:50Z" }, 30],
    ["is never negative", { pausedSeconds: 90 }, 0],
  ])("its time %s", (_, over, seconds) => {
    const block = status({ startTime: "2026-05-05T10:00:00Z", ...over });
    expect(blockSeconds(block, Date.parse("2026-05-05T10:01:00Z"))).toBe(seconds);
  });
  it("knows its share where something tells it", () => {
    expect(blockShare(status({ progress: { done: 3, total: 12 } }))).toBe(0.25);
    expect(blockShare(status())).toBeNull();
    expect(blockShare(status({ state: "Succeeded" }))).toBe(1);
  });
});

describe("a run's blocks", () => {
  it("stand in the order of the spec, those not yet in the ledger pending", () => {
    expect(blocksOf(detail).map(({ status: s }) => `${s.name} ${s.state}`)).toEqual([
      "download Succeeded",
      "preview Pending",
    ]);
  });
  it("tell the model and its commit", () =>
    expect(modelOf(detail)).toEqual({ repo: "google/ddpm-cat-256", revision: "main", commit: "a".repeat(40) }));
});

/** What kubectl is given by a line that a shell runs, where `user` is whom Kubernetes knows. */
function run(line: string, user: string): string[] {
  const kubectl = `kubectl() { if [ "$1 $2" = "auth whoami" ]; then printf %s '${user}'; else printf '%s\\0' "$@"; fi; }`;
  return execFileSync("sh", ["-c", `${kubectl}\n${line}`], { encoding: "utf8" })
    .split("\0")
    .slice(0, -1);
}

describe("lines to copy", () => {
  const note = `it's "fine": $(rm) {} \\ \`x\``;
  it.each([
    ["alice", "alice"],
    ["o'hara", "o'hara"],
    [null, "system:serviceaccount:demo:bob"],
  ])("run as they stand in a shell, bound to what was seen, decided by %s", (user, decidedBy) => {
    const args = run(
      patchLine(detail, "preview", { decision: "Approved", note, user }),
      "system:serviceaccount:demo:bob",
    );
    expect(args.slice(0, -1)).toEqual("patch dfr ddpm-cat -n diffrun --subresource=status --type=merge -p".split(" "));
    const gate = { decision: "Approved", decidedBy, previewDigest: "sha256:abc", note };
    expect(JSON.parse(args.at(-1) as string)).toEqual({ status: { gates: { preview: gate } } });
  });
  it("pause and cancel through the spec", () => {
    expect(controlLine(detail, "pause")).toContain(`-p '{"spec":{"pause":true}}'`);
    expect(controlLine(detail, "cancel")).toContain('"cancel":true');
  });
});
