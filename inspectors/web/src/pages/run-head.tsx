/** The head of a run: its name, its state, what it is made from, and what may be done to it. */
import { useSignal } from "@preact/signals";
import { asApiError, send } from "../api/client";
import { controlLine, modelOf } from "../lib/blocks";
import { duration } from "../lib/format";
import { elapsed, remaining } from "../lib/runs";
import { now } from "../stores/clock";
import type { RunDetail } from "../types/api";
import { Command, CopyButton, Phase, Time } from "../ui/bits";
import { Dialog } from "../ui/dialog";
import { Icon, type IconName } from "../ui/icons";
import { href } from "../ui/router";

type Action = "pause" | "resume" | "cancel";

export interface RunHeadProps {
  detail: RunDetail;
  onDetail: (detail: RunDetail) => void;
}

export function RunHead({ detail, onDetail }: RunHeadProps) {
  const { entry } = detail;
  const model = modelOf(detail);
  const taken = elapsed(entry, now.value);
  const left = remaining(entry, now.value);
  return (
    <header class="run-head">
      <nav class="small muted" aria-label="Where you are">
        <a href={href("")}>Runs</a> / {entry.namespace}
      </nav>
      <div class="run-title">
        <h1>{entry.name}</h1>
        <span class="phase-large">
          <Phase phase={entry.phase} />
        </span>
        <Controls detail={detail} onDetail={onDetail} />
      </div>
      <dl class="facts">
        {taken !== null && (entry.completed || !entry.over) && (
          <Fact name={entry.over ? "Took" : "Elapsed"}>{duration(taken)}</Fact>
        )}
        {left !== null && <Fact name="Left">≈ {duration(left)}</Fact>}
        <Fact name={entry.over && entry.completed ? "Ended" : "Started"}>
          <Time iso={entry.over ? (entry.completed ?? entry.created) : (entry.started ?? entry.created)} />
        </Fact>
        {detail.spec && <Fact name="Seed">{detail.spec.seed}</Fact>}
        {model && (
          <Fact name="Model">
            {model.repo}
            {model.commit ? (
              <span class="row commit">
                <code title={model.commit}>{model.commit.slice(0, 10)}</code>
                <CopyButton text={model.commit} label="Copy the commit" />
              </span>
            ) : (
              <span class="muted"> @ {model.revision}</span>
            )}
          </Fact>
        )}
        {entry.archived && <Fact name="Shown from">its files; the object is gone from the cluster</Fact>}
      </dl>
    </header>
  );
}

function Fact({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd class="row">{children}</dd>
    </div>
  );
}

const ACTIONS: Readonly<Record<Action, { text: string; icon: IconName; ask: string }>> = {
  pause: { text: "Pause", icon: "pause", ask: "Running blocks stop between two steps; nothing is lost." },
  resume: { text: "Resume", icon: "play", ask: "The run goes on from where it holds." },
  cancel: {
    text: "Cancel",
    icon: "cancel",
    ask: "Its Jobs are deleted; what is written stays. This cannot be taken back.",
  },
};

function Controls({ detail, onDetail }: RunHeadProps) {
  const asked = useSignal<Action | null>(null);
  const open = useSignal(false);
  const error = useSignal<string | null>(null);
  const busy = useSignal(false);
  const { entry, permissions } = detail;
  if (entry.over || entry.archived) return null;
  const held = detail.spec?.pause ?? entry.phase === "Paused";
  const ask = (action: Action) => {
    asked.value = action;
    error.value = null;
    if (action === "cancel" || !permissions.edit) open.value = true;
    else void act(action);
  };
  const act = async (action: Action) => {
    busy.value = true;
    try {
      onDetail(
        await send<RunDetail>("POST", `api/runs/${entry.namespace}/${entry.name}/control`, { uid: entry.uid, action }),
      );
      open.value = false;
    } catch (problem) {
      error.value = asApiError(problem).message;
      open.value = true;
    } finally {
      busy.value = false;
    }
  };
  const action = asked.value;
  return (
    <div class="row spread">
      {[held ? ("resume" as const) : ("pause" as const), "cancel" as const].map((a) => (
        <button key={a} type="button" class="button" disabled={busy.value} onClick={() => ask(a)}>
          <Icon name={ACTIONS[a].icon} />
          {ACTIONS[a].text}
        </button>
      ))}
      <Dialog open={open} title="Change the run">
        {action && (
          <>
            <h2>
              {ACTIONS[action].text} {entry.name}
            </h2>
            <p>
              {permissions.edit
                ? ACTIONS[action].ask
                : (permissions.explanation ?? "You may not change this run from here.")}
            </p>
            {!permissions.edit && <Command label={`${action} the run`} text={controlLine(detail, action)} />}
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
                {permissions.edit ? "Keep it running" : "Close"}
              </button>
              {permissions.edit && (
                <button
                  type="button"
                  class={`button ${action === "cancel" ? "danger" : "primary"}`}
                  disabled={busy.value}
                  onClick={() => void act(action)}
                >
                  {ACTIONS[action].text} the run
                </button>
              )}
            </div>
          </>
        )}
      </Dialog>
    </div>
  );
}
