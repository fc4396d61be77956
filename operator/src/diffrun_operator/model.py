"""What the decision core sees and what it asks for: plain values between `observe`, `decide` and `execute`."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from diffrun_contracts.reasons import BlockReason, EventReason
from diffrun_contracts.spec import Block, DiffusionRunSpec
from diffrun_contracts.status import DiffusionRunStatus
from diffrun_contracts.task import BlockResult


@dataclass(frozen=True, slots=True)
class Run:
    """A DiffusionRun as it was last seen."""

    namespace: str
    name: str
    uid: str
    generation: int
    resource_version: str
    spec: DiffusionRunSpec | None
    """None where the stored spec does not parse; `spec_error` then says why."""
    spec_error: str | None
    status: DiffusionRunStatus
    deleting: bool = False


class JobPhase(StrEnum):
    """A Job's own word on itself."""

    ACTIVE = "Active"
    SUSPENDED = "Suspended"  # held by Kueue
    COMPLETE = "Complete"
    FAILED = "Failed"
    TERMINATING = "Terminating"  # has a deletion timestamp


@dataclass(frozen=True, slots=True)
class ObservedJob:
    """One of the run's Jobs."""

    name: str
    uid: str
    owned: bool
    """Whether its controller owner is this run, by UID."""
    block: str
    attempt: int
    phase: JobPhase
    failure_reason: str | None = None
    """The Failed condition's reason, for example PodFailurePolicy or FailedIndexes."""
    finished_at: datetime | None = None
    succeeded: int = 0
    """Indexes that have completed."""
    version: str = ""
    """The resourceVersion of what was seen."""


class PodPhase(StrEnum):
    """A pod's state, as far as the run is concerned."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class ObservedPod:
    """One pod of one of the run's Jobs."""

    name: str
    uid: str
    job: str
    """The owning Job's name."""
    shard: int
    phase: PodPhase
    trouble: BlockReason | None = None
    """Unschedulable, ImagePullFailed, ContainerConfigError, OOMKilled, Evicted, UserError or WorkerFailed."""
    trouble_message: str | None = None
    result: BlockResult | None = None
    """From the termination message, where the container has ended and left one."""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    pause_annotated: bool = False
    """Whether the pod bears the pause annotation with the value `true`."""
    holding: bool = False
    """Whether the worker has said that it holds (and has not said that it resumed)."""
    ignored_failures: int = 0
    """Disruptions of this pod's index that the Job's policy ignored."""
    terminating: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """What is known of the cluster around one run, possibly stale."""

    jobs: tuple[ObservedJob, ...] = ()
    pods: tuple[ObservedPod, ...] = ()
    lost_jobs: frozenset[str] = frozenset()
    """UIDs of recorded Jobs for which a live GET has just said 404 (or another UID)."""
    collisions: frozenset[str] = frozenset()
    """Names of our Jobs-to-be that a foreign object holds, found when creating."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Names of our Jobs-to-be that the API server refused for good (403 quota, 422 invalid), with its message."""
    progress: dict[str, tuple[int, int]] = field(default_factory=dict)
    """(done, total) by block, from the workers' events, already rate-limited."""
    gates_guarded: bool = True
    """Whether the admission policy and its binding are in place."""


@dataclass(frozen=True, slots=True)
class CreateJob:
    """Start one attempt of a block."""

    name: str
    block: Block
    attempt: int
    dependencies: tuple[tuple[str, int], ...]
    """(block, attempt) of the blocks whose outputs become inputs."""


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Stop a Job whose block's outcome is recorded. Always with propagationPolicy=Background.

    On condition that it still is what was seen: a Job that has finished since is kept.
    """

    name: str
    uid: str
    version: str
    """The resourceVersion of what was seen."""


@dataclass(frozen=True, slots=True)
class AnnotatePod:
    """Tell a live pod to pause or to go on."""

    name: str
    pause: bool


@dataclass(frozen=True, slots=True)
class EmitEvent:
    """Post a Kubernetes Event on the run."""

    reason: EventReason
    message: str
    warning: bool = False


Action = CreateJob | DeleteJob | AnnotatePod | EmitEvent


@dataclass(frozen=True, slots=True)
class Decision:
    """The next status, and what to do once it is written."""

    status: DiffusionRunStatus
    actions: tuple[Action, ...] = ()
    requeue_after: float | None = None
    """Seconds until time alone may change the decision (a gate's timeout, a deadline)."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The installation's defaults that decisions depend on."""

    retries: int = 2
    max_ignored_disruptions: int = 10


__all__ = [
    "Action", "AnnotatePod", "CreateJob", "Decision", "DeleteJob", "EmitEvent", "JobPhase", "Observed",
    "ObservedJob", "ObservedPod", "PodPhase", "Policy", "Run",
]  # fmt: skip
