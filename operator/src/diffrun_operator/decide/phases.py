"""Where a block stands whose Job is neither done nor failed: Pending or Running, and why."""

from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import Block
from diffrun_contracts.status import BlockState, Progress
from diffrun_operator.decide import failures
from diffrun_operator.decide.draft import Draft
from diffrun_operator.model import JobPhase, ObservedJob, ObservedPod, PodPhase

_SETTLED = (PodPhase.RUNNING, PodPhase.SUCCEEDED)


def follow(draft: Draft, block: Block, job: ObservedJob) -> None:
    """Bring state, reason, start and progress of the block up to what is seen of its pods.

    Within an attempt a block never goes back from Running to Pending: it has used its resources,
    and a view without its pods may just be stale.
    """
    entry = draft.blocks[block.name]
    pods = draft.pods_of(block.name)
    begun = [pod for pod in pods if pod.phase is PodPhase.RUNNING or pod.started_at is not None]
    running = entry.state is BlockState.RUNNING or bool(begun)
    reason, message = _reason(block, job, pods, entry.reason if entry.state is BlockState.RUNNING else None)
    if entry.failure is not None:
        reason = BlockReason.RETRYING
        message = f"the {block.workers} workers that train together end, since one has failed: {entry.failure.message}"
    start_time = entry.start_time
    if running and start_time is None:
        start_time = min((pod.started_at for pod in begun if pod.started_at is not None), default=draft.now)
    progress = entry.progress
    if running and block.name in draft.observed.progress:
        done, total = draft.observed.progress[block.name]
        progress = Progress(done=max(0, done), total=max(0, total))
    draft.update(
        block.name,
        state=BlockState.RUNNING if running else BlockState.PENDING,
        reason=reason,
        message=message,
        start_time=start_time,
        progress=progress,
    )


def _reason(
    block: Block, job: ObservedJob, pods: list[ObservedPod], before: BlockReason | None
) -> tuple[BlockReason, str | None]:
    """`before` is the reason so far where the block runs already."""
    if job.phase is JobPhase.SUSPENDED:
        return BlockReason.QUEUED, f"Job {job.name} is suspended: it waits for its queue to admit it"
    if not pods:
        stale = before is not None and before is not BlockReason.QUEUED
        return (before or BlockReason.STARTING, None) if stale else (BlockReason.STARTING, None)
    waiting = _in_trouble(pods)
    if any(pod.phase is PodPhase.RUNNING for pod in pods):
        failed = _being_replaced(pods)
        if failed is not None:
            return BlockReason.RETRYING, _retrying(failed)
        return BlockReason.RUNNING, None if waiting is None else _partly(block, waiting)
    if waiting is not None and waiting.trouble is not None:
        return waiting.trouble, waiting.trouble_message or f"pod {waiting.name} cannot start"
    failed = _being_replaced(pods)
    if failed is not None:
        return BlockReason.RETRYING, _retrying(failed)
    if any(pod.phase is PodPhase.SUCCEEDED for pod in pods):
        return BlockReason.RUNNING, None
    return BlockReason.STARTING, None


def _in_trouble(pods: list[ObservedPod]) -> ObservedPod | None:
    """The first pod, by shard, that cannot start."""
    stuck = [pod for pod in pods if pod.phase is PodPhase.PENDING and pod.trouble is not None and not pod.terminating]
    return min(stuck, key=lambda pod: (pod.shard, pod.name), default=None)


def _being_replaced(pods: list[ObservedPod]) -> ObservedPod | None:
    """The newest failed pod whose shard has neither succeeded nor a running pod."""
    settled = {pod.shard for pod in pods if pod.phase in _SETTLED}
    failed = [pod for pod in pods if pod.phase is PodPhase.FAILED and pod.shard not in settled]
    return failed[-1] if failed else None


def _retrying(pod: ObservedPod) -> str:
    return f"pod {pod.name} is being replaced: {failures.explain(pod)}"


def _partly(block: Block, pod: ObservedPod) -> str:
    return f"shard {pod.shard} of {block.pods} waits ({pod.trouble}): {pod.trouble_message or pod.name}"
