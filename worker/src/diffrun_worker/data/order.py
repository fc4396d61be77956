"""Which images a step sees: a function of the seed and the step alone.

No state is kept that a resumed run would have to replay, and the workers of a data-parallel training slice one
global batch, so that together they see exactly what one worker would.
"""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from diffrun_worker.errors import invalid_params

# Purposes of random numbers: the order of an epoch and its flips are drawn independently of each other.
_ORDER, _FLIPS = 0, 1


class DataOrder:
    """Each epoch is a fresh permutation of the data set, cut into batches; the rest of the epoch is dropped.

    Epoch e holds the steps e·n to (e + 1)·n - 1, where n is `steps_per_epoch`; the first step is 0.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int,
        *,
        rank: int = 0,
        world: int = 1,
        device: torch.device | str = "cpu",
    ) -> None:
        """`size` images, `batch_size` of them a step over all `world` workers, of which this is number `rank`.

        Indexes and flips are handed out on `device`; what an epoch needs is sent there at once, when it begins.

        Raises PermanentError `InvalidParams` where no batch can be made, or not one slice for each worker.
        """
        _require_batches(size, batch_size, world)
        if not 0 <= rank < world:
            raise ValueError(f"rank {rank} is not one of {world} workers")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.device = torch.device(device)
        self.steps_per_epoch = size // batch_size
        share = batch_size // world
        self._mine = slice(rank * share, (rank + 1) * share)
        # Two epochs are held: neighbours alternate only where somebody looks back.
        self._batches = lru_cache(2)(self._draw_batches)
        self._mirrored = lru_cache(2)(self._draw_flips)

    def epoch(self, step: int) -> int:
        """The epoch that a step belongs to; both count from 0."""
        return step // self.steps_per_epoch

    def at(self, step: int) -> Tensor:
        """Indexes of the images of this worker's slice of the step's batch: [batch_size / world] int64."""
        return self._batches(self.epoch(step))[step % self.steps_per_epoch, self._mine]

    def flips(self, step: int) -> Tensor:
        """Which images of that slice are mirrored, each with probability ½: [batch_size / world] bool."""
        return self._mirrored(self.epoch(step))[step % self.steps_per_epoch, self._mine]

    def _draw_batches(self, epoch: int) -> Tensor:
        """[steps_per_epoch, batch_size] int64."""
        permutation = torch.randperm(self.size, generator=self._generator(epoch, _ORDER))
        used = permutation[: self.steps_per_epoch * self.batch_size]
        return used.reshape(self.steps_per_epoch, self.batch_size).to(self.device)

    def _draw_flips(self, epoch: int) -> Tensor:
        """[steps_per_epoch, batch_size] bool."""
        shape = (self.steps_per_epoch, self.batch_size)
        coins = torch.randint(2, shape, generator=self._generator(epoch, _FLIPS), dtype=torch.uint8)
        return coins.bool().to(self.device)

    def _generator(self, epoch: int, purpose: int) -> torch.Generator:
        # Mixed, because neighbouring seeds are no independent seeds: seed 1 in epoch 0 must not be seed 0 in epoch 1.
        mixed = np.random.SeedSequence([self.seed, epoch, purpose]).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(mixed))


def _require_batches(size: int, batch_size: int, world: int) -> None:
    if batch_size > size:
        raise invalid_params(
            f"batchSize: {batch_size} is larger than the data set, which has {size} images; set it to at most {size}"
        )
    if batch_size % world:
        raise invalid_params(
            f"batchSize: {batch_size} images cannot be shared evenly by {world} workers; make it a multiple of workers"
        )
