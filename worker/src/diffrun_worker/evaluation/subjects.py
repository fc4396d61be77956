"""What is evaluated: images that a model draws now, or that were drawn before. To the measurement both look alike."""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from diffrun_worker.errors import PermanentError
from diffrun_worker.evaluation.networks import Network
from diffrun_worker.sampling.images import NON_FINITE_SAMPLE, to_bytes
from diffrun_worker.sampling.loop import denoise, generators_for
from diffrun_worker.sampling.schedules import Schedule


class Subject(Protocol):
    """Numbered images of one size."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: channels, height, width."""

    def __len__(self) -> int:
        """How many there are."""

    def batch(self, rows: range) -> Tensor:
        """Images of these numbers, [N, C, H, W] uint8 on any device: the same whenever they are asked for."""


class DrawnImages:
    """Samples `first_seed + i` of a model, as the generation blocks draw them, by way of the 8 bits of a PNG.

    Those of a conditional model are of each class in turn, sample i of class i modulo their number, without guidance.
    """

    def __init__(
        self, network: Network, schedule: Schedule, count: int, first_seed: int, check: Callable[[], None]
    ) -> None:
        """`check` is called at every UNet call and may raise to stop, or hold."""
        self.shape = network.model.shape
        self._network = network
        self._schedule = schedule
        self._count = count
        self._first_seed = first_seed
        self._check = check

    def __len__(self) -> int:
        """How many will be drawn."""
        return self._count

    def batch(self, rows: range) -> Tensor:
        """Draws samples, [N, C, H, W] uint8 on the model's device.

        Raises PermanentError `NonFiniteSample`.
        """

        def on_step(_call: int, _model_input: Tensor, _output: Tensor) -> None:
            self._check()

        generators = generators_for([self._first_seed + row for row in rows])
        classes = self._network.classes
        labels = torch.tensor([row % len(classes) for row in rows]) if classes else None
        samples = denoise(self._network.given(labels), self._schedule, generators, on_step)
        finite = torch.isfinite(samples).flatten(1).all(dim=1).cpu()  # the one wait for the device in a batch
        if not bool(finite.all()):
            bad = rows[int(torch.nonzero(~finite)[0])]
            raise PermanentError(
                NON_FINITE_SAMPLE,
                f"sample {bad} holds NaN or infinity: the model overflows; set dtype: float32 or bfloat16",
            )
        return to_bytes(samples)
