"""Pausing: told to pods by an annotation, held time kept out of deadlines, told in a condition.

For a deadline a block is held as soon as all its running pods bear the annotation, whatever their workers
have said: that word comes by Redis, which may be away, and decides the condition alone.
"""

from diffrun_contracts.reasons import PauseReason
from diffrun_contracts.status import BlockState, DiffusionRunStatus
from diffrun_operator.decide.draft import Draft
from diffrun_operator.model import AnnotatePod, JobPhase, ObservedPod, PodPhase

_LIVE = (PodPhase.PENDING, PodPhase.RUNNING)


def account(draft: Draft) -> None:
    """Count the time for which each running block is held: told to pause, or sent back to its queue.

    A block whose Job is not in view keeps its account as it is: nothing is known about it.
    """
    for name, entry in draft.blocks.items():
        job = draft.job_of(name) if entry.state is BlockState.RUNNING else None
        if job is None:
            continue
        told = draft.spec.pause and all(pod.pause_annotated for pod in _running(draft.pods_of(name)))
        held = told or job.phase is JobPhase.SUSPENDED
        if held and entry.paused_since is None:
            draft.update(name, paused_since=draft.now)
        elif not held and entry.paused_since is not None:
            seconds = round(max(0.0, (draft.now - entry.paused_since).total_seconds()))
            draft.update(name, paused_since=None, paused_seconds=entry.paused_seconds + seconds)


def _running(pods: list[ObservedPod]) -> list[ObservedPod]:
    """The pods that can compute and can be told not to."""
    return [pod for pod in pods if pod.phase is PodPhase.RUNNING and not pod.terminating]


def annotations(draft: Draft, status: DiffusionRunStatus) -> tuple[AnnotatePod, ...]:
    """The live pods of unfinished blocks whose annotation is not what the spec asks for."""
    wanted = draft.spec.pause
    actions: dict[str, AnnotatePod] = {}
    for entry in status.blocks:
        if entry.attempt == 0 or entry.state.terminal:
            continue
        for pod in draft.pods_of(entry.name):
            if pod.phase in _LIVE and not pod.terminating and pod.pause_annotated != wanted:
                actions[pod.name] = AnnotatePod(name=pod.name, pause=wanted)
    return tuple(actions[name] for name in sorted(actions))


def condition(draft: Draft, *, ended: bool) -> tuple[str, PauseReason, str]:
    """Status, reason and message of `Paused`: True when a pause is asked for and nothing computes."""
    if ended:
        return "False", PauseReason.NOT_REQUESTED, "the run has ended"
    if not draft.spec.pause:
        return "False", PauseReason.NOT_REQUESTED, "spec.pause is false"
    names = [name for name, entry in draft.blocks.items() if entry.attempt > 0 and not entry.state.terminal]
    running = [pod for name in names for pod in _running(draft.pods_of(name))]
    told, known = sum(pod.pause_annotated for pod in running), sum(pod.holding for pod in running)
    if known < len(running):
        message = f"running pods: {len(running)}, told to pause: {told}, known to hold: {known}"
        return "False", PauseReason.PAUSE_REQUESTED, message
    return "True", PauseReason.HOLDING, "no pod of the run computes; set spec.pause to false to go on"
