"""How functions that were written for one sample act on a batch: row by row, each with a state of its own.

A function that declares itself batched is called once. Either way no sample can tell which others it shares a batch
with, which is what makes an image independent of batch sizes and shards.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.inference.user_code import blame_author

_DRIFT_STREAM = 0x6472696674  # "drift"
_FORCE_STREAM = 0x666F726365  # "force"


def stream(seed: int, purpose: int) -> Generator:
    """A sample's generator for one purpose, independent of the one that its noise comes from."""
    word = np.random.SeedSequence((seed, purpose)).generate_state(1, np.uint64)[0]
    return Generator().manual_seed(int(word))


@dataclass
class Memory:
    """What forces or drifts keep from step to step, and the noise that they draw, for one batch's whole way."""

    indexes: Sequence[int]
    """The samples' indexes in the run."""
    generators: list[Generator]
    """One a sample, on the CPU."""
    batch: dict[str, Any]
    """The state of batched functions."""
    samples: list[dict[str, Any]]
    """The state of the others, one a sample."""

    @classmethod
    def for_forces(cls, seeds: Sequence[int], indexes: Sequence[int]) -> "Memory":
        """An empty memory with the forces' generators."""
        return cls._empty(seeds, indexes, _FORCE_STREAM)

    @classmethod
    def for_drifts(cls, seeds: Sequence[int], indexes: Sequence[int]) -> "Memory":
        """An empty memory with the drifts' generators."""
        return cls._empty(seeds, indexes, _DRIFT_STREAM)

    @classmethod
    def _empty(cls, seeds: Sequence[int], indexes: Sequence[int], purpose: int) -> "Memory":
        return cls(indexes, [stream(seed, purpose) for seed in seeds], {}, [{} for _ in seeds])

    def randn_like(self, tensor: Tensor) -> Tensor:
        """Unit Gaussian noise [N, C, H, W], each row from its sample's generator."""
        rows = [_randn(row, generator) for row, generator in zip(tensor, self.generators, strict=True)]
        return torch.stack(rows).to(tensor.device)

    def rows(self) -> Iterator[tuple[slice, dict[str, Any], dict[str, Any]]]:
        """For each sample its place in the batch, its state, and the keywords that only a single sample gets."""
        for row, index in enumerate(self.indexes):
            generator = self.generators[row]
            single = {"sample_index": index, "generator": generator, "randn_like": _drawer(generator)}
            yield slice(row, row + 1), self.samples[row], single


def call_checked(function: Callable[..., Any], where: str, like: Tensor, **arguments: Any) -> Tensor:
    """Calls a force or a drift, and holds what it returns to the shape of `like`.

    Raises PermanentError `UserCodeFailed`, where it is not ours, with the user's file and line or what was returned.
    """
    with blame_author(function, where):
        result = function(**arguments)
    if not isinstance(result, Tensor) or result.shape != like.shape:
        got = list(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise PermanentError(
            ErrorCode.USER_CODE_FAILED, f"{where}: it must return a tensor of shape {list(like.shape)}; got {got}"
        )
    return result.to(like.dtype)


def _drawer(generator: Generator) -> Callable[[Tensor], Tensor]:
    return lambda tensor: _randn(tensor, generator).to(tensor.device)


def _randn(like: Tensor, generator: Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype)
