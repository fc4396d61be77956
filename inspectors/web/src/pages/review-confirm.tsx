/** The last question before a decision, which is final; it is bound to what was seen. */
import { type Signal, useSignal } from "@preact/signals";
import { asApiError, send } from "../api/client";
import type { Decided } from "../lib/blocks";
import type { RunDetail } from "../types/api";
import { Dialog } from "../ui/dialog";

export type Decision = Decided["decision"];

export interface ConfirmProps {
  detail: RunDetail;
  block: string;
  decision: Decision;
  note: string;
  open: Signal<boolean>;
  onDetail: (detail: RunDetail) => void;
}

function decide({ detail, block, decision, note }: ConfirmProps): Promise<RunDetail> {
  const { namespace, name, uid } = detail.entry;
  const digest = detail.status.gates[block]?.previewDigest;
  const body = { uid, decision, ...(note ? { note } : {}), ...(digest ? { previewDigest: digest } : {}) };
  return send<RunDetail>("POST", `api/runs/${namespace}/${name}/gates/${block}`, body);
}

export function Confirm(props: ConfirmProps) {
  const { detail, block, decision, note, open, onDetail } = props;
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const verb = decision === "Approved" ? "Approve" : "Reject";
  const act = async () => {
    busy.value = true;
    error.value = null;
    try {
      onDetail(await decide(props));
      open.value = false;
    } catch (problem) {
      error.value = asApiError(problem).message;
    } finally {
      busy.value = false;
    }
  };
  return (
    <Dialog open={open} title={`${verb} ${block}`}>
      <h2>
        {verb} {block}?
      </h2>
      <p>{CONSEQUENCE[decision]} A decision is final.</p>
      {note && <blockquote class="muted">{note}</blockquote>}
      {error.value && (
        <p class="state-bad" role="alert">
          {error.value}
        </p>
      )}
      <Answers decision={decision} verb={verb} open={open} act={act} off={busy.value || !detail.permissions.approve} />
    </Dialog>
  );
}

const CONSEQUENCE: Readonly<Record<Decision, string>> = {
  Approved: "The blocks after it start at once.",
  Rejected: "The run ends here; the blocks after it are skipped.",
};

interface AnswersProps {
  decision: Decision;
  verb: string;
  open: Signal<boolean>;
  act: () => Promise<void>;
  off: boolean;
}

function Answers({ decision, verb, open, act, off }: AnswersProps) {
  const close = () => {
    open.value = false;
  };
  return (
    <div class="actions">
      <button type="button" class="button" onClick={close}>
        Not yet
      </button>
      <button
        type="button"
        class={`button ${decision === "Approved" ? "primary" : "danger"}`}
        disabled={off}
        onClick={() => void act()}
      >
        {verb}
      </button>
    </div>
  );
}
