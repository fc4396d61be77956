"""Where a block computes. torch is imported only where a GPU was asked for."""

from importlib.metadata import PackageNotFoundError, version
from platform import python_version

from diffrun_worker import __version__
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params


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


def require_device(asked: str | None, given: str, advice: str) -> None:
    """Raises PermanentError `InvalidParams` where `env.device` asks for another device than the `given` one."""
    if asked is None:
        return
    import torch

    try:
        wanted, found = torch.device(asked), torch.device(given)
    except RuntimeError as error:
        raise invalid_params(f"env.device: {asked!r} is no device; give cpu or cuda:0, or leave it out") from error
    if wanted.type != found.type or (wanted.index or 0) != (found.index or 0):
        raise invalid_params(f"env.device: {asked} is asked for, and the model is on {given}; {advice}")


def versions() -> dict[str, str]:
    """Versions of what computes, as far as it is installed. Imports none of it."""
    found = {"python": python_version(), "diffrun": __version__}
    for package in ("torch", "diffusers"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
