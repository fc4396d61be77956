/** The artifacts of the runs: what there is, page by page, then each as it is written. */
import type { Source } from "../../api/backfill";
import { get } from "../../api/client";
import { type ArtifactInfo, isImage, isVideo } from "../../lib/artifacts";
import type { ArtifactEntry, ArtifactList, StreamEvent } from "../../types/api";
import { Version } from "../../ui/frame-signal";

const PAGE = 5000;

const isShown = (artifact: ArtifactInfo): boolean => isImage(artifact) || isVideo(artifact);

export class ArtifactSource implements Source<ArtifactList> {
  readonly artifacts = new Map<string, ArtifactEntry>();
  readonly version = new Version();
  notices: readonly string[] = [];
  /** Ids that came live, in their order. */
  readonly fresh: string[] = [];

  constructor(private readonly runs: readonly string[]) {}

  async fetch(signal: AbortSignal): Promise<ArtifactList> {
    const ask = (offset: number) => get<ArtifactList>("api/artifacts", { run: this.runs, offset, limit: PAGE }, signal);
    const first = await ask(0);
    const artifacts = [...first.artifacts];
    while (artifacts.length < first.total) {
      const more = await ask(artifacts.length);
      if (more.artifacts.length === 0) break;
      artifacts.push(...more.artifacts);
    }
    return { ...first, artifacts }; // the first page's cursor: what came later is followed again, by id
  }

  take(snapshot: ArtifactList): void {
    this.artifacts.clear();
    for (const artifact of snapshot.artifacts) if (isShown(artifact)) this.artifacts.set(artifact.id, artifact);
    this.notices = snapshot.notices;
    this.version.now();
  }

  apply(message: StreamEvent): void {
    const { artifact } = message;
    if (!artifact || !isShown(artifact)) return;
    if (!this.artifacts.has(artifact.id)) this.fresh.push(artifact.id);
    this.artifacts.set(artifact.id, artifact);
    this.version.bump();
  }
}
