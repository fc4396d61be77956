"""The images of a step, on the device: gathered there where the data set fits, else sent there as bytes."""

import torch
from torch import Tensor

from diffrun_worker.data import DataOrder, Images, fits, prepare


class Batches:
    """Batches of a data set in the order of a training."""

    def __init__(
        self, images: Images, batch_size: int, seed: int, device: torch.device, *, rank: int = 0, world: int = 1
    ) -> None:
        """Moves the data set to the device where it fits.

        Raises PermanentError `InvalidParams` where the batch is larger than the data set.
        """
        self.resident = fits(images, device)
        self.images = images.to(device) if self.resident else images
        self.order = DataOrder(
            len(images), batch_size, seed, rank=rank, world=world, device=device if self.resident else "cpu"
        )
        self._device = device

    def clean(self, step: int) -> Tensor:
        """Images of this worker at a step: float32 [n, C, H, W] in [-1, 1], on the device."""
        pixels = self._send(self.images.pixels[self.order.at(step)])
        return prepare(pixels, self._send(self.order.flips(step)) if self.images.flip else None)

    def labels(self, step: int) -> Tensor:
        """Their classes, int64 [n], on the device. Raises PermanentError `InvalidParams` without classes."""
        return self._send(self.images.require_labels()[self.order.at(step)])

    def _send(self, values: Tensor) -> Tensor:
        if self.resident:
            return values
        return values.pin_memory().to(self._device, non_blocking=True)  # pinned, so that nobody waits for the copy
