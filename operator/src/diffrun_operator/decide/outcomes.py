"""What the Jobs say: found, foreign, refused, gone, done or failed, block by block.

A Job that is not in view proves nothing: views are stale, and a second Job would compute twice.
Only a live 404 for the recorded UID makes an attempt lost, and only an attempt whose UID was never
recorded is created again, under the same name.
"""

import json

from diffrun_contracts import names
from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import Block
from diffrun_contracts.status import BlockState, JobRef, Progress, Scalar
from diffrun_operator.decide import failures, phases, restarts
from diffrun_operator.decide.draft import Draft, retries
from diffrun_operator.model import JobPhase, ObservedJob, ObservedPod, PodPhase

TERMINATING_WAIT = 1.0
"""Seconds between looks at a Job that is going away."""
UNSEEN_WAIT = 5.0
"""Seconds after which a recorded Job that is not in view is asked for again."""
PODS_LAG = 5.0
"""Seconds after a Job's end for which its pods' last words are waited for, where the view lags."""


def absorb(draft: Draft) -> None:
    """Take up what is seen of every attempt that has no outcome yet."""
    for block in draft.spec.blocks:
        entry = draft.blocks[block.name]
        if entry.attempt > 0 and not entry.state.terminal and _identify(draft, block):
            _follow(draft, block)


def _identify(draft: Draft, block: Block) -> bool:
    """Whether the attempt's Job has a recorded UID by now; where not, what stands in its way."""
    ref = draft.ref(block.name)
    if ref.uid is not None:
        return True
    job = draft.jobs.get(ref.name)
    if job is not None and job.owned:
        draft.update(block.name, job_ref=JobRef(name=ref.name, uid=job.uid))
        return True
    if ref.name in draft.observed.collisions or (job is not None and job.phase is not JobPhase.TERMINATING):
        message = f"Job {ref.name} exists and is not this run's: delete or rename it, then apply the run anew"
        draft.end(block.name, BlockState.FAILED, BlockReason.NAME_COLLISION, message)
    elif job is not None:
        draft.wake(TERMINATING_WAIT)
        message = f"waits for the Job {ref.name}, which is not this run's, to go away"
        draft.update(block.name, reason=BlockReason.STARTING, message=message)
    elif ref.name in draft.observed.refusals:
        message = f"the API server refuses Job {ref.name}: {draft.observed.refusals[ref.name]}"
        draft.end(block.name, BlockState.FAILED, BlockReason.JOB_REFUSED, message)
    return False


def _follow(draft: Draft, block: Block) -> None:
    job = draft.job_of(block.name)
    lost = draft.ref(block.name).uid in draft.observed.lost_jobs
    if job is None:
        if lost:
            _lose(draft, block)
        else:
            draft.wake(UNSEEN_WAIT)
        return
    if block.workers > 1:
        draft.update(block.name, failure=failures.remember(draft.blocks[block.name].failure, draft.pods_of(block.name)))
    phase = _phase(job)
    if phase in (JobPhase.COMPLETE, JobPhase.FAILED):
        # An outcome that was seen counts, even where the Job has been deleted since.
        _finish(draft, block, job, phase)
    elif lost:
        _lose(draft, block)
    elif phase is JobPhase.TERMINATING:
        draft.wake(TERMINATING_WAIT)
    elif not _hopeless(draft, block):
        phases.follow(draft, block, job)


def _phase(job: ObservedJob) -> JobPhase:
    """The Job's phase, where one that is being deleted after its end still counts as ended."""
    if job.phase is JobPhase.TERMINATING and job.failure_reason is not None:
        return JobPhase.FAILED
    if job.phase is JobPhase.TERMINATING and job.finished_at is not None:
        return JobPhase.COMPLETE
    return job.phase


def _lose(draft: Draft, block: Block) -> None:
    """The Job is gone and its outcome unknown: a new attempt under a new name, or the end."""
    entry, ref = draft.blocks[block.name], draft.ref(block.name)
    message = f"Job {ref.name} of attempt {entry.attempt} disappeared before its outcome was seen"
    if restarts.attempts_left(draft, block):
        restarts.start_again(draft, block, message)
    else:
        draft.end(block.name, BlockState.FAILED, BlockReason.LOST, message + _used_up(draft, block))


def _used_up(draft: Draft, block: Block) -> str:
    return f" (retries used up: {retries(draft.spec, block, draft.policy)})"


