"""New attempts: of a block whose Job is lost, and of one whose pods work together and have failed together.

An attempt is another Job under another name. Those that a disruption ended are counted apart, in the ledger, since
an eviction or a preemption is nobody's fault; all others cost a retry.
"""

from diffrun_contracts import names
from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import Block
from diffrun_contracts.status import BlockStatus, JobRef
from diffrun_operator.decide.draft import Draft, retries


def failed_together(draft: Draft, block: Block, reason: BlockReason, message: str) -> bool:
    """Start the pods of a failed Job again, all of them; whether that is any use and allowed.

    A user's error and a lack of memory would only come again. What the pods have saved belongs to no attempt.
    """
    if block.workers == 1 or reason not in (BlockReason.WORKER_FAILED, BlockReason.EVICTED):
        return False
    disrupted = reason is BlockReason.EVICTED
    if not (_disruption_forgiven(draft, block) if disrupted else attempts_left(draft, block)):
        return False
    start_again(draft, block, f"all {block.workers} workers start again: {message}", disrupted=disrupted)
    return True


def attempts_left(draft: Draft, block: Block) -> bool:
    """Whether `retries` allows for another attempt."""
    entry = draft.blocks[block.name]
    return entry.attempt - entry.disruptions <= retries(draft.spec, block, draft.policy)


def start_again(draft: Draft, block: Block, message: str, *, disrupted: bool = False) -> None:
    """Record the next attempt, under its own Job's name."""
    before = draft.blocks[block.name]
    attempt = before.attempt + 1
    draft.blocks[block.name] = BlockStatus(
        name=block.name,
        attempt=attempt,
        disruptions=before.disruptions + disrupted,
        job_ref=JobRef(name=names.job_name(draft.run.name, block.name, draft.run.uid, attempt)),
        reason=BlockReason.STARTING,
    )
    draft.update(block.name, message=message)


def _disruption_forgiven(draft: Draft, block: Block) -> bool:
    return draft.blocks[block.name].disruptions < draft.policy.max_ignored_disruptions
