/** slideshow: the images and videos that runs have written, on a light table, the newest as they come. */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";
import { useBackfill } from "../../api/backfill";
import { countKinds, type Facets, matches, nounOf, seekIndex, slotOf } from "../../lib/artifacts";
import { type InspectorInit, runsOf } from "../../lib/init";
import { usePage } from "../../stores/page";
import type { ArtifactEntry, ArtifactList } from "../../types/api";
import { ErrorNotice, Notice, Segments, Skeleton } from "../../ui/bits";
import { slideControls, TILE_PIXELS } from "./controls";
import { FacetChips } from "./facets";
import { Grid } from "./grid";
import { Lightbox } from "./lightbox";
import { ArtifactSource } from "./source";
import { Transport } from "./transport";

/** A row a sample, a column a run, in the order in which the first run to have it wrote it. */
export function matrix(images: readonly ArtifactEntry[], runs: readonly string[]): (ArtifactEntry | null)[][] {
  const slots = new Map<string, (ArtifactEntry | null)[]>();
  for (const image of images) {
    const slot = slotOf(image);
    const row = slots.get(slot) ?? runs.map(() => null);
    row[runs.indexOf(image.run)] = image;
    slots.set(slot, row);
  }
  return [...slots.values()];
}

export function Slideshow({ init }: { init: InspectorInit }) {
  const page = usePage();
  const allRuns = runsOf(init);
  const runs = allRuns.filter((run) => !page.hidden.value.has(run));
  const c = useMemo(() => slideControls(init.urlPrefix ?? ""), [init.urlPrefix]);
  const { source, backfill } = useBackfill<ArtifactList, ArtifactSource>(
    page.feed,
    allRuns.join(),
    () => new ArtifactSource(allRuns),
  );
  const version = source.version.signal.value;
  const block = page.block();
  const schemaType = init.filter?.schemaType;
  const tags = init.filter?.tags ?? [];

  // What the spec attached, the block that the page is filtered to, the runs that the legend shows.
  const attached = useMemo(() => {
    const fixed: Facets = { schemaTypes: schemaType ? [schemaType] : [], tags: [] };
    return [...source.artifacts.values()].filter(
      (a) =>
        runs.includes(a.run) &&
        (!block || a.block === block) &&
        matches(a, fixed) &&
        tags.every((tag) => matches(a, { schemaTypes: [], tags: [tag] })),
    );
  }, [source, version, runs.join(), block, schemaType, tags.join()]);
  const wanted: Facets = { schemaTypes: c.schemas.value, tags: c.tags.value };
  const images = useMemo(
    () => attached.filter((a) => matches(a, wanted)),
    [attached, wanted.schemaTypes.join(), wanted.tags.join()],
  );
  const rows = useMemo(() => (allRuns.length > 1 ? matrix(images, runs) : null), [images, runs.join()]);
  const steps = rows ?? images.map((image) => [image]);

  const current = useSignal<string | null>(null);
  const index = steps.findIndex((row) => row.some((cell) => cell?.id === current.value));
  const moveTo = (to: number) => {
    current.value = steps[to]?.find(Boolean)?.id ?? null;
  };
  const seen = useSignal(0);
  const endVisible = useSignal(true);
  const total = images.length;
  const came = source.fresh.length;
  useEffect(() => {
    if (c.follow.value && total > 0) current.value = images[total - 1]?.id ?? null;
    if (endVisible.value) seen.value = came;
  }, [total, came, c.follow.value]);
  useEffect(() => {
    const seek = page.seek.value;
    if (!seek) return;
    const found = images[seekIndex(images, seek)];
    if (found) current.value = found.id;
  }, [page.seek.value]);

  const load = backfill.load.value;
  if (load.error && !load.loaded)
    return <ErrorNotice error={load.error} what="The images" retry={() => backfill.refetch()} />;
  if (!load.loaded) return <Skeleton height={240} />;
  const fresh = came - seen.value;
  if (attached.length === 0)
    return <NoImages over={runs.every((run) => page.feed.details.value.get(run)?.entry.over)} />;
  return (
    <div class="slideshow">
      <div class="controls">
        <Transport index={index} count={steps.length} noun={rows ? "row" : nounOf(images)} onMove={moveTo} />
        <Segments
          label="Size of the thumbnails"
          value={c.size.value}
          onChange={c.size.set}
          options={[
            ["s", "S"],
            ["m", "M"],
            ["l", "L"],
          ]}
        />
        <button
          type="button"
          class="button quiet"
          aria-pressed={c.follow.value}
          title="Move to each new image as it is written"
          onClick={() => c.follow.set(!c.follow.value)}
        >
          Follow latest
        </button>
        {fresh > 0 && !endVisible.value && (
          <button type="button" class="chip" aria-pressed="true" onClick={() => moveTo(steps.length - 1)}>
            {fresh} new
          </button>
        )}
        <span class="spread small muted">
          {images.length < attached.length ? `${images.length} of ${countKinds(attached)}` : countKinds(images)}
        </span>
      </div>
      <FacetChips artifacts={attached} wanted={wanted} c={c} />
      {source.notices.map((notice) => (
        <p class="badge" key={notice}>
          {notice}
        </p>
      ))}
      {images.length === 0 ? (
        <Notice title="No image passes the filter" />
      ) : (
        <Grid
          rows={rows}
          list={images}
          runs={runs}
          pixels={TILE_PIXELS[c.size.value]}
          current={current.value}
          onOpen={(artifact) => {
            current.value = artifact.id;
            c.open.set(artifact.id);
          }}
          onMove={moveTo}
          onEndVisible={(visible) => {
            endVisible.value = visible;
            if (visible) seen.value = source.fresh.length;
          }}
        />
      )}
      <Lightbox images={images} c={c} />
    </div>
  );
}

function NoImages({ over }: { over: boolean }) {
  if (over) return <Notice title="No images" />;
  return (
    <Notice title="No image yet">
      <p>Images appear here as soon as a block writes one with ctx.artifact().</p>
    </Notice>
  );
}
