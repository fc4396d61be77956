"""What every block that runs a model begins with: torch's settings, and where the model lies."""

from collections.abc import Mapping

import torch

from diffrun_contracts.status import Scalar
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.heap import keep_freed_memory
from diffrun_worker.sampling.threads import limit_threads


def configure_torch(device: str) -> None:
    """As many threads as the pod has cores, memory that is kept for the next layer, and float32 that means float32."""
    if device == "cpu":
        limit_threads()
        keep_freed_memory()
        return
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def model_path_of(own: str | None, inputs: Mapping[str, Scalar]) -> str:
    """The block's own `modelPath`, else the output `model_path` of a block that it depends on.

    Raises PermanentError `MissingInput` where there is neither, or no path.
    """
    path = own or inputs.get("model_path")
    if path is None:
        raise PermanentError(
            ErrorCode.MISSING_INPUT,
            "modelPath: not set, and no block that this one depends on has an output model_path; "
            "put a downloadCheckpoint block before it or a train block, or set modelPath to a folder of the workspace",
        )
    if not isinstance(path, str):
        raise PermanentError(ErrorCode.MISSING_INPUT, f"model_path: the input must be a path; got {path!r}")
    return path
