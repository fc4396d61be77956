"""Kubernetes Events: what changed between two statuses, in words.

They are derived from the difference alone, so that deciding again on the result says nothing twice.
"""

from collections.abc import Iterator

from diffrun_contracts.reasons import BlockReason, ConditionType, EventReason, PauseReason, RunReason
from diffrun_contracts.spec import DiffusionRunSpec
from diffrun_contracts.status import (
    BlockState,
    BlockStatus,
    Condition,
    DiffusionRunStatus,
    GateDecision,
    GateState,
    GateStatus,
)
from diffrun_operator.decide.text import clip
from diffrun_operator.model import EmitEvent

_ENDINGS = {
    RunReason.ALL_BLOCKS_SUCCEEDED: EventReason.RUN_SUCCEEDED,
    RunReason.CANCELLED: EventReason.RUN_CANCELLED,
}


def announce(old: DiffusionRunStatus, new: DiffusionRunStatus, spec: DiffusionRunSpec | None) -> tuple[EmitEvent, ...]:
    """The Events of the transition from `old` to `new`, in the order in which things happen."""
    prompts = {block.name: block.gate.prompt for block in (spec.blocks if spec else ()) if block.gate is not None}
    told = [
        *_validity(old, new),
        *_run_start(old, new),
        *_blocks(old, new),
        *_gates(old, new, prompts),
        *_pausing(old, new),
        *_run_end(old, new),
    ]
    return tuple(EmitEvent(event.reason, clip(event.message), event.warning) for event in told)


def _condition(status: DiffusionRunStatus, kind: ConditionType) -> Condition | None:
    return next((condition for condition in status.conditions if condition.type is kind), None)


def _validity(old: DiffusionRunStatus, new: DiffusionRunStatus) -> Iterator[EmitEvent]:
    before, after = _condition(old, ConditionType.SPEC_VALID), _condition(new, ConditionType.SPEC_VALID)
    if after is None or after.status != "False":
        return
    if before is None or (before.status, before.message) != (after.status, after.message):
        yield EmitEvent(EventReason.SPEC_INVALID, after.message, warning=True)


def _run_start(old: DiffusionRunStatus, new: DiffusionRunStatus) -> Iterator[EmitEvent]:
    if old.start_time is None and new.start_time is not None:
        count = len(new.blocks)
        yield EmitEvent(EventReason.RUN_STARTED, f"started; {count} block{'s' if count > 1 else ''}, spec frozen")


def _blocks(old: DiffusionRunStatus, new: DiffusionRunStatus) -> Iterator[EmitEvent]:
    entries = {entry.name: entry for entry in old.blocks}
    for entry in new.blocks:
        yield from _block(entries.get(entry.name) or BlockStatus(name=entry.name), entry)


def _block(before: BlockStatus, after: BlockStatus) -> Iterator[EmitEvent]:
    subject = f'block "{after.name}"'
    job = after.job_ref.name if after.job_ref is not None else "unnamed"
    if after.attempt > before.attempt and before.attempt == 0:
        yield EmitEvent(EventReason.BLOCK_STARTED, f"{subject} starts as Job {job}")
    elif after.attempt > before.attempt:
        message = f"{subject} starts attempt {after.attempt} as Job {job}: {after.message or 'the last one was lost'}"
        yield EmitEvent(EventReason.BLOCK_RETRIED, message, warning=True)
    elif after.reason is BlockReason.RETRYING and before.reason is not BlockReason.RETRYING:
        yield EmitEvent(EventReason.BLOCK_RETRIED, f"{subject}: {after.message}", warning=True)
    if after.state is before.state:
        return
    if after.state is BlockState.SUCCEEDED:
        yield EmitEvent(EventReason.BLOCK_SUCCEEDED, f"{subject} succeeded")
    elif after.state is BlockState.FAILED:
        yield EmitEvent(EventReason.BLOCK_FAILED, f"{subject} failed: {after.reason}: {after.message}", warning=True)


def _gates(old: DiffusionRunStatus, new: DiffusionRunStatus, prompts: dict[str, str]) -> Iterator[EmitEvent]:
    for entry in new.blocks:
        before, after = old.gates.get(entry.name), new.gates.get(entry.name)
        if after is None or (before is not None and before.state is after.state):
            continue
        if after.state is GateState.WAITING:
            prompt = prompts.get(entry.name) or "no prompt given"
            yield EmitEvent(EventReason.GATE_OPENED, f'the gate of block "{entry.name}" waits for a decision: {prompt}')
        else:
            yield _gate_closed(entry.name, after)


def _gate_closed(block: str, gate: GateStatus) -> EmitEvent:
    subject = f'the gate of block "{block}"'
    note = f": {gate.note}" if gate.note else ""
    who = gate.decided_by or "somebody unnamed"
    if gate.state is GateState.EXPIRED:
        return EmitEvent(EventReason.GATE_EXPIRED, f"{subject} closed without a decision taken", warning=True)
    if gate.state is GateState.REJECTED:
        return EmitEvent(EventReason.GATE_REJECTED, f"{subject} was rejected by {who}{note}", warning=True)
    if gate.decision is GateDecision.APPROVED:
        return EmitEvent(EventReason.GATE_APPROVED, f"{subject} was approved by {who}{note}")
    return EmitEvent(EventReason.GATE_APPROVED, f"{subject} was approved by its timeout, as onTimeout asks")


def _pausing(old: DiffusionRunStatus, new: DiffusionRunStatus) -> Iterator[EmitEvent]:
    before, after = _condition(old, ConditionType.PAUSED), _condition(new, ConditionType.PAUSED)
    was, ended = before is not None and before.status == "True", new.completion_time is not None
    if after is None or ended:
        return
    if after.status == "True" and not was:
        yield EmitEvent(EventReason.PAUSED, "the run holds: no pod of it computes")
    elif was and after.reason == PauseReason.NOT_REQUESTED:
        yield EmitEvent(EventReason.RESUMED, "the run goes on")


def _run_end(old: DiffusionRunStatus, new: DiffusionRunStatus) -> Iterator[EmitEvent]:
    outcome = _condition(new, ConditionType.SUCCEEDED)
    if new.completion_time is None or old.completion_time is not None or outcome is None:
        return
    reason = _ENDINGS.get(RunReason(outcome.reason), EventReason.RUN_FAILED)
    yield EmitEvent(reason, outcome.message, warning=reason is EventReason.RUN_FAILED)
