"""Condition types, and the reasons of conditions, blocks, gates and Kubernetes Events."""

from enum import StrEnum


class ConditionType(StrEnum):
    """The conditions of a run. Those waited for (`Finished`, `GatePending`) are True when it is time."""

    SPEC_VALID = "SpecValid"
    GATE_PENDING = "GatePending"
    PAUSED = "Paused"
    FINISHED = "Finished"
    SUCCEEDED = "Succeeded"


class RunReason(StrEnum):
    """Why `Succeeded` and `Finished` have the status they have."""

    PENDING = "Pending"
    RUNNING = "Running"
    QUEUED = "Queued"
    GATE_PENDING = "GatePending"
    PAUSED = "Paused"
    INVALID_SPEC = "InvalidSpec"
    ALL_BLOCKS_SUCCEEDED = "AllBlocksSucceeded"
    BLOCK_FAILED = "BlockFailed"
    GATE_REJECTED = "GateRejected"
    GATE_EXPIRED = "GateExpired"
    CANCELLED = "Cancelled"


class PauseReason(StrEnum):
    """Why `Paused` has the status it has."""

    NOT_REQUESTED = "NotRequested"
    PAUSE_REQUESTED = "PauseRequested"  # some worker has not yet said that it holds
    HOLDING = "Holding"


class GateReason(StrEnum):
    """Why `GatePending` has the status it has."""

    WAITING = "Waiting"
    NO_GATE_WAITING = "NoGateWaiting"


class SpecReason(StrEnum):
    """Why `SpecValid` has the status it has."""

    VALID = "Valid"
    UNKNOWN_DEPENDENCY = "UnknownDependency"
    DEPENDENCY_CYCLE = "DependencyCycle"
    INVALID_FIELD = "InvalidField"


class BlockReason(StrEnum):
    """Why a block is in its state."""

    WAITING_FOR_DEPENDENCIES = "WaitingForDependencies"
    WAITING_FOR_GATE = "WaitingForGate"
    WAITING_FOR_RESUME = "WaitingForResume"
    ADMISSION_POLICY_MISSING = "AdmissionPolicyMissing"
    STARTING = "Starting"
    QUEUED = "Queued"
    UNSCHEDULABLE = "Unschedulable"
    IMAGE_PULL_FAILED = "ImagePullFailed"
    CONTAINER_CONFIG_ERROR = "ContainerConfigError"
    RUNNING = "Running"
    RETRYING = "Retrying"
    COMPLETED = "Completed"
    USER_ERROR = "UserError"  # the worker's permanent exit code
    WORKER_FAILED = "WorkerFailed"  # retries used up
    OOM_KILLED = "OOMKilled"
    EVICTED = "Evicted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    LOST = "Lost"
    NAME_COLLISION = "NameCollision"
    JOB_REFUSED = "JobRefused"  # the API server would not take the Job
    DEPENDENCY_FAILED = "DependencyFailed"
    GATE_REJECTED = "GateRejected"
    GATE_EXPIRED = "GateExpired"
    CANCELLED = "Cancelled"


class EventReason(StrEnum):
    """Reasons of the Kubernetes Events, posted on transitions only."""

    SPEC_INVALID = "SpecInvalid"
    RUN_STARTED = "RunStarted"
    BLOCK_STARTED = "BlockStarted"
    BLOCK_SUCCEEDED = "BlockSucceeded"
    BLOCK_FAILED = "BlockFailed"
    BLOCK_RETRIED = "BlockRetried"
    GATE_OPENED = "GateOpened"
    GATE_APPROVED = "GateApproved"
    GATE_REJECTED = "GateRejected"
    GATE_EXPIRED = "GateExpired"
    PAUSED = "Paused"
    RESUMED = "Resumed"
    RUN_CANCELLED = "RunCancelled"
    RUN_SUCCEEDED = "RunSucceeded"
    RUN_FAILED = "RunFailed"
