// @vitest-environment happy-dom
import { signal } from "@preact/signals";
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Page, PageProvider } from "../../stores/page";
import type { ArtifactEntry } from "../../types/api";
import { isClipKey } from "./clip";
import { ArtifactSource } from "./source";
import { Stage } from "./stage";
import { Tile } from "./tile";

const entry = (over: Partial<ArtifactEntry> = {}): ArtifactEntry =>
  ({
    id: "v",
    run: "u",
    block: "letter",
    attempt: 1,
    shard: 0,
    schemaType: "denoising_video",
    contentType: "video/mp4",
    fileName: "cats-letter-0.mp4",
    tags: { sample_index: "0" },
    sha256: "0",
    size: 9,
    width: 128,
    height: 128,
    url: "api/artifacts/v?run=u",
    thumbnailUrl: null,
    ...over,
  }) as ArtifactEntry;
const image = entry({ id: "i", contentType: "image/png", fileName: "a.png", url: "api/artifacts/i?run=u" });
const page = { feed: { details: signal(new Map()) }, hover: signal(null) } as unknown as Page;

let root: HTMLElement;
beforeEach(() => {
  root = document.body.appendChild(document.createElement("div"));
});
afterEach(() => {
  render(null, root);
  root.remove();
});
const show = (node: preact.ComponentChildren) =>
  act(() => render(<PageProvider value={page}>{node}</PageProvider>, root));
const stage = (shown: ArtifactEntry, against: ArtifactEntry | null = null) =>
  show(<Stage image={shown} against={against} mode="difference" view={signal(null)} labels={["a", "b"]} />);

describe("a video", () => {
  it("is taken into the slideshow beside the images", () => {
    const source = new ArtifactSource(["u"]);
    const artifacts = [entry(), image, entry({ id: "r", contentType: "text/html", fileName: "a.html" })];
    source.take({ artifacts, notices: [], total: 3 } as unknown as Parameters<typeof source.take>[0]);
    expect([...source.artifacts.keys()]).toEqual(["v", "i"]);
  });
  it("has a tile that says what it is and asks for no picture", async () => {
    await show(<Tile artifact={entry()} pixels={168} current={false} showBlock={false} onOpen={() => {}} />);
    expect(root.querySelector("img, video")).toBeNull();
    expect(root.querySelector(".tile-image")?.textContent).toBe("video");
    expect(root.querySelector("button")?.getAttribute("aria-label")).toBe("u, letter, sample 0, video: open");
  });
  it("is played by the browser's controls, silent, again and again, in its place", async () => {
    await stage(entry());
    const video = root.querySelector("video") as HTMLVideoElement;
    expect([video.controls, video.muted, video.loop, video.autoplay]).toEqual([true, true, true, false]);
    expect(video.hasAttribute("playsinline")).toBe(true);
    expect(video.getAttribute("src")).toContain("api/artifacts/v?run=u");
  });
  it("says so where the browser does not play it", async () => {
    await stage(entry());
    await act(() => void root.querySelector("video")?.dispatchEvent(new Event("error")));
    expect([root.querySelector("video"), root.textContent]).toEqual([null, expect.stringContaining("does not play")]);
  });
  it("stands beside what it is compared with, however images are compared", async () => {
    await stage(image, entry());
    expect([root.querySelectorAll(".stage-box video").length, root.querySelectorAll(".stage-box img").length]).toEqual([
      1, 1,
    ]);
    await stage(image, entry({ ...image, id: "j" }));
    expect(root.querySelector(".stage-overlay")).not.toBeNull();
  });
  it("keeps its own keys while it has the focus, and no others", async () => {
    await stage(entry());
    const heard: [string, boolean][] = [];
    root.onkeydown = (event) => void heard.push([event.key, isClipKey(event)]);
    const press = (on: Element | null, key: string) =>
      on?.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    for (const key of ["ArrowRight", " ", "i"]) press(root.querySelector("video"), key);
    press(root.querySelector(".stage-box"), "ArrowRight");
    expect(heard).toEqual([
      ["ArrowRight", true],
      [" ", true],
      ["i", false],
      ["ArrowRight", false],
    ]);
  });
});
