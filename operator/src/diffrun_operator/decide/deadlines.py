"""`activeDeadlineSeconds`: how long a block may run, not counting queued, gated or paused time.

A Job's own activeDeadlineSeconds would count all of these, so that none is set on it. Time counts
from the current attempt's first running pod, so that what came before it never counts.
"""

from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.status import BlockState, BlockStatus
from diffrun_operator.decide.draft import Draft, active_deadline


def enforce(draft: Draft) -> None:
    """Fail the blocks that have run for too long; ask to be woken for those that may yet."""
    for block in draft.spec.blocks:
        limit = active_deadline(draft.spec, block)
        entry = draft.blocks[block.name]
        if limit is None or entry.state is not BlockState.RUNNING:
            continue
        job = draft.job_of(block.name)
        if job is not None and job.finished_at is not None:
            continue  # it made it; only its pods' last words are still waited for
        left = limit - running_seconds(draft, entry)
        if left <= 0:
            message = f"ran for longer than its activeDeadlineSeconds of {limit} s"
            if entry.paused_seconds:
                message += f" ({entry.paused_seconds} s of pause not counted)"
            draft.end(block.name, BlockState.FAILED, BlockReason.DEADLINE_EXCEEDED, message)
        elif entry.paused_since is None:
            draft.wake(left)


def running_seconds(draft: Draft, entry: BlockStatus) -> float:
    """Seconds for which the current attempt has run and not been held."""
    if entry.start_time is None:
        return 0.0
    until = entry.paused_since or draft.now
    return (until - entry.start_time).total_seconds() - entry.paused_seconds
