"""Gates: opened when their block has succeeded, closed by a person or by time.

The operator owns a gate's state, its times and its digest; `decision`, `decidedBy` and `note` are
an approver's and are carried through untouched. While the admission policy that guards those
fields is missing nothing about a gate moves: what stands there may be anybody's.
"""

import hashlib
from datetime import timedelta

from diffrun_contracts.spec import Block, Gate, OnTimeout
from diffrun_contracts.status import BlockState, GateDecision, GateState, GateStatus
from diffrun_operator.decide import outcomes
from diffrun_operator.decide.draft import Draft

UNGUARDED_WAIT = 15.0
"""Seconds between looks for the admission policy."""
UNGUARDED_MESSAGE = (
    "the ValidatingAdmissionPolicy that guards gate decisions, or its binding, is missing: "
    "restore it with `helm upgrade` (or apply the plain manifests anew)"
)


def resolve(draft: Draft) -> None:
    """Close the waiting gates that are decided or whose time is up; a decision beats the timeout."""
    for block in draft.spec.blocks:
        status = draft.gates.get(block.name)
        if block.gate is None or status is None or status.state is not GateState.WAITING:
            continue
        if not draft.observed.gates_guarded:
            draft.wake(UNGUARDED_WAIT)
            continue
        state = _closing_state(draft, block.gate, status)
        if state is not None:
            close(draft, block.name, state)


def _closing_state(draft: Draft, gate: Gate, status: GateStatus) -> GateState | None:
    if status.decision is not None:
        return GateState.APPROVED if status.decision is GateDecision.APPROVED else GateState.REJECTED
    if gate.timeout_seconds is None:
        return None
    left = (status.opened_at + timedelta(seconds=gate.timeout_seconds) - draft.now).total_seconds()
    if left > 0:
        draft.wake(left)
        return None
    return GateState.APPROVED if gate.on_timeout is OnTimeout.APPROVE else GateState.EXPIRED


def close(draft: Draft, block: str, state: GateState) -> None:
    """Close a waiting gate; whatever the approver wrote stays."""
    draft.gates[block] = draft.gates[block].model_copy(update={"state": state, "closed_at": draft.now})


def open_due(draft: Draft) -> None:
    """Open the gate of every block that has succeeded and has not had one opened."""
    for block in unsettled_blocks(draft):
        if block.name in draft.gates:
            continue
        if not draft.observed.gates_guarded:
            draft.wake(UNGUARDED_WAIT)
            continue
        digest = preview_digest(draft, block)
        draft.gates[block.name] = GateStatus(state=GateState.WAITING, opened_at=draft.now, preview_digest=digest)
        if block.gate is not None and block.gate.timeout_seconds is not None:
            draft.wake(block.gate.timeout_seconds)


def unsettled_blocks(draft: Draft) -> list[Block]:
    """Succeeded blocks whose gate waits, or has still to open."""
    return [
        block
        for block in draft.spec.blocks
        if block.gate is not None
        and draft.blocks[block.name].state is BlockState.SUCCEEDED
        and (block.name not in draft.gates or draft.gates[block.name].state is GateState.WAITING)
    ]


def unsettled(draft: Draft) -> bool:
    """Whether some gate still keeps the run from ending."""
    return bool(unsettled_blocks(draft))


def preview_digest(draft: Draft, block: Block) -> str | None:
    """What an approval is bound to: the artifacts of all shards, in shard order.

    One shard's digest is taken as it is; of several, `sha256:` over the digests joined by newlines.
    None where any is unknown, since half a digest would bind to half of what was seen.
    """
    pods = draft.pods_of(block.name)
    digests: list[str] = []
    for shard in range(block.shards):
        pod = outcomes.succeeded_pod(pods, shard)
        if pod is None or pod.result is None or pod.result.artifacts_digest is None:
            return None
        digests.append(pod.result.artifacts_digest)
    if len(digests) == 1:
        return digests[0]
    return "sha256:" + hashlib.sha256("\n".join(digests).encode()).hexdigest()