def _finish(draft: Draft, block: Block, job: ObservedJob, phase: JobPhase) -> None:
    pods = draft.pods_of(block.name)
    wait = _pods_lag(draft, block, job, phase)
    if wait is not None:
        draft.wake(wait)
        return
    started = draft.blocks[block.name].start_time
    if started is None:
        started = min((pod.started_at for pod in pods if pod.started_at is not None), default=None)
    if phase is JobPhase.FAILED:
        reason, message = failures.classify(job, pods, draft.blocks[block.name].failure)
        if restarts.failed_together(draft, block, reason, message):
            return
        if reason is BlockReason.WORKER_FAILED:
            message += _used_up(draft, block)
        draft.end(block.name, BlockState.FAILED, reason, message, at=job.finished_at, start_time=started, failure=None)
        return
    made = draft.blocks[block.name].progress
    draft.end(
        block.name,
        BlockState.SUCCEEDED,
        BlockReason.COMPLETED,
        _lost_on_the_way(pods),
        at=job.finished_at,
        start_time=started,
        outputs=_outputs(pods),
        progress=made and Progress(done=made.total, total=made.total),
    )


def _pods_lag(draft: Draft, block: Block, job: ObservedJob, phase: JobPhase) -> float | None:
    """Seconds to wait for pods that are seen alive although their Job has ended; None for no wait.

    Jobs and pods come by separate watches. Outputs, the preview's digest and the error's message
    are worth the moment; a pod that is never seen to end (its node is gone) is not worth more.
    """
    pods = draft.pods_of(block.name)
    live = {pod.shard for pod in pods if pod.phase in (PodPhase.PENDING, PodPhase.RUNNING)}
    if phase is JobPhase.COMPLETE:
        behind = bool(live - {pod.shard for pod in pods if pod.phase is PodPhase.SUCCEEDED})
    elif block.workers > 1:
        behind = bool(live)  # of pods that fail together, the first word heard need not be the cause
    else:
        behind = bool(live) and not any(pod.phase is PodPhase.FAILED for pod in pods)
    if not behind or job.finished_at is None:
        return None
    left = PODS_LAG - (draft.now - job.finished_at).total_seconds()
    # A little more than the whole wait is the clocks' difference; much more says nothing about the pods.
    return left if 0 < left <= 2 * PODS_LAG else None


def _hopeless(draft: Draft, block: Block) -> bool:
    """Give up on a Job that still runs but would only fail again."""
    pods = draft.pods_of(block.name)
    killed = failures.oom_killed(pods)
    if killed is not None:
        message = f"{failures.explain(killed)}; give the block more memory (resources.limits.memory) or less work"
        draft.end(block.name, BlockState.FAILED, BlockReason.OOM_KILLED, message)
        return True
    disruptions = max((pod.ignored_failures for pod in pods), default=0)
    if disruptions > draft.policy.max_ignored_disruptions:
        message = f"a shard was disrupted {disruptions} times (evictions, drains, preemptions); "
        message += f"{draft.policy.max_ignored_disruptions} are forgiven"
        draft.end(block.name, BlockState.FAILED, BlockReason.EVICTED, message)
        return True
    return False


def succeeded_pod(pods: list[ObservedPod], shard: int) -> ObservedPod | None:
    """The newest succeeded pod of a shard that left a result."""
    done = [pod for pod in pods if pod.shard == shard and pod.phase is PodPhase.SUCCEEDED and pod.result is not None]
    return done[-1] if done else None


def _lost_on_the_way(pods: list[ObservedPod]) -> str | None:
    """How many metric points the live path lacks: a curve that has gaps while it is watched is told to have them."""
    newest = {pod.shard: pod.result for pod in pods if pod.phase is PodPhase.SUCCEEDED and pod.result is not None}
    count = sum(result.dropped_metrics for result in newest.values())
    return (
        f"{count} metric point{'s' if count > 1 else ''} did not reach Redis; events.jsonl has all" if count else None
    )


def _outputs(pods: list[ObservedPod]) -> dict[str, Scalar] | None:
    """Shard 0's outputs, without those that do not fit into the ledger's 1 KiB."""
    pod = succeeded_pod(pods, 0)
    if pod is None or pod.result is None:
        return None
    kept: dict[str, Scalar] = {}
    for key, value in pod.result.outputs.items():
        trial = {**kept, key: value}
        if len(json.dumps(trial, ensure_ascii=False).encode()) <= names.MAX_OUTPUT_BYTES:
            kept = trial
    return kept
