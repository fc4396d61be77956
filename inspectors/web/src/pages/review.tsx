/** A gate that waits: the question, the samples, who may decide, and the decision, which is bound to what was seen. */
import { type Signal, useSignal } from "@preact/signals";
import { patchLine } from "../lib/blocks";
import { age } from "../lib/format";
import { now } from "../stores/clock";
import { session } from "../stores/session";
import type { RunDetail } from "../types/api";
import { Command, MissingRight } from "../ui/bits";
import { Icon } from "../ui/icons";
import { useShortcuts } from "../ui/keyboard";
import { Confirm, type Decision } from "./review-confirm";
import { ReviewCurves } from "./review-curves";
import { ReviewSamples } from "./review-samples";

export interface ReviewProps {
  detail: RunDetail;
  block: string;
  onDetail: (detail: RunDetail) => void;
}

export function Review({ detail, block, onDetail }: ReviewProps) {
  const note = useSignal("");
  const asked = useSignal<Decision>("Approved");
  const open = useSignal(false);
  const ask = (decision: Decision) => {
    asked.value = decision;
    open.value = true;
  };
  useShortcuts([{ keys: "a", does: `Approve the gate after ${block} (asks first)`, run: () => ask("Approved") }]);
  if (!detail.status.gates[block]) return null;
  return (
    <section class="review" aria-label={`Review of ${block}`}>
      <Question detail={detail} block={block} />
      <div class="evidence">
        <ReviewSamples run={detail.entry.uid} block={block} />
        <ReviewCurves run={detail.entry.uid} block={block} />
      </div>
      <Answer note={note} may={detail.permissions.approve} ask={ask} />
      <Rights detail={detail} />
      <Lines detail={detail} block={block} note={note.value} />
      <Confirm detail={detail} block={block} decision={asked.value} note={note.value} open={open} onDetail={onDetail} />
    </section>
  );
}

function Question({ detail, block }: { detail: RunDetail; block: string }) {
  const prompt = detail.spec?.blocks.find((b) => b.name === block)?.gate?.prompt;
  const opened = detail.status.gates[block]?.openedAt;
  return (
    <header>
      <h2>
        <span class="state-wait row">
          <Icon name="lock" />
        </span>
        {prompt || `Review the results of ${block}.`}
      </h2>
      <p class="small muted">
        {opened && `Waiting for ${age((now.value - Date.parse(opened)) / 1000)}. `}Nothing runs meanwhile.
      </p>
    </header>
  );
}

interface AnswerProps {
  note: Signal<string>;
  may: boolean;
  ask: (decision: Decision) => void;
}

function Answer({ note, may, ask }: AnswerProps) {
  return (
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
  );
}

function Rights({ detail: { permissions } }: { detail: RunDetail }) {
  if (permissions.approve) return <p class="small muted">Your own rights decide; Kubernetes records who you are.</p>;
  return (
    <div class="small muted">
      <MissingRight
        explanation={permissions.explanation ?? "You may not decide from here."}
        grant={permissions.approveGrant}
      />
    </div>
  );
}

function Lines({ detail, block, note }: { detail: RunDetail; block: string; note: string }) {
  const user = session.value?.user ?? null;
  return (
    <details open={!detail.permissions.approve}>
      <summary class="small">From the command line</summary>
      <Command label="approve" text={patchLine(detail, block, { decision: "Approved", note, user })} />
      <Command label="reject" text={patchLine(detail, block, { decision: "Rejected", note, user })} />
    </details>
  );
}
