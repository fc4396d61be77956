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

describe("lines to copy", () => {
  it("bind a decision to what was seen, and survive a quote in the note", () => {
    const line = patchLine(detail, "preview", "Approved", "it's fine");
    expect(line).toContain("kubectl patch dfr ddpm-cat -n diffrun --subresource=status --type=merge");
    expect(line).toContain('"previewDigest":"sha256:abc"');
    expect(line).toContain("it'\\''s fine");
  });
  it("pause and cancel through the spec", () => {
    expect(controlLine(detail, "pause")).toContain(`-p '{"spec":{"pause":true}}'`);
    expect(controlLine(detail, "cancel")).toContain('"cancel":true');
  });
});
