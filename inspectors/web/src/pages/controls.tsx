/** What may be done to a run that is under way: pause, resume, cancel. */
import { type Signal, useSignal } from "@preact/signals";
import { asApiError, send } from "../api/client";
import { controlLine } from "../lib/blocks";
import type { RunDetail } from "../types/api";
import { Command, MissingRight } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icons";

type Action = "pause" | "resume" | "cancel";

const ACTIONS: Readonly<Record<Action, { text: string; icon: IconName; ask: string }>> = {
  pause: { text: "Pause", icon: "pause", ask: "Running blocks stop between two steps; nothing is lost." },
  resume: { text: "Resume", icon: "play", ask: "The run goes on from where it holds." },
  cancel: {
    text: "Cancel",
    icon: "cancel",
    ask: "Its Jobs are deleted; what is written stays. This cannot be taken back.",
  },
};

export interface ControlsProps {
  detail: RunDetail;
  onDetail: (detail: RunDetail) => void;
}

export function Controls({ detail, onDetail }: ControlsProps) {
  const asked = useSignal<Action>("pause");
  const open = useSignal(false);
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const { entry, permissions } = detail;
  if (entry.over || entry.archived) return null;
  const act = async (action: Action) => {
    busy.value = true;
    const path = `api/runs/${entry.namespace}/${entry.name}/control`;
    try {
      onDetail(await send<RunDetail>("POST", path, { uid: entry.uid, action }));
      open.value = false;
    } catch (problem) {
      error.value = asApiError(problem).message;
      open.value = true;
    } finally {
      busy.value = false;
    }
  };
  const ask = (action: Action) => {
    asked.value = action;
    error.value = null;
    if (action === "cancel" || !permissions.edit) open.value = true;
    else void act(action);
  };
  const held = detail.spec?.pause ?? entry.phase === "Paused";
  return (
    <>
      {([held ? "resume" : "pause", "cancel"] as const).map((action) => (
        <button key={action} type="button" class="button" disabled={busy.value} onClick={() => ask(action)}>
          <Icon name={ACTIONS[action].icon} />
          {ACTIONS[action].text}
        </button>
      ))}
      <Dialog open={open} title="Change the run">
        <Question detail={detail} action={asked.value} error={error.value} />
        <Answers detail={detail} action={asked.value} open={open} busy={busy.value} act={act} />
      </Dialog>
    </>
  );
}

function Question({ detail, action, error }: { detail: RunDetail; action: Action; error: string | null }) {
  const { entry, permissions } = detail;
  return (
    <>
      <h2>
        {ACTIONS[action].text} {entry.name}
      </h2>
      {permissions.edit ? (
        <p>{ACTIONS[action].ask}</p>
      ) : (
        <>
          <MissingRight
            explanation={permissions.explanation ?? "You may not change this run from here."}
            grant={permissions.editGrant}
          />
          <p>Whoever may, does it with</p>
          <Command label={`${action} the run`} text={controlLine(detail, action)} />
        </>
      )}
      {error && (
        <p class="state-bad" role="alert">
          {error}
        </p>
      )}
    </>
  );
}

interface AnswersProps {
  detail: RunDetail;
  action: Action;
  open: Signal<boolean>;
  busy: boolean;
  act: (action: Action) => Promise<void>;
}

function Answers({ detail, action, open, busy, act }: AnswersProps) {
  const may = detail.permissions.edit;
  const close = () => {
    open.value = false;
  };
  return (
    <div class="actions">
      <button type="button" class="button" onClick={close}>
        {may ? "Keep it running" : "Close"}
      </button>
      {may && (
        <button
          type="button"
          class={`button ${action === "cancel" ? "danger" : "primary"}`}
          disabled={busy}
          onClick={() => void act(action)}
        >
          {ACTIONS[action].text} the run
        </button>
      )}
    </div>
  );
}
