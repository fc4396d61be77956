/** Where a video is looked at, by the browser's own controls: they are reached and worked by keyboard. */
import { useSignal } from "@preact/signals";
import { apiUrl } from "../../api/client";
import { isPixelArt } from "../../lib/view";
import type { ArtifactEntry } from "../../types/api";

/** Keys that a video takes for itself while it has the focus: to play, to seek, to change the volume. */
const OWN_KEYS = /^( |Arrow.*|Home|End)$/;

/** Whether a key is a video's: the page then leaves it alone. */
export function isClipKey(event: KeyboardEvent): boolean {
  return event.target instanceof HTMLVideoElement && OWN_KEYS.test(event.key);
}

export function Clip({ label, video }: { label: string; video: ArtifactEntry }) {
  const failed = useSignal(false);
  const small = useSignal(false);
  return (
    <figure class="stage-box">
      {label && <figcaption class="small">{label}</figcaption>}
      {failed.value ? (
        <p class="stage-clip muted">This browser does not play the file; download it.</p>
      ) : (
        <video
          class={small.value ? "stage-clip pixelated" : "stage-clip"}
          src={apiUrl(video.url)}
          aria-label={video.fileName}
          controls
          muted
          loop
          playsInline
          onLoadedMetadata={({ currentTarget: { videoWidth, videoHeight } }) => {
            small.value = isPixelArt({ width: videoWidth, height: videoHeight });
          }}
          onError={() => {
            failed.value = true;
          }}
        />
      )}
    </figure>
  );
}
