/** One image or video over the whole page: keyboard, zoom, what is known of it, its original, and another to compare it with. */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { apiUrl } from "../../api/client";
import { artifactTitle, describeTag, isVideo, nounOf, slotOf } from "../../lib/artifacts";
import { bytes } from "../../lib/format";
import { clamp, type View, zoomAt } from "../../lib/view";
import { type Page, runName, usePage } from "../../stores/page";
import type { ArtifactEntry } from "../../types/api";
import { CopyButton, Segments, Time } from "../../ui/bits";
import { Icon } from "../../ui/icons";
import { isClipKey } from "./clip";
import type { SlideControls } from "./controls";
import { Stage } from "./stage";
import { Transport } from "./transport";

export interface LightboxProps {
  images: readonly ArtifactEntry[];
  c: SlideControls;
}

function caption(page: Page, image: ArtifactEntry): string {
  return `${runName(page, image.run)} · ${image.block} · ${artifactTitle(image)}`;
}

/** What an image is compared with at first: the same one of another run, else its neighbour. */
function counterpart(images: readonly ArtifactEntry[], image: ArtifactEntry): ArtifactEntry | null {
  const slot = slotOf(image);
  const twin = images.find((other) => other.run !== image.run && slotOf(other) === slot);
  const i = images.findIndex((other) => other.id === image.id);
  return twin ?? images[i + 1] ?? images[i - 1] ?? null;
}

/** Whether a key is a field's: a select too moves by arrows and finds by letters. */
function isFieldKey({ target }: KeyboardEvent): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

