/** A gate that waits: the question, the samples, who may decide, and the decision, which is bound to what was seen. */
import { type Signal, useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useBackfill } from "../api/backfill";
import { asApiError, send } from "../api/client";
import { ArtifactSource } from "../inspectors/slideshow/source";
import { pictureUrl } from "../inspectors/slideshow/tile";
import { artifactTitle } from "../lib/artifacts";
import { patchLine } from "../lib/blocks";
import { age } from "../lib/format";
import { now } from "../stores/clock";
import { usePage } from "../stores/page";
import type { ArtifactList, RunDetail } from "../types/api";
import { Command } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Icon } from "../ui/icons";
import { useShortcuts } from "../ui/keyboard";
import { ReviewCurves } from "./review-curves";

type Decision = "Approved" | "Rejected";

export interface ReviewProps {
  detail: RunDetail;
  block: string;
  onDetail: (detail: RunDetail) => void;
}

export function Review({ detail, block, onDetail }: ReviewProps) {
  const note = useSignal("");
  const asked = useSignal<Decision>("Approved");
  const open = useSignal(false);
  const gate = detail.status.gates[block];
  const prompt = detail.spec?.blocks.find((b) => b.name === block)?.gate?.prompt;
  const ask = (decision: Decision) => {
    asked.value = decision;
    open.value = true;
  };
  useShortcuts([{ keys: "a", does: `Approve the gate after ${block} (asks first)`, run: () => ask("Approved") }]);
  if (!gate) return null;
  const may = detail.permissions.approve;
  return (
    <section class="review" aria-label={`Review of ${block}`}>
      <header>
        <h2>
          <span class="state-wait row">
            <Icon name="lock" />
          </span>
          {prompt || `Review the results of ${block}.`}
        </h2>
        <p class="small muted">
          Waiting for {age((now.value - Date.parse(gate.openedAt)) / 1000)}. Nothing runs meanwhile.
        </p>
      </header>
      <div class="evidence">
        <Samples detail={detail} block={block} />
        <ReviewCurves run={detail.entry.uid} block={block} />
      </div>
      <div class="decide">
        <label class="note-field">
          <span class="small muted">Note, kept with the decision</span>
          <textarea
            class="field"
            rows={2}
            maxLength={1024}
            value={note.value}
            onInput={(event) => {
              note.value = event.currentTarget.value;
            }}
          />
        </label>
        <div class="row">
          <button type="button" class="button primary" onClick={() => ask("Approved")} disabled={!may}>
            <Icon name="done" />
            Approve
          </button>
          <button type="button" class="button danger" onClick={() => ask("Rejected")} disabled={!may}>
            <Icon name="failed" />
            Reject
          </button>
        </div>
      </div>
      <p class="small muted">
        {may
          ? "Your own rights decide; Kubernetes records who you are."
          : (detail.permissions.explanation ?? "You may not decide from here.")}
      </p>
      <details open={!may}>
        <summary class="small">From the command line</summary>
        <Command label="approve" text={patchLine(detail, block, "Approved", note.value)} />
        <Command label="reject" text={patchLine(detail, block, "Rejected", note.value)} />
      </details>
      <Confirm detail={detail} block={block} decision={asked.value} note={note.value} open={open} onDetail={onDetail} />
    </section>
  );
}

function Samples({ detail, block }: { detail: RunDetail; block: string }) {
  const page = usePage();
  const runs = useMemo(() => [detail.entry.uid], [detail.entry.uid]);
  const { source } = useBackfill<ArtifactList, ArtifactSource>(
    page.feed,
    detail.entry.uid,
    () => new ArtifactSource(runs),
  );
  source.version.signal.value; // read: a new image draws the panel again
  const images = [...source.artifacts.values()].filter((image) => image.block === block);
  if (images.length === 0) return null;
  return (
    <ul class="samples" data-count={Math.min(images.length, 4)}>
      {images.slice(0, 8).map((image) => {
        const { url, pixelated } = pictureUrl(image, 360);
        return (
          <li key={image.id}>
            <button
              type="button"
              class="sample"
              aria-label={`${artifactTitle(image)}: show it below`}
              onClick={() => {
                page.seek.value = { run: image.run, block, labels: image.tags, step: Number(image.tags.step ?? 0) };
                document.querySelector('.frame[data-type="slideshow"]')?.scrollIntoView({ block: "nearest" });
              }}
            >
              <img src={url} alt={artifactTitle(image)} class={pixelated ? "pixelated" : undefined} />
            </button>
          </li>
        );
      })}
      {images.length > 8 && <li class="muted small">and {images.length - 8} more below</li>}
    </ul>
  );
}

interface ConfirmProps extends ReviewProps {
  decision: Decision;
  note: string;
  open: Signal<boolean>;
}

function Confirm({ detail, block, decision, note, open, onDetail }: ConfirmProps) {
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const { entry } = detail;
  const decide = async () => {
    busy.value = true;
    error.value = null;
    const digest = detail.status.gates[block]?.previewDigest;
    const body = { uid: entry.uid, decision, ...(note ? { note } : {}), ...(digest ? { previewDigest: digest } : {}) };
    try {
      onDetail(await send<RunDetail>("POST", `api/runs/${entry.namespace}/${entry.name}/gates/${block}`, body));
      open.value = false;
    } catch (problem) {
      error.value = asApiError(problem).message;
    } finally {
      busy.value = false;
    }
  };
  const verb = decision === "Approved" ? "Approve" : "Reject";
  return (
    <Dialog open={open} title={`${verb} ${block}`}>
      <h2>
        {verb} {block}?
      </h2>
      <p>
        {decision === "Approved"
          ? "The blocks after it start at once."
          : "The run ends here; the blocks after it are skipped."}{" "}
        A decision is final.
      </p>
      {note && <blockquote class="muted">{note}</blockquote>}
      {error.value && (
        <p class="state-bad" role="alert">
          {error.value}
        </p>
      )}
      <div class="actions">
        <button
          type="button"
          class="button"
          onClick={() => {
            open.value = false;
          }}
        >
          Not yet
        </button>
        <button
          type="button"
          class={`button ${decision === "Approved" ? "primary" : "danger"}`}
          disabled={busy.value || !detail.permissions.approve}
          onClick={() => void decide()}
        >
          {verb}
        </button>
      </div>
    </Dialog>
  );
}
