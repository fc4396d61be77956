"""The conditions of a run: what `kubectl wait` waits for, and the one-word summary of everything else."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from diffrun_contracts.reasons import (
    BlockReason,
    ConditionType,
    GateReason,
    PauseReason,
    RunReason,
    SpecReason,
)
from diffrun_contracts.status import (
    BlockState,
    BlockStatus,
    Condition,
    DiffusionRunStatus,
    GateState,
    GateStatus,
)
from diffrun_operator.decide import cancellation, gates, pausing, starting
from diffrun_operator.decide.draft import Draft
from diffrun_operator.decide.text import clip, quoted
from diffrun_operator.decide.validation import Problem
from diffrun_operator.model import Run

Verdict = tuple[str, str, str]
"""Status, reason and message of a condition."""


def find(status: DiffusionRunStatus, kind: ConditionType) -> Condition | None:
    """The condition of that type, or None."""
    return next((condition for condition in status.conditions if condition.type is kind), None)


def finished(status: DiffusionRunStatus) -> bool:
    """Whether the run has ended, either way."""
    condition = find(status, ConditionType.FINISHED)
    return condition is not None and condition.status == "True"


def compose(draft: Draft, problem: Problem | None, *, ended: bool) -> list[Condition]:
    """All conditions of a run whose spec can be run, or is cancelled."""
    succeeded = _outcome(draft) if ended else ("Unknown", *_activity(draft))
    verdicts: dict[ConditionType, Verdict] = {
        ConditionType.SPEC_VALID: _spec_valid(problem),
        ConditionType.GATE_PENDING: _gate_pending(draft),
        ConditionType.PAUSED: pausing.condition(draft, ended=ended),
        ConditionType.FINISHED: ("True" if ended else "False", *succeeded[1:]),
        ConditionType.SUCCEEDED: succeeded,
    }
    return _stamp(draft.run, verdicts, draft.now)


def invalid(run: Run, problem: Problem, now: datetime) -> DiffusionRunStatus:
    """The status of a run whose spec cannot be run: the ledger as it is, empty before the start."""
    started = run.status.start_time is not None
    verdict = (RunReason.INVALID_SPEC.value, problem.message)
    verdicts: dict[ConditionType, Verdict] = {
        ConditionType.SPEC_VALID: _spec_valid(problem),
        ConditionType.GATE_PENDING: _waiting_verdict(_waiting_gates(run.status.gates)),
        ConditionType.PAUSED: ("False", PauseReason.NOT_REQUESTED, "the spec is invalid"),
        ConditionType.FINISHED: ("False", *verdict),
        ConditionType.SUCCEEDED: ("Unknown", *verdict),
    }
    paused = find(run.status, ConditionType.PAUSED)
    if started and paused is not None:
        verdicts[ConditionType.PAUSED] = (paused.status, paused.reason, paused.message)
    changes: dict[str, object] = {
        "observed_generation": run.generation,
        "conditions": _stamp(run, verdicts, now),
    }
    if not started:
        changes |= {"blocks": [], "current_block": None, "done": None, "progress": None}
    return run.status.model_copy(update=changes)


def _stamp(run: Run, verdicts: dict[ConditionType, Verdict], now: datetime) -> list[Condition]:
    """Conditions in their fixed order; `lastTransitionTime` moves only when the status does."""
    stamped = []
    for kind, (status, reason, message) in verdicts.items():
        before = find(run.status, kind)
        since = before.last_transition_time if before is not None and before.status == status else now
        stamped.append(
            Condition(
                type=kind,
                status=status,
                reason=str(reason),
                message=clip(message),
                last_transition_time=since,
                observed_generation=run.generation,
            )
        )
    return stamped


def _spec_valid(problem: Problem | None) -> Verdict:
    if problem is None:
        return "True", SpecReason.VALID, "the spec can be run"
    return "False", problem.reason, problem.message


def _waiting_gates(opened: dict[str, GateStatus]) -> list[str]:
    return [name for name, gate in opened.items() if gate.state is GateState.WAITING]


def _gate_pending(draft: Draft) -> Verdict:
    waiting = [name for name in draft.blocks if name in _waiting_gates(draft.gates)]
    status, reason, message = _waiting_verdict(waiting)
    prompts = {block.name: block.gate.prompt for block in draft.spec.blocks if block.gate}
    asked = " / ".join(prompts[name] for name in waiting if prompts.get(name))
    message = f"{message}: {asked}" if asked else message
    if not draft.observed.gates_guarded and not draft.spec.cancel and gates.unsettled(draft):
        message = f"{message}; no gate opens or closes: {gates.UNGUARDED_MESSAGE}"
    return status, reason, message


def _waiting_verdict(waiting: Sequence[str]) -> Verdict:
    if not waiting:
        return "False", GateReason.NO_GATE_WAITING, "no gate waits for a decision"
    noun = "the gate of block" if len(waiting) == 1 else "the gates of blocks"
    verb = "waits" if len(waiting) == 1 else "wait"
    return "True", GateReason.WAITING, f"{noun} {quoted(list(waiting))} {verb} for a decision"


def _activity(draft: Draft) -> tuple[str, str]:
    """What an unfinished run does: paused before running before gated before queued before pending."""
    status, _, pause_message = pausing.condition(draft, ended=False)
    if status == "True":
        return RunReason.PAUSED, pause_message
    entries = [entry for entry in draft.blocks.values() if entry.attempt > 0 and not entry.state.terminal]
    queued = [entry for entry in entries if entry.reason is BlockReason.QUEUED]
    running = [entry for entry in entries if entry.state is BlockState.RUNNING and entry not in queued]
    if running:
        return RunReason.RUNNING, _tell(running)
    if gates.unsettled(draft):
        return RunReason.GATE_PENDING, _gate_pending(draft)[2]
    if queued:
        return RunReason.QUEUED, _tell(queued)
    return RunReason.PENDING, _tell(entries or draft.blocks.values())


def _tell(entries: Iterable[BlockStatus]) -> str:
    """The first entry that has not ended, in words."""
    entry = next((entry for entry in entries if not entry.state.terminal), None)
    if entry is None:
        return "no block is left to run"
    return f'block "{entry.name}": {entry.reason}' + (f": {entry.message}" if entry.message else "")


def _outcome(draft: Draft) -> Verdict:
    """How the run ended. Cancelled goes before a failed block, before a rejected and an expired gate."""
    if draft.spec.cancel:
        return "False", RunReason.CANCELLED, cancellation.MESSAGE
    for entry in draft.blocks.values():
        if entry.state is BlockState.FAILED:
            message = f'block "{entry.name}" failed: {entry.reason}'
            return "False", RunReason.BLOCK_FAILED, f"{message}: {entry.message}" if entry.message else message
    causes = ((GateState.REJECTED, RunReason.GATE_REJECTED), (GateState.EXPIRED, RunReason.GATE_EXPIRED))
    for state, reason in causes:
        for name in draft.blocks:
            gate = draft.gates.get(name)
            if gate is not None and gate.state is state:
                return "False", reason, starting.gate_closed(name, gate)
    count = len(draft.blocks)
    return (
        "True",
        RunReason.ALL_BLOCKS_SUCCEEDED,
        f"all {count} blocks succeeded" if count > 1 else "the block succeeded",
    )
