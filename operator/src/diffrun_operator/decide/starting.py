"""Which blocks start, which never will, and what the others wait for."""

from diffrun_contracts import names
from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import Block
from diffrun_contracts.status import BlockState, GateState, GateStatus, JobRef
from diffrun_operator.decide import gates, graph
from diffrun_operator.decide.draft import Draft
from diffrun_operator.decide.text import quoted
from diffrun_operator.model import CreateJob

_PAUSED_MESSAGE = "the run is paused: set spec.pause to false to go on"
_DEAD_GATES = {GateState.REJECTED: BlockReason.GATE_REJECTED, GateState.EXPIRED: BlockReason.GATE_EXPIRED}


def skip(draft: Draft) -> None:
    """Skip the blocks that can never start: descendants of a failed block or of a closed gate, and no others."""
    waits = graph.dependencies(draft.spec)
    for block in graph.in_order(draft.spec):
        entry = draft.blocks[block.name]
        if entry.state is not BlockState.PENDING or entry.attempt > 0:
            continue
        for dependency in waits[block.name]:
            obstacle = _obstacle(draft, dependency)
            if obstacle is not None:
                draft.end(block.name, BlockState.SKIPPED, *obstacle)
                break


def _obstacle(draft: Draft, dependency: str) -> tuple[BlockReason, str] | None:
    entry, gate = draft.blocks[dependency], draft.gates.get(dependency)
    if entry.state is BlockState.SKIPPED:
        return entry.reason, entry.message or f'block "{dependency}" was skipped'
    if entry.state in (BlockState.FAILED, BlockState.CANCELLED):
        return BlockReason.DEPENDENCY_FAILED, f'block "{dependency}" ended {entry.state} ({entry.reason})'
    if gate is not None and gate.state in _DEAD_GATES:
        return _DEAD_GATES[gate.state], gate_closed(dependency, gate)
    return None


def gate_closed(block: str, gate: GateStatus) -> str:
    """How a gate ended against its run, in words."""
    if gate.state is GateState.EXPIRED:
        return f'the gate of block "{block}" expired without a decision'
    note = f": {gate.note}" if gate.note else ""
    return f'the gate of block "{block}" was rejected by {gate.decided_by or "somebody unnamed"}{note}'


def start(draft: Draft) -> None:
    """Record the first attempt of every block that is ready, and ask for each recorded Job not yet there."""
    waits = graph.dependencies(draft.spec)
    for block in draft.spec.blocks:
        entry = draft.blocks[block.name]
        if entry.state is not BlockState.PENDING:
            continue
        if entry.attempt == 0:
            reason, message = _waiting(draft, waits[block.name])
            if reason is None:
                name = names.job_name(draft.run.name, block.name, draft.run.uid, 1)
                changes = {"attempt": 1, "job_ref": JobRef(name=name)}
                draft.update(block.name, reason=BlockReason.STARTING, message=None, **changes)
            else:
                draft.update(block.name, reason=reason, message=message)
        _create(draft, block, waits[block.name])


def _create(draft: Draft, block: Block, dependencies: tuple[str, ...]) -> None:
    """Ask for the Job of a recorded attempt whose UID is not known, unless something holds its name."""
    entry, ref = draft.blocks[block.name], draft.ref(block.name)
    if entry.attempt == 0 or ref.uid is not None or ref.name in draft.jobs:
        return
    if draft.spec.pause:
        draft.update(block.name, reason=BlockReason.WAITING_FOR_RESUME, message=_PAUSED_MESSAGE)
        return
    if entry.reason is BlockReason.WAITING_FOR_RESUME:
        draft.update(block.name, reason=BlockReason.STARTING, message=None)
    inputs = tuple((name, draft.blocks[name].attempt) for name in dependencies)
    draft.creates.append(CreateJob(name=ref.name, block=block, attempt=entry.attempt, dependencies=inputs))


def _waiting(draft: Draft, dependencies: tuple[str, ...]) -> tuple[BlockReason | None, str | None]:
    """What a block that has not been started waits for; (None, None) where nothing holds it."""
    unfinished = [name for name in dependencies if draft.blocks[name].state is not BlockState.SUCCEEDED]
    if unfinished:
        noun = "block" if len(unfinished) == 1 else "blocks"
        return BlockReason.WAITING_FOR_DEPENDENCIES, f"waits for {noun} {quoted(unfinished)}"
    pending = {block.name for block in gates.unsettled_blocks(draft)}
    gated = [name for name in dependencies if name in pending]
    if gated and not draft.observed.gates_guarded:
        return BlockReason.ADMISSION_POLICY_MISSING, gates.UNGUARDED_MESSAGE
    if gated:
        noun = "gate of block" if len(gated) == 1 else "gates of blocks"
        return BlockReason.WAITING_FOR_GATE, f"waits for the {noun} {quoted(gated)}"
    if draft.spec.pause:
        return BlockReason.WAITING_FOR_RESUME, _PAUSED_MESSAGE
    return None, None
