// @vitest-environment happy-dom
import { signal } from "@preact/signals";
import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, expect, it, vi } from "vitest";
import { type Page, PageProvider } from "../../stores/page";
import type { ArtifactEntry } from "../../types/api";
import { slideControls } from "./controls";
import { Lightbox } from "./lightbox";

const size = { width: 512, height: 512 };
const file = { contentType: "image/png", fileName: "a.png", schemaType: "generated_sample", url: "api/artifacts/i" };
const image = { ...size, ...file, id: "i", run: "u", block: "full", tags: {} } as unknown as ArtifactEntry;
const page = { feed: { details: signal(new Map()) }, hover: signal(null) } as unknown as Page;

afterEach(() => {
  vi.restoreAllMocks();
  document.body.replaceChildren();
});

it("measures its room when it is open, so that the first frame shows the image", async () => {
  const room = function (this: Element) {
    return this.closest("dialog")?.open ? 800 : 0;
  };
  for (const side of ["clientWidth", "clientHeight"] as const)
    vi.spyOn(HTMLElement.prototype, side, "get").mockImplementation(room);
  const root = document.body.appendChild(document.createElement("div"));
  const c = slideControls("");
  const show = () =>
    act(() =>
      render(
        <PageProvider value={page}>
          <Lightbox images={[image]} c={c} />
        </PageProvider>,
        root,
      ),
    );
  await show();
  expect(root.querySelector("dialog")?.open).toBe(false);
  await act(() => c.open.set("i"));
  expect(root.querySelector("dialog")?.open).toBe(true);
  expect(root.querySelector<HTMLElement>(".stage-view img")?.style.visibility).toBe("visible");
  await act(() => c.open.set(""));
  expect(root.querySelector("dialog")?.open).toBe(false);
  render(null, root);
});
