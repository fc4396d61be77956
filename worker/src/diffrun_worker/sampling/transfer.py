"""Tensors on their way from the device to the host, while the loop goes on."""

from typing import Any

import torch
from torch import Tensor


class Arrival:
    """The moment when copies that were begun have arrived."""

    def __init__(self, device: torch.device) -> None:
        """Marks everything that the device has been asked for so far; on the CPU it is done already."""
        self._event: Any = None
        if device.type == "cuda":
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()

    def wait(self) -> None:
        """Holds the calling thread, not the others, until then."""
        if self._event is not None:
            self._event.synchronize()


def host_buffer(like: Tensor) -> Tensor:
    """Pinned memory that a copy from the GPU needs nobody to wait for; on the CPU the tensor itself."""
    if like.device.type != "cuda":
        return like
    return torch.empty(like.shape, dtype=like.dtype, pin_memory=True)


def begin_copy(host: Tensor, source: Tensor) -> None:
    """Begins to copy to a `host_buffer`; on the CPU there is nothing to do."""
    if host.data_ptr() != source.data_ptr():
        host.copy_(source, non_blocking=True)
