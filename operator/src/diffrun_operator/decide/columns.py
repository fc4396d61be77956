"""What `kubectl get dfr` shows of a run in its columns."""

from collections.abc import Sequence

from diffrun_contracts.status import BlockState, BlockStatus, GateState, Progress
from diffrun_operator.decide.draft import Draft


def current_block(draft: Draft) -> str | None:
    """The first block that runs, else the first whose gate waits, else the first that is being started."""
    entries = draft.blocks.values()
    running = (entry.name for entry in entries if entry.state is BlockState.RUNNING)
    waiting = (name for name in draft.blocks if _gate_waits(draft, name))
    starting = (entry.name for entry in entries if entry.state is BlockState.PENDING and entry.attempt > 0)
    return next((name for names in (running, waiting, starting) for name in names), None)


def _gate_waits(draft: Draft, block: str) -> bool:
    gate = draft.gates.get(block)
    return gate is not None and gate.state is GateState.WAITING


def done(blocks: Sequence[BlockStatus]) -> str | None:
    """`k/n`: how many blocks have succeeded, of how many."""
    succeeded = sum(entry.state is BlockState.SUCCEEDED for entry in blocks)
    return f"{succeeded}/{len(blocks)}" if blocks else None


def progress(draft: Draft) -> str | None:
    """The current block's progress, for example `42 % (21/50)`; None where it has not said any."""
    name = current_block(draft)
    entry = draft.blocks[name] if name is not None else None
    if entry is None or entry.state is not BlockState.RUNNING or entry.progress is None:
        return None
    return percentage(entry.progress)


def percentage(made: Progress) -> str | None:
    """Rounded down, so that 100 % means done."""
    if made.total == 0:
        return None
    return f"{min(100, 100 * made.done // made.total)} % ({made.done}/{made.total})"