export function Lightbox({ images, c }: LightboxProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const page = usePage();
  const view = useSignal<View | null>(null);
  const info = useSignal(false);
  const index = images.findIndex((image) => image.id === c.open.value);
  const image = images[index] ?? null;
  const against = images.find((other) => other.id === c.against.value) ?? null;
  const show = image !== null;
  const video = image !== null && isVideo(image);
  useLayoutEffect(() => {
    if (show) return;
    dialog.current?.close();
    view.value = null; // Back closes it too, and the next image is seen whole
  }, [show]);
  // Where what had the focus is gone, the keys would go nowhere.
  useLayoutEffect(() => {
    const element = dialog.current;
    if (element?.open && !element.contains(document.activeElement)) element.focus();
  });

  const close = () => {
    c.against.set("", true);
    c.open.set("");
  };
  const move = (to: number) => {
    const next = images[Math.max(0, Math.min(images.length - 1, to))];
    if (next) c.open.set(next.id, true);
  };
  const zoom = (factor: number) => {
    if (!image || video) return;
    const size = { width: image.width ?? 256, height: image.height ?? 256 };
    const stage = dialog.current?.querySelector<HTMLElement>(".stage-view");
    const shown = stage?.querySelector("img")?.clientWidth ?? size.width;
    const from = view.value ?? { scale: shown / size.width, x: 0, y: 0 };
    view.value = clamp(zoomAt(from, factor, 0, 0, 0.05), size);
  };
  const toggleCompare = () => {
    if (against) c.against.set("");
    else if (image) c.against.set(counterpart(images, image)?.id ?? "");
  };
  const onKey = (event: KeyboardEvent) => {
    if (isFieldKey(event) || isClipKey(event)) return;
    const keys: Record<string, () => void> = {
      ArrowLeft: () => move(index - 1),
      ArrowRight: () => move(index + 1),
      Home: () => move(0),
      End: () => move(images.length - 1),
      "+": () => zoom(1.5),
      "=": () => zoom(1.5),
      "-": () => zoom(1 / 1.5),
      "0": () => {
        view.value = null;
      },
      "1": () => {
        view.value = { scale: 1, x: 0, y: 0 };
      },
      i: () => {
        info.value = !info.value;
      },
      c: toggleCompare,
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  };
  return (
    <dialog
      ref={dialog}
      class="lightbox"
      tabIndex={-1}
      aria-label={video ? "Video" : "Image"}
      onKeyDown={onKey}
      onCancel={(event) => {
        event.preventDefault();
        close();
      }}
    >
      {image && (
        <>
          <Opener dialog={dialog} />
          <header class="lightbox-head">
            <h2 class="truncate">{caption(page, image)}</h2>
            <div class="row spread wrap">
              {against && !video && !isVideo(against) && (
                <Segments
                  label="How to compare"
                  value={c.mode.value}
                  onChange={c.mode.set}
                  options={[
                    ["side", "Side by side"],
                    ["wipe", "Wipe"],
                    ["flicker", "Flicker"],
                    ["difference", "Difference"],
                  ]}
                />
              )}
              {images.length > 1 && (
                <button
                  type="button"
                  class="button quiet"
                  aria-pressed={against !== null}
                  onClick={toggleCompare}
                  title="Compare (c)"
                >
                  <Icon name="compare" />
                  Compare
                </button>
              )}
              {!video && (
                <ZoomButtons
                  zoom={zoom}
                  fit={() => {
                    view.value = null;
                  }}
                />
              )}
              <button
                type="button"
                class="button quiet"
                aria-pressed={info.value}
                title="What is known of it (i)"
                onClick={() => {
                  info.value = !info.value;
                }}
              >
                Info
              </button>
              <a
                class="button quiet"
                href={apiUrl(image.url, { download: 1 })}
                download={`${runName(page, image.run)}-${image.block}-${image.fileName}`}
                aria-label="Download the original"
                title="Download the original"
              >
                <Icon name="download" />
              </a>
              <button type="button" class="button quiet icon" aria-label="Close" title="Close (Escape)" onClick={close}>
                <Icon name="close" />
              </button>
            </div>
          </header>
          <div class="lightbox-body" data-info={info.value}>
            <Stage
              key={`${image.id}${against?.id ?? ""}`}
              image={image}
              against={against}
              mode={c.mode.value}
              view={view}
              labels={[caption(page, image), against ? caption(page, against) : ""]}
            />
            {info.value && <Info image={image} />}
          </div>
          <footer class="lightbox-foot">
            <Transport index={index} count={images.length} noun={nounOf(images)} onMove={move} />
            {against && <AgainstPicker images={images} image={image} c={c} />}
          </footer>
        </>
      )}
    </dialog>
  );
}

/**
 * Opens the dialog that it stands in, ahead of what follows it there: that would be measured closed. In the click's own
 * task: an effect runs after the next paint, and a key pressed before it would go to the tile.
 */
function Opener({ dialog }: { dialog: RefObject<HTMLDialogElement | null> }) {
  useLayoutEffect(() => {
    if (!dialog.current?.open) dialog.current?.showModal();
  }, []);
  return null;
}

function ZoomButtons({ zoom, fit }: { zoom: (factor: number) => void; fit: () => void }) {
  return (
    <>
      <button
        type="button"
        class="button quiet icon"
        aria-label="Zoom out"
        title="Zoom out (−)"
        onClick={() => zoom(1 / 1.5)}
      >
        −
      </button>
      <button type="button" class="button quiet" title="Fit (0)" onClick={fit}>
        Fit
      </button>
      <button
        type="button"
        class="button quiet icon"
        aria-label="Zoom in"
        title="Zoom in (+)"
        onClick={() => zoom(1.5)}
      >
        +
      </button>
    </>
  );
}

function AgainstPicker({
  images,
  image,
  c,
}: {
  images: readonly ArtifactEntry[];
  image: ArtifactEntry;
  c: SlideControls;
}) {
  const page = usePage();
  return (
    <label class="row small muted">
      compared with
      <select
        class="field"
        value={c.against.value}
        onChange={(event) => c.against.set(event.currentTarget.value, true)}
      >
        {images
          .filter((other) => other.id !== image.id)
          .map((other) => (
            <option key={other.id} value={other.id}>
              {caption(page, other)}
            </option>
          ))}
      </select>
    </label>
  );
}

function Info({ image }: { image: ArtifactEntry }) {
  const page = usePage();
  return (
    <aside class="info" aria-label={isVideo(image) ? "About the video" : "About the image"}>
      <dl>
        <dt>Run</dt>
        <dd>{runName(page, image.run)}</dd>
        <dt>Block</dt>
        <dd>
          {image.block}, attempt {image.attempt}, shard {image.shard}
        </dd>
        <dt>Kind</dt>
        <dd>
          {image.schemaType.replaceAll("_", " ")}, {image.contentType}
        </dd>
        <dt>Size</dt>
        <dd>
          {image.width && image.height ? `${image.width} × ${image.height}, ` : ""}
          {bytes(image.size)}
        </dd>
        {Object.entries(image.tags).map(([key, value]) => (
          <>
            <dt>{describeTag(key)}</dt>
            <dd>{value}</dd>
          </>
        ))}
        <dt>Written</dt>
        <dd>
          <Time iso={image.time} />
        </dd>
        <dt>SHA-256</dt>
        <dd class="row">
          <code class="truncate">{image.sha256}</code>
          <CopyButton text={image.sha256} label="Copy the SHA-256" />
        </dd>
      </dl>
    </aside>
  );
}
