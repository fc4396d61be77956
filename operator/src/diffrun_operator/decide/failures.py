"""Why a Job failed: pods' troubles, told apart and put into words."""

from diffrun_contracts import names
from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.status import PodFailure
from diffrun_operator.decide.text import clip
from diffrun_operator.model import ObservedJob, ObservedPod, PodPhase

_FINAL = (BlockReason.USER_ERROR, BlockReason.OOM_KILLED, BlockReason.EVICTED)
"""What a failed pod may say of itself, the most telling first; anything else is a worker that failed."""

POD_FAILURE_POLICY = "PodFailurePolicy"
"""The Failed condition's reason where a pod's permanent exit code ended the Job."""


def classify(job: ObservedJob, pods: list[ObservedPod], known: PodFailure | None) -> tuple[BlockReason, str]:
    """Reason and message of a block whose Job has failed; `pods` are the Job's, oldest first.

    `known` is what is remembered of pods that work together, and then decides.
    """
    if known is not None:
        return known.reason, known.message
    culprit = _culprit([pod for pod in pods if pod.phase is PodPhase.FAILED])
    if culprit is None:
        if job.failure_reason == POD_FAILURE_POLICY:
            message = f"a worker of Job {job.name} ended with the permanent exit code {names.EXIT_PERMANENT}; "
            return BlockReason.USER_ERROR, message + "its message is gone with its pod"
        why = f" ({job.failure_reason})" if job.failure_reason else ""
        return BlockReason.WORKER_FAILED, f"Job {job.name} failed{why}; none of its failed pods is left to say why"
    return trouble(culprit), explain(culprit)


def remember(known: PodFailure | None, pods: list[ObservedPod]) -> PodFailure | None:
    """What ended the first of pods that work together, by what is known and what is in view, oldest first.

    A drained or preempted pod is deleted once it has ended, and the Job controller deletes its peers before it calls
    the Job failed: whoever looks only then finds nobody to ask. What tells more of the cause replaces what is known.
    """
    culprit = _first_culprit([pod for pod in pods if pod.phase is PodPhase.FAILED])
    if culprit is None:
        return known
    seen = PodFailure(reason=trouble(culprit), message=clip(explain(culprit)))
    return seen if known is None or _rank(seen.reason) < _rank(known.reason) else known


def _rank(reason: BlockReason) -> int:
    """How much a reason tells of the cause, the most telling first."""
    return _FINAL.index(reason) if reason in _FINAL else len(_FINAL)


def oom_killed(pods: list[ObservedPod]) -> ObservedPod | None:
    """The newest pod that ran out of memory, or None. The same pod would again, so it is not retried."""
    return next((pod for pod in reversed(pods) if pod.trouble is BlockReason.OOM_KILLED), None)


def trouble(pod: ObservedPod) -> BlockReason:
    """Why a failed pod failed."""
    return pod.trouble if pod.trouble in _FINAL else BlockReason.WORKER_FAILED


def explain(pod: ObservedPod) -> str:
    """The worker's own message where it left one, else what is known from outside."""
    if pod.result is not None and pod.result.error is not None:
        return pod.result.error.message
    return pod.trouble_message or f"pod {pod.name} failed without a message"


def _culprit(failed: list[ObservedPod]) -> ObservedPod | None:
    """The pod that tells why: a permanent error before an OOM kill before the newest failure.

    When one shard fails for good the Job controller terminates its siblings, which then fail later
    and for no reason of their own.
    """
    by_themselves = [pod for pod in failed if not pod.terminating] or failed
    return _telling(failed, BlockReason.USER_ERROR, BlockReason.OOM_KILLED) or (
        by_themselves[-1] if by_themselves else None
    )


def _first_culprit(failed: list[ObservedPod]) -> ObservedPod | None:
    """Of pods that work together, the one whose failure the others' failures follow from.

    They lose their peer and fail within moments, so that the first is asked and not the newest; and a pod that was
    disrupted is the cause even where a peer has fallen before it was gone.
    """
    by_themselves = [pod for pod in failed if not pod.terminating] or failed
    return _telling(failed, *_FINAL) or (by_themselves[0] if by_themselves else None)


def _telling(failed: list[ObservedPod], *reasons: BlockReason) -> ObservedPod | None:
    """The newest pod that failed for the first of the reasons that any of them failed for."""
    for reason in reasons:
        told = [pod for pod in failed if pod.trouble is reason]
        if told:
            return told[-1]
    return None
