/** The head of a run: its name, its state, what it is made from, and what may be done to it. */
import { modelOf } from "../lib/blocks";
import { duration } from "../lib/format";
import { elapsed, remaining } from "../lib/runs";
import { now } from "../stores/clock";
import type { RunDetail, RunEntry } from "../types/api";
import { CopyButton, Phase, Time } from "../ui/bits";
import { href } from "../ui/router";
import { CompareWith } from "./compare-with";
import { Controls, type ControlsProps } from "./controls";

export function RunHead({ detail, onDetail }: ControlsProps) {
  const { entry } = detail;
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
        <div class="row wrap spread">
          <CompareWith entry={entry} />
          <Controls detail={detail} onDetail={onDetail} />
        </div>
      </div>
      <dl class="facts">
        <Times entry={entry} />
        {detail.spec && <Fact name="Seed">{detail.spec.seed}</Fact>}
        <Model detail={detail} />
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

function Times({ entry }: { entry: RunEntry }) {
  const taken = elapsed(entry, now.value);
  const left = remaining(entry, now.value);
  return (
    <>
      {taken !== null && (entry.completed || !entry.over) && (
        <Fact name={entry.over ? "Took" : "Elapsed"}>{duration(taken)}</Fact>
      )}
      {left !== null && <Fact name="Left">≈ {duration(left)}</Fact>}
      <Fact name={entry.over && entry.completed ? "Ended" : "Started"}>
        <Time iso={entry.over ? (entry.completed ?? entry.created) : (entry.started ?? entry.created)} />
      </Fact>
    </>
  );
}

function Model({ detail }: { detail: RunDetail }) {
  const model = modelOf(detail);
  if (!model) return null;
  return (
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
  );
}
