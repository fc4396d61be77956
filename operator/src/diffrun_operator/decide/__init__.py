"""The decision core: what a run's next status is, and what to do about it.

`decide` is a pure function of what was seen. It reads no clock, calls no API and draws no random
number, so that every interleaving of stale views, crashes and people can be tried in a test. Each
policy has a file of its own and works on one `Draft`; their order is in `_advance` below.

Two promises carry the rest:

* The status is the ledger. An attempt is recorded before its Job is created, an outcome before its
  Job is deleted; `execute` writes the status, guarded by the resourceVersion, before it acts.
* `decide` is idempotent and level-triggered. On its own result it returns the same status and no
  new Event, and an action lost in a crash is asked for again until its effect is seen.
"""

from datetime import datetime

from diffrun_contracts.status import DiffusionRunStatus
from diffrun_operator.decide import (
    cancellation,
    cleanup,
    columns,
    conditions,
    deadlines,
    events,
    gates,
    ledger,
    outcomes,
    pausing,
    starting,
    validation,
)
from diffrun_operator.decide.draft import Draft
from diffrun_operator.model import Action, Decision, Observed, Policy, Run

MIN_REQUEUE = 0.05
"""Seconds; a deadline that is a hair away must not make the queue spin."""

MAX_ROUNDS = 1000
"""More than 64 blocks with 11 attempts each can need; beyond it two policies undo each other's work."""


def decide(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
    """The run's next status, the actions that follow from it, and when time alone may change it.

    `now` is timezone-aware. A run that is being deleted is left to the garbage collector; one that
    has finished keeps its status for ever, and only what is left of its Jobs is deleted.
    """
    if run.deleting:
        return Decision(run.status)
    if conditions.finished(run.status):
        return Decision(run.status, cleanup.leftovers(run.status, observed))
    problem = validation.find_problem(run)
    if run.spec is None or (problem is not None and not run.spec.cancel):
        # Nothing starts and nothing ends: what already runs is taken up again when the spec is valid.
        status = conditions.invalid(run, problem or validation.unreadable(run), now)
        return Decision(status, (*cleanup.leftovers(status, observed), *events.announce(run.status, status, run.spec)))
    draft = Draft.of(run, run.spec, observed, now, policy, ledger.current(run, run.spec, problem))
    _advance(draft)
    status = _compose(draft, problem)
    actions: list[Action] = [
        *draft.creates,
        *cleanup.leftovers(status, observed),
        *pausing.annotations(draft, status),
        *events.announce(run.status, status, run.spec),
    ]
    return Decision(status, tuple(actions), _requeue(draft, status))


def _advance(draft: Draft) -> None:
    if draft.spec.cancel:
        # Cancelling comes before everything: an approval or an outcome that races with it loses.
        cancellation.apply(draft)
        return
    # To a fixed point, which makes the decision idempotent by construction. Each round that changes
    # anything brings some block or gate forward, so that it is reached; two rounds are the rule.
    for _ in range(MAX_ROUNDS):
        before = (dict(draft.blocks), dict(draft.gates))
        _round(draft)
        if before == (draft.blocks, draft.gates):
            return
    raise RuntimeError(f"run {draft.run.namespace}/{draft.run.name}: the policies contradict each other")


def _round(draft: Draft) -> None:
    draft.creates.clear()
    draft.wakes.clear()
    outcomes.absorb(draft)
    pausing.account(draft)
    deadlines.enforce(draft)
    gates.resolve(draft)
    gates.open_due(draft)
    starting.skip(draft)
    starting.start(draft)


def _compose(draft: Draft, problem: validation.Problem | None) -> DiffusionRunStatus:
    old, spec, blocks = draft.run.status, draft.spec, list(draft.blocks.values())
    ended = all(entry.state.terminal for entry in blocks) and (spec.cancel or not gates.unsettled(draft))
    started = old.start_time or (draft.now if any(entry.attempt for entry in blocks) else None)
    return DiffusionRunStatus(
        observed_generation=draft.run.generation,
        start_time=started,
        completion_time=draft.now if ended else None,
        current_block=None if ended else columns.current_block(draft),
        done=columns.done(blocks),
        progress=None if ended else columns.progress(draft),
        blocks=blocks,
        gates=dict(draft.gates),
        conditions=conditions.compose(draft, problem, ended=ended),
    )


def _requeue(draft: Draft, status: DiffusionRunStatus) -> float | None:
    if not draft.wakes or conditions.finished(status):
        return None
    return max(MIN_REQUEUE, min(draft.wakes))


__all__ = ["decide"]
