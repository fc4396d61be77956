"""What may go wrong in a block, and what follows from it.

    Exception
    └── BlockError            a failure with a stable code and a message for people
        ├── PermanentError    exit 64: the same task fails again; nobody retries it
        └── TemporaryError    exit 75: the same task may succeed if it is tried again
    BaseException
    └── Stopped               exit 143: SIGTERM came; not an Exception, so that no block swallows it

Anything else that leaves a block is reported as `UnexpectedError` and may be retried; `sys.exit(0)` is never a success.
"""

from enum import StrEnum
from typing import ClassVar

from diffrun_contracts import names
from diffrun_contracts.task import ErrorInfo


class ErrorCode(StrEnum):
    """The codes of diffrun's own errors; blocks of other packages bring their own words."""

    # The task
    INVALID_TASK = "InvalidTask"
    INVALID_PARAMS = "InvalidParams"
    UNKNOWN_BLOCK_TYPE = "UnknownBlockType"
    INVALID_BLOCK = "InvalidBlock"
    INVALID_OUTPUTS = "InvalidOutputs"
    INVALID_METRIC = "InvalidMetric"
    MISSING_INPUT = "MissingInput"
    GPU_NOT_AVAILABLE = "GpuNotAvailable"
    CUDA_OUT_OF_MEMORY = "CudaOutOfMemory"
    UNEXPECTED_ERROR = "UnexpectedError"
    STOPPED = "Stopped"
    # Training
    NON_FINITE_LOSS = "NonFiniteLoss"
    PEERS_UNAVAILABLE = "PeersUnavailable"
    # The workspace
    PATH_OUTSIDE_WORKSPACE = "PathOutsideWorkspace"
    WORKSPACE_UNAVAILABLE = "WorkspaceUnavailable"
    UNSUPPORTED_WORKSPACE = "UnsupportedWorkspace"
    STORE_ACCESS_DENIED = "StoreAccessDenied"
    BUCKET_NOT_FOUND = "BucketNotFound"
    DISK_FULL = "DiskFull"
    # The Hub
    REPO_NOT_FOUND = "RepoNotFound"
    REVISION_NOT_FOUND = "RevisionNotFound"
    COMMIT_REQUIRED = "CommitRequired"
    UNAUTHORIZED = "Unauthorized"
    GATED_REPO = "GatedRepo"
    RATE_LIMITED = "RateLimited"
    HUB_UNAVAILABLE = "HubUnavailable"
    HUB_REFUSED = "HubRefused"
    DOWNLOAD_INCOMPLETE = "DownloadIncomplete"
    CHECKSUM_MISMATCH = "ChecksumMismatch"
    CHECKSUM_MISSING = "ChecksumMissing"
    NO_SAFETENSORS = "NoSafetensors"
    NOT_A_CHECKPOINT = "NotACheckpoint"
    REMOTE_CODE = "RemoteCode"
    UNSUPPORTED_CLASS = "UnsupportedClass"
    # Checkpoints
    MODEL_NOT_FOUND = "ModelNotFound"
    CORRUPT_CHECKPOINT = "CorruptCheckpoint"
    INCOMPATIBLE_CHECKPOINT = "IncompatibleCheckpoint"
    NON_FINITE_WEIGHTS = "NonFiniteWeights"
    NO_CLASSES = "NoClasses"
    # Evaluation
    INVALID_STATISTICS = "InvalidStatistics"
    FEATURE_WEIGHTS_NOT_FOUND = "FeatureWeightsNotFound"
    FEATURE_WEIGHTS_UNAVAILABLE = "FeatureWeightsUnavailable"
    INVALID_FEATURE_WEIGHTS = "InvalidFeatureWeights"
    NO_IMAGES = "NoImages"
    # Data sets
    DATASET_NOT_FOUND = "DatasetNotFound"
    CORRUPT_DATASET = "CorruptDataset"
    # Inference
    UNKNOWN_CLASS = "UnknownClass"
    UNKNOWN_FORCE = "UnknownForce"
    UNKNOWN_DRIFT = "UnknownDrift"
    UNKNOWN_PRESET = "UnknownPreset"
    USER_CODE_FORBIDDEN = "UserCodeForbidden"
    USER_CODE_FAILED = "UserCodeFailed"


class BlockError(Exception):
    """A failure with a stable code. Raise one of its two children."""

    exit_code: ClassVar[int]
    retryable: ClassVar[bool]

    def __init__(self, code: str, message: str) -> None:
        """Takes a stable word (`ErrorCode`, or a block's own) and a sentence: what is wrong, what to do about it."""
        super().__init__(f"{code}: {message}")
        self.code = str(code)
        self.message = message

    def info(self) -> ErrorInfo:
        """The error as results and events carry it."""
        return ErrorInfo(code=self.code, message=self.message, retryable=self.retryable)


class PermanentError(BlockError):
    """The same task fails again, however often it is tried."""

    exit_code = names.EXIT_PERMANENT
    retryable = False


def invalid_params(message: str) -> PermanentError:
    """What is raised for a parameter that cannot be: `message` begins with its name and says what may be given."""
    return PermanentError(ErrorCode.INVALID_PARAMS, message)


class TemporaryError(BlockError):
    """The same task may succeed if it is tried again."""

    exit_code = names.EXIT_TEMPORARY
    retryable = True


def exited(error: SystemExit) -> BlockError:
    """What a block's `sys.exit` means: one that says that all is well would else be a success without a result."""
    call = f"sys.exit({'' if error.code is None else repr(error.code)})"[:2000]
    if error.code in (None, 0):
        return PermanentError(ErrorCode.INVALID_BLOCK, f"the block called {call}: return from run instead")
    return TemporaryError(ErrorCode.UNEXPECTED_ERROR, f"the block called {call}: raise an error from run instead")


class Stopped(BaseException):
    """SIGTERM has come. A block may save what can be resumed and must let this pass."""

    exit_code = names.EXIT_TERMINATED
