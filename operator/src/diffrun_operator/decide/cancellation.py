"""`spec.cancel`: the run ends now, and cannot be taken up again.

A gate that waits at that moment is closed as Expired, not as Rejected: nobody has rejected it. What
an approver has written into it by then stays to be read, and has no effect.
"""

from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.status import BlockState, GateState
from diffrun_operator.decide import gates
from diffrun_operator.decide.draft import Draft

MESSAGE = "spec.cancel was set"


def apply(draft: Draft) -> None:
    """Cancel every block without an outcome and close every waiting gate; their Jobs are then left over."""
    for name, entry in list(draft.blocks.items()):
        if not entry.state.terminal:
            draft.end(name, BlockState.CANCELLED, BlockReason.CANCELLED, MESSAGE)
    for name, gate in list(draft.gates.items()):
        if gate.state is GateState.WAITING:
            gates.close(draft, name, GateState.EXPIRED)
