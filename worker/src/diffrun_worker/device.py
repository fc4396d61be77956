"""Where a block computes. torch is imported only where a GPU was asked for."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from diffrun_worker import __version__
from diffrun_worker.errors import ErrorCode, PermanentError


def pick_device(gpus: int) -> str:
    """`cpu` without GPUs, else `cuda:0`.

    Raises PermanentError `GpuNotAvailable` where GPUs were asked for and CUDA does not work: a silent run on the
    CPU would be a hundred times slower.
    """
    if gpus == 0:
        return "cpu"
    import torch

    if not torch.cuda.is_available():
        raise PermanentError(
            ErrorCode.GPU_NOT_AVAILABLE,
            f"gpus is {gpus}, but CUDA is not available in the pod; give the block a node with a GPU and an image "
            "with CUDA, or set gpus: 0 to run on the CPU",
        )
    return "cuda:0"


def versions() -> dict[str, str]:
    """Versions of what computes, as far as it is installed. Imports none of it."""
    found = {"python": python_version(), "diffrun": __version__}
    for package in ("torch", "diffusers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
