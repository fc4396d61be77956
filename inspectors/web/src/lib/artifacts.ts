/** Which artifacts are images or videos, which of them a filter lets through, and how many there are of each kind. */
import { count } from "./format";

export interface ArtifactInfo {
  id: string;
  fileName: string;
  schemaType: string;
  contentType: string;
  tags: Readonly<Record<string, string>>;
}

export interface Facets {
  schemaTypes: readonly string[];
  /** `key=value`. */
  tags: readonly string[];
}

const IMAGE_EXTENSION = /\.(png|jpe?g|webp|gif|avif|bmp)$/i;
const IMAGE_SCHEMAS = new Set(["generated_sample", "image", "sample_grid", "contact_sheet"]);
const NOT_AN_IMAGE = /^(text|application\/(json|pdf|zip)|audio|video)\b/;

/**
 * Whether an artifact is an image: by its content type, else by its extension, else by its schema type. A content type that
 * says plainly that it is something else is believed.
 */
export function isImage(artifact: ArtifactInfo): boolean {
  if (artifact.contentType.startsWith("image/")) return artifact.contentType !== "image/svg+xml";
  if (NOT_AN_IMAGE.test(artifact.contentType) || isVideo(artifact)) return false;
  return IMAGE_EXTENSION.test(artifact.fileName) || IMAGE_SCHEMAS.has(artifact.schemaType);
}

/** Whether an artifact is a video that browsers play: by its content type, else by its extension. */
export function isVideo(artifact: ArtifactInfo): boolean {
  if (artifact.contentType === "video/mp4") return true;
  return /^(application\/octet-stream)?$/.test(artifact.contentType) && /\.mp4$/i.test(artifact.fileName);
}

/** `18 images, 2 videos`, and no kind of which there is none. */
export function countKinds(artifacts: readonly ArtifactInfo[]): string {
  const videos = artifacts.filter(isVideo).length;
  const images = artifacts.length - videos;
  return [images || !videos ? count(images, "image") : "", videos ? count(videos, "video") : ""]
    .filter(Boolean)
    .join(", ");
}

/** What one of them is called: an image, a video, or where both are there an item. */
export function nounOf(artifacts: readonly ArtifactInfo[]): "image" | "video" | "item" {
  const videos = artifacts.filter(isVideo).length;
  if (videos === 0) return "image";
  return videos === artifacts.length ? "video" : "item";
}

/** Whether the artifact bears a tag, written as `key=value`, or as the key or the value alone. */
export function bears(artifact: ArtifactInfo, tag: string): boolean {
  const cut = tag.indexOf("=");
  if (cut > 0) return artifact.tags[tag.slice(0, cut)] === tag.slice(cut + 1);
  return tag in artifact.tags || Object.values(artifact.tags).includes(tag);
}

/**
 * Whether the filter lets the artifact through: any of the schema types, and for each key any of its values
 * (two samples of phase `preview`: `phase=preview` and either `sample_index`).
 */
export function matches(artifact: ArtifactInfo, wanted: Facets): boolean {
  if (wanted.schemaTypes.length > 0 && !wanted.schemaTypes.includes(artifact.schemaType)) return false;
  const keys = new Set(wanted.tags.map(keyOf));
  return [...keys].every((key) => wanted.tags.some((tag) => keyOf(tag) === key && bears(artifact, tag)));
}

const keyOf = (tag: string): string => tag.split("=", 1)[0] as string;

export interface FacetCount {
  value: string;
  count: number;
}

/** Counts by schema type and by tag, over the artifacts that the other facets let through, so that a chip tells what a click gives. */
export function facetCounts(
  artifacts: readonly ArtifactInfo[],
  wanted: Facets,
): { schemaTypes: FacetCount[]; tags: FacetCount[] } {
  const schemas = new Map<string, number>();
  const tags = new Map<string, number>();
  for (const artifact of artifacts) {
    if (matches(artifact, { ...wanted, schemaTypes: [] })) bump(schemas, artifact.schemaType);
    for (const [key, value] of Object.entries(artifact.tags)) {
      const others = wanted.tags.filter((tag) => !tag.startsWith(`${key}=`));
      if (matches(artifact, { ...wanted, tags: others })) bump(tags, `${key}=${value}`);
    }
  }
  return { schemaTypes: sorted(schemas), tags: sorted(tags) };
}

function bump(counts: Map<string, number>, value: string): void {
  counts.set(value, (counts.get(value) ?? 0) + 1);
}

function sorted(counts: Map<string, number>): FacetCount[] {
  return [...counts]
    .map(([value, count]) => ({ value, count }))
    .sort((a, b) => a.value.localeCompare(b.value, "en", { numeric: true }));
}

/** A tag as people read it: `phase preview`. */
export function describeTag(tag: string): string {
  return tag.replace("=", " ").replaceAll("_", " ");
}

/** The step that an artifact belongs to: its `step` tag, or null. */
export function artifactStep(artifact: ArtifactInfo): number | null {
  const raw = artifact.tags.step;
  if (raw === undefined || raw.trim() === "") return null;
  const step = Number(raw);
  return Number.isInteger(step) ? step : null;
}

/** What an artifact is called: its sample where it has one, else the tags that it bears, else its file. */
export function artifactTitle(artifact: ArtifactInfo): string {
  const sample = artifact.tags.sample_index;
  const step = artifactStep(artifact);
  const parts = [sample === undefined ? null : `sample ${sample}`, step === null ? null : `step ${step}`];
  return parts.filter(Boolean).join(" · ") || artifact.fileName;
}

/** Tags that say where an image came from rather than which it is: they differ from run to run. */
const INCIDENTAL = new Set(["seed"]);

/**
 * What is the same image in another run: of the same block and schema type, with the same sample and step where it has
 * them, else with the same tags. The rows of a comparison.
 */
export function slotOf(artifact: ArtifactInfo & { block: string }): string {
  const { sample_index: sample, step } = artifact.tags;
  if (sample !== undefined || step !== undefined)
    return JSON.stringify([artifact.block, artifact.schemaType, sample ?? null, step ?? null]);
  const tags = Object.entries(artifact.tags).filter(([key]) => !INCIDENTAL.has(key));
  return JSON.stringify([artifact.block, artifact.schemaType, tags.sort(([a], [b]) => (a < b ? -1 : 1))]);
}

/** Which tags are worth a chip: those that sort the images into a few kinds, not those that number them. */
export function isKind(values: number, total: number): boolean {
  return values > 1 && values <= 12 && values * 2 <= total;
}

/** What a click on a chart asks for. */
export interface Seek {
  run: string;
  block: string;
  labels: Readonly<Record<string, string | number>>;
  step: number;
}

/**
 * The image that a point of a chart speaks of: of the same run, before all; then of the same block, with the most labels of
 * the series among its tags, and of the nearest step. -1 where the run has no image.
 */
export function seekIndex(artifacts: readonly (ArtifactInfo & { run: string; block: string })[], seek: Seek): number {
  let best = -1;
  let score = Number.NEGATIVE_INFINITY;
  artifacts.forEach((artifact, i) => {
    if (artifact.run !== seek.run) return;
    const step = artifactStep(artifact);
    const labels = Object.entries(seek.labels).filter(([key, value]) => artifact.tags[key] === String(value)).length;
    const distance = step === null ? 0 : Math.abs(step - seek.step);
    const own = (artifact.block === seek.block ? 1e6 : 0) + labels * 1e4 - Math.min(distance, 9e3);
    if (own > score) {
      best = i;
      score = own;
    }
  });
  return best;
}
