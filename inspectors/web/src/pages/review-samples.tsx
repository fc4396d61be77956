/** The samples of the block that is to be judged, large; more are in the slideshow below. */
import { useMemo } from "preact/hooks";
import { useBackfill } from "../api/backfill";
import { ArtifactSource } from "../inspectors/slideshow/source";
import { pictureUrl } from "../inspectors/slideshow/tile";
import { artifactTitle, isImage } from "../lib/artifacts";
import { usePage } from "../stores/page";
import type { ArtifactEntry, ArtifactList } from "../types/api";

const SHOWN = 8;

export function ReviewSamples({ run, block }: { run: string; block: string }) {
  const page = usePage();
  const runs = useMemo(() => [run], [run]);
  const { source } = useBackfill<ArtifactList, ArtifactSource>(page.feed, run, () => new ArtifactSource(runs));
  source.version.signal.value; // read: a new image draws the panel again
  const images = [...source.artifacts.values()].filter((image) => image.block === block && isImage(image));
  if (images.length === 0) return null;
  return (
    <ul class="samples" data-count={Math.min(images.length, 4)}>
      {images.slice(0, SHOWN).map((image) => (
        <li key={image.id}>
          <Sample image={image} />
        </li>
      ))}
      {images.length > SHOWN && <li class="muted small">and {images.length - SHOWN} more below</li>}
    </ul>
  );
}

function Sample({ image }: { image: ArtifactEntry }) {
  const page = usePage();
  const { url, pixelated } = pictureUrl(image, 360);
  const title = artifactTitle(image);
  const seek = () => {
    const { run, block, tags } = image;
    page.seek.value = { run, block, labels: tags, step: Number(tags.step ?? 0) };
    document.querySelector('.frame[data-type="slideshow"]')?.scrollIntoView({ block: "nearest" });
  };
  return (
    <button type="button" class="sample" aria-label={`${title}: show it below`} onClick={seek}>
      <img src={url} alt={title} class={pixelated ? "pixelated" : undefined} />
    </button>
  );
}
