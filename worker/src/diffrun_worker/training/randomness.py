"""What is drawn at random in a step: a function of seed and step, for the batch of all workers at once.

A step draws from a generator that is seeded for it, so that resuming replays nothing. Every worker draws for the
global batch and keeps its slice, so that together they see what one alone would.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Generator, Tensor

from diffrun_contracts.params.train import TimestepSampling

_NOISE = 0x6E6F69  # sets these streams apart from those of the data's order, which mix the same seed


@dataclass(frozen=True)
class Slice:
    """Which part of the global batch is this worker's."""

    rank: int = 0
    world: int = 1

    def of(self, values: Tensor) -> Tensor:
        """Its rows of [N, …], N a multiple of `world`."""
        share = values.shape[0] // self.world
        return values[self.rank * share : (self.rank + 1) * share]


class Draws:
    """The random numbers of the steps of one training."""

    def __init__(
        self,
        seed: int,
        batch_size: int,
        shape: tuple[int, int, int],
        timesteps: int,
        device: torch.device,
        *,
        sampling: TimestepSampling = TimestepSampling.UNIFORM,
        part: Slice | None = None,
    ) -> None:
        """`batch_size` images of `shape` (channels, height, width) a step, over all workers."""
        self._seed = seed
        self._batch_size = batch_size
        self._shape = shape
        self._timesteps = timesteps
        self._sampling = sampling
        self._part = part or Slice()
        self._generator = Generator(device)

    def begin(self, step: int) -> None:
        """Turns to a step; then call `timesteps`, `noise` and `dropped`, in this order."""
        mixed = np.random.SeedSequence([self._seed, step, _NOISE]).generate_state(1, np.uint64)[0]
        self._generator.manual_seed(int(mixed))

    def timesteps(self) -> Tensor:
        """t of each image of the slice, int64 from 0 to K − 1."""
        count, total, device = self._batch_size, self._timesteps, self._generator.device
        if self._sampling is TimestepSampling.UNIFORM:
            drawn = torch.randint(total, (count,), generator=self._generator, device=device)
        else:
            jitter = torch.rand(count, generator=self._generator, device=device, dtype=torch.float64)
            drawn = ((torch.arange(count, device=device) + jitter) * (total / count)).long().clamp_(max=total - 1)
        return self._part.of(drawn)

    def noise(self) -> Tensor:
        """ε of each image of the slice, unit Gaussian float32 [n, C, H, W]."""
        shape = (self._batch_size, *self._shape)
        return self._part.of(torch.randn(shape, generator=self._generator, device=self._generator.device))

    def dropped(self, probability: float) -> Tensor:
        """Which images of the slice are shown the null class, bool [n]."""
        coins = torch.rand(self._batch_size, generator=self._generator, device=self._generator.device)
        return self._part.of(coins) < probability
