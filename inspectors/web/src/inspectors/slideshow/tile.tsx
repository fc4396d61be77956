/** A thumbnail: fetched when near, faded in, pixel by pixel where the image is small. A video has a sign instead. */
import { useSignal } from "@preact/signals";
import { apiUrl } from "../../api/client";
import { artifactStep, artifactTitle, isVideo } from "../../lib/artifacts";
import { isPixelArt } from "../../lib/view";
import { runName, usePage } from "../../stores/page";
import type { ArtifactEntry } from "../../types/api";
import { Icon } from "../../ui/icons";

export interface TileProps {
  artifact: ArtifactEntry;
  pixels: number;
  current: boolean;
  /** Whether other images of the row are of other runs. */
  showBlock: boolean;
  onOpen: () => void;
}

const SIZES = [64, 128, 256, 512, 1024];

/** Where a tile's picture comes from: a small image itself, else the thumbnail that is sharp on this screen. */
export function pictureUrl(artifact: ArtifactEntry, cssPixels: number): { url: string; pixelated: boolean } {
  const size = artifact.width && artifact.height ? { width: artifact.width, height: artifact.height } : null;
  if (size && isPixelArt(size)) return { url: apiUrl(artifact.url), pixelated: true };
  const wanted = cssPixels * Math.min(2, devicePixelRatio);
  const thumbnail = SIZES.find((s) => s >= wanted) ?? 1024;
  return {
    url: artifact.thumbnailUrl ? apiUrl(artifact.thumbnailUrl, { size: thumbnail }) : apiUrl(artifact.url),
    pixelated: false,
  };
}

export function Tile({ artifact, pixels, current, showBlock, onOpen }: TileProps) {
  const page = usePage();
  const state = useSignal<"loading" | "shown" | "failed">("loading");
  const { url, pixelated } = pictureUrl(artifact, pixels);
  const step = artifactStep(artifact);
  const title = artifactTitle(artifact);
  const video = isVideo(artifact);
  const marked = step !== null && page.hover.value === step;
  return (
    <button
      type="button"
      class="tile"
      data-id={artifact.id}
      data-marked={marked}
      aria-current={current || undefined}
      aria-label={`${runName(page, artifact.run)}, ${artifact.block}, ${title}${video ? ", video" : ""}: open`}
      onClick={onOpen}
      onPointerEnter={() => {
        if (step !== null) page.hover.value = step;
      }}
      onPointerLeave={() => {
        page.hover.value = null;
      }}
    >
      <span class="tile-image" data-state={state.value}>
        {video ? (
          <span class="small muted tile-sign">
            <Icon name="play" />
            video
          </span>
        ) : state.value === "failed" ? (
          <span class="small muted tile-sign">
            <Icon name="warn" />
            not readable
          </span>
        ) : (
          <img
            src={url}
            alt=""
            decoding="async"
            class={pixelated ? "pixelated" : undefined}
            onLoad={() => {
              state.value = "shown";
            }}
            onError={() => {
              state.value = "failed";
            }}
          />
        )}
      </span>
      <span class="tile-caption small">
        <span class="truncate">{title}</span>
        {showBlock && <span class="muted truncate">{artifact.block}</span>}
      </span>
    </button>
  );
}
