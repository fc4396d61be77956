import { describe, expect, it } from "vitest";
import {
  type ArtifactInfo,
  artifactStep,
  artifactTitle,
  bears,
  countKinds,
  facetCounts,
  isImage,
  isKind,
  isVideo,
  matches,
  nounOf,
  seekIndex,
  slotOf,
} from "./artifacts";

const make = (over: Partial<ArtifactInfo> = {}): ArtifactInfo => ({
  id: "a",
  fileName: "ddpm-cat-preview-0.png",
  schemaType: "generated_sample",
  contentType: "image/png",
  tags: { phase: "preview", sample_index: "0" },
  ...over,
});

describe("isImage", () => {
  it.each([
    ["by content type", make({ fileName: "x", schemaType: "other" }), true],
    ["by extension", make({ contentType: "application/octet-stream", schemaType: "other", fileName: "b.WEBP" }), true],
    ["by schema type", make({ contentType: "", fileName: "b" }), true],
    ["not where the type says otherwise", make({ contentType: "application/json" }), false],
    ["not where nothing speaks for it", make({ contentType: "", fileName: "b", schemaType: "metrics" }), false],
    ["not for SVG, which may hold scripts", make({ contentType: "image/svg+xml" }), false],
  ])("%s", (_, artifact, expected) => expect(isImage(artifact)).toBe(expected));
});

describe("isVideo", () => {
  const unnamed = { contentType: "application/octet-stream", fileName: "a.mp4", schemaType: "generated_sample" };
  it.each([
    ["by content type, whatever its schema type", make({ contentType: "video/mp4" }), true],
    ["by extension where the type says nothing", make(unnamed), true],
    ["not where the type says otherwise", make({ ...unnamed, contentType: "text/html" }), false],
    ["not for an image", make(), false],
  ])("%s", (_, artifact, expected) => {
    expect(isVideo(artifact)).toBe(expected);
    expect(isVideo(artifact) && isImage(artifact)).toBe(false);
  });
  it("is counted beside the images", () => {
    const video = make({ contentType: "video/mp4" });
    expect([countKinds([]), countKinds([make()]), countKinds([video]), countKinds([make(), make(), video])]).toEqual([
      "0 images",
      "1 image",
      "1 video",
      "2 images, 1 video",
    ]);
    expect([nounOf([]), nounOf([make()]), nounOf([video]), nounOf([make(), video])]).toEqual([
      "image",
      "image",
      "video",
      "item",
    ]);
  });
});

describe("filters", () => {
  const all = [
    make(),
    make({ tags: { phase: "preview", sample_index: "1" } }),
    make({ tags: { phase: "full", sample_index: "10" } }),
    make({ schemaType: "grid", tags: {} }),
  ];
  it("takes any value of one key and all keys together", () => {
    const wanted = { schemaTypes: [], tags: ["phase=preview", "sample_index=0", "sample_index=1"] };
    expect(all.filter((a) => matches(a, wanted))).toHaveLength(2);
  });
  it("counts what a click would give", () => {
    const counts = facetCounts(all, { schemaTypes: [], tags: ["phase=preview"] });
    expect(counts.tags).toEqual([
      { value: "phase=full", count: 1 },
      { value: "phase=preview", count: 2 },
      { value: "sample_index=0", count: 1 },
      { value: "sample_index=1", count: 1 },
    ]);
    expect(counts.schemaTypes).toEqual([{ value: "generated_sample", count: 2 }]);
  });
  it("knows a tag by key, by value and by both", () => {
    expect([bears(make(), "phase"), bears(make(), "preview"), bears(make(), "phase=full")]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe("naming artifacts", () => {
  it("speaks of the sample, then of the step, then of the file", () => {
    expect(artifactTitle(make())).toBe("sample 0");
    expect(artifactTitle(make({ tags: { step: "40", sample_index: "1" } }))).toBe("sample 1 · step 40");
    expect(artifactTitle(make({ tags: {} }))).toBe("ddpm-cat-preview-0.png");
  });
  it("reads the step from its tag", () => {
    expect([
      artifactStep(make({ tags: { step: "40" } })),
      artifactStep(make({ tags: { step: "" } })),
      artifactStep(make()),
    ]).toEqual([40, null, null]);
  });
  it("knows the same image of another run, whatever the order of its tags", () => {
    const a = { ...make({ tags: { x: "1", y: "2" } }), block: "preview", id: "a" };
    const b = { ...make({ tags: { y: "2", x: "1" } }), block: "preview", id: "b" };
    expect(slotOf(a)).toBe(slotOf(b));
    expect(slotOf({ ...a, block: "full" })).not.toBe(slotOf(a));
  });
  it("does not take another seed for another sample", () => {
    const a = { ...make({ tags: { sample_index: "0", seed: "4" } }), block: "preview" };
    expect(slotOf(a)).toBe(slotOf({ ...a, tags: { sample_index: "0", seed: "9" } }));
    expect(slotOf(a)).not.toBe(slotOf({ ...a, tags: { sample_index: "1", seed: "4" } }));
  });
  it("has chips for kinds, not for numbers", () => {
    expect([isKind(2, 18), isKind(2, 2), isKind(16, 64), isKind(1, 9)]).toEqual([true, false, false, false]);
  });
});

describe("seekIndex", () => {
  const image = (run: string, block: string, tags: Record<string, string>) => ({ ...make({ tags }), run, block });
  const images = [
    image("u", "preview", { sample_index: "0", step: "0" }),
    image("u", "preview", { sample_index: "1", step: "0" }),
    image("u", "preview", { sample_index: "1", step: "9" }),
    image("u", "full", { sample_index: "1", step: "9" }),
    image("v", "preview", { sample_index: "1", step: "9" }),
  ];
  const seek = { run: "u", block: "preview", labels: { sample_index: 1 }, step: 7 };
  it("finds the series' own sample at the nearest step", () => expect(seekIndex(images, seek)).toBe(2));
  it("prefers the block, and never leaves the run", () => {
    expect(seekIndex(images, { ...seek, block: "full" })).toBe(3);
    expect(seekIndex(images, { ...seek, run: "w" })).toBe(-1);
  });
});
