"""What every source of images is asked, and what it answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.workspace import Workspace

Progress = Callable[[int, int], None]
"""Called with how much is done and how much there is, in units of the phase: bytes, then images."""

Check = Callable[[], None]
"""Called every now and then; may raise to stop, or hold while the run is paused."""


@dataclass(frozen=True)
class Request:
    """What is wanted of a source beside what its own parameters say."""

    workspace: Workspace
    """Where its files lie."""
    size: int | None
    """Side of the square to resize to; None for the source's own."""
    channels: int | None
    """1 or 3; None for the source's own."""
    token: str | None
    """Opens gated repositories of the Hub."""
    progress: Progress
    check: Check


@dataclass(frozen=True)
class Raw:
    """Images as a source has them; those of mixed sizes are already prepared."""

    pixels: NDArray[np.uint8]
    """[N, C, H, W], C is 1 or 3."""
    labels: NDArray[np.int64] | None
    """[N], indexes into `classes`."""
    classes: tuple[str, ...]
    mirror: bool
    """Whether a mirror image is still an image of its class."""


class Source(Protocol):
    """Reads a data set."""

    def __call__(self, spec: Dataset, request: Request) -> Raw:
        """Raises PermanentError (`DatasetNotFound`, `CorruptDataset`, `InvalidParams`), or what the Hub raises."""
