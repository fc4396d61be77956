"""The first two moments of features, without ever holding all features.

Sums of squares minus squares of sums lose every digit where the mean is large beside the deviation. Here each
block of rows is centred on its own mean, and two sets of moments are joined by the exact correction of
Chan, Golub & LeVeque (1979), eq. 2.1:

    M = M_a + M_b + δ δᵀ · n_a n_b / (n_a + n_b),    δ = μ_b − μ_a

which makes any split into batches, blocks or shards give the same moments up to float64 rounding.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from diffrun_worker.errors import ErrorCode, PermanentError

BLOCK_ROWS = 1024
"""Rows that are gathered before a block goes into the sums: one pass over the D×D matrix for all of them."""

_PANEL = 512  # columns of M computed together: narrower ones leave more out, and keep the processor less busy


@dataclass(frozen=True)
class Moments:
    """Mean and covariance of a set of features, in float64 on the CPU. Checked when it is made."""

    mean: Tensor
    """μ, [D]."""
    covariance: Tensor
    """Σ, [D, D], of a sample: divided by n − 1."""
    count: int | None = None
    """n, where it is known: statistics from a file do not say."""

    def __post_init__(self) -> None:
        """Raises PermanentError `InvalidStatistics` for shapes that do not belong together, n < 2, NaN or infinity."""
        size = self.mean.shape[0] if self.mean.ndim == 1 else 0
        if size < 1 or self.covariance.shape != (size, size):
            raise _invalid(
                f"mu is {list(self.mean.shape)} and sigma {list(self.covariance.shape)}; [D] and [D, D] are needed"
            )
        if self.count is not None and self.count < 2:
            raise _invalid(f"a covariance needs 2 images or more, and there are {self.count}; raise samples")
        for name, values in (("mu", self.mean), ("sigma", self.covariance)):
            if not bool(torch.isfinite(values).all()):
                raise _invalid(f"{name} holds NaN or infinity; the features of some image overflow or are broken")

    @property
    def dimension(self) -> int:
        """D."""
        return self.mean.shape[0]

    @property
    def rank_deficient(self) -> bool:
        """Whether Σ cannot have full rank: n ≤ D. The distance is defined then, but biased upwards."""
        return self.count is not None and self.count <= self.dimension


class FeatureStatistics:
    """Gathers moments batch by batch on the features' own device: nothing waits for it until `moments`."""

    def __init__(self, dimension: int, device: torch.device | str = "cpu") -> None:
        self.dimension = dimension
        self.count = 0
        # One row more than a block: the correction of the formula above goes in as a row of its own.
        self._rows = torch.empty(BLOCK_ROWS + 1, dimension, dtype=torch.float64, device=device)
        self._filled = 0
        self._mean = torch.zeros(dimension, dtype=torch.float64, device=device)
        # M = (n − 1) Σ, of which only the lower triangle is kept up.
        self._scatter = torch.zeros(dimension, dimension, dtype=torch.float64, device=device)

    def update(self, features: Tensor) -> None:
        """Takes a batch of features, [N, D] of any floating-point type, also N = 0.

        Raises PermanentError `InvalidStatistics` for another shape.
        """
        if features.ndim != 2 or features.shape[1] != self.dimension:
            raise _invalid(f"features have shape {list(features.shape)}; [N, {self.dimension}] is needed")
        start = 0
        while start < len(features):
            taken = min(BLOCK_ROWS - self._filled, len(features) - start)
            self._rows[self._filled : self._filled + taken] = features[start : start + taken]
            self._filled += taken
            start += taken
            if self._filled == BLOCK_ROWS:
                self._absorb()

    def merge(self, other: "FeatureStatistics") -> None:
        """Takes in what another has gathered, of another shard for example; `other` stays as it is in substance.

        Raises PermanentError `InvalidStatistics` where the dimensions differ.
        """
        if other.dimension != self.dimension:
            raise _invalid(f"features of {other.dimension} and of {self.dimension} dimensions cannot be joined")
        self._absorb()
        other._absorb()
        if other.count:
            correction = self._join(other._mean.to(self._mean.device), other.count)
            _add_scatter(self._scatter, correction[None])
            self._scatter += other._scatter.to(self._scatter.device)

    def moments(self) -> Moments:
        """μ and Σ = M / (n − 1) of everything so far.

        Raises PermanentError `InvalidStatistics` for fewer than 2 images, NaN or infinity.
        """
        self._absorb()
        lower = self._scatter.tril() / max(self.count - 1, 1)
        covariance = lower + lower.tril(-1).T
        return Moments(self._mean.cpu().clone(), covariance.cpu(), self.count)

    def _absorb(self) -> None:
        """The gathered rows, centred on their own mean, and the correction go into M in one product."""
        if not self._filled:
            return
        rows = self._rows[: self._filled]
        mean = rows.mean(dim=0)
        rows -= mean
        self._rows[self._filled] = self._join(mean, self._filled)
        _add_scatter(self._scatter, self._rows[: self._filled + 1])
        self._filled = 0

    def _join(self, mean: Tensor, count: int) -> Tensor:
        """Moves n and μ on, and returns δ · √(n_a n_b / (n_a + n_b)), [D], whose outer product M lacks."""
        total = self.count + count
        delta = mean - self._mean
        correction = delta * math.sqrt(self.count * count / total)
        self._mean += delta * (count / total)
        self.count = total
        return correction


def _add_scatter(scatter: Tensor, rows: Tensor) -> None:
    """Adds rowsᵀ rows, [N, D], to the lower triangle of [D, D]: little more than half of the whole product's work."""
    size = len(scatter)
    for start in range(0, size, _PANEL):
        columns = slice(start, min(start + _PANEL, size))
        scatter[start:, columns].addmm_(rows[:, start:].T, rows[:, columns])


def moments_of(features: Tensor) -> Moments:
    """The moments of features that are all there, [N, D]. Raises what `FeatureStatistics` raises."""
    statistics = FeatureStatistics(features.shape[1] if features.ndim == 2 else 0, features.device)
    statistics.update(features)
    return statistics.moments()


def _invalid(what: str) -> PermanentError:
    return PermanentError(ErrorCode.INVALID_STATISTICS, f"statistics: {what}")
