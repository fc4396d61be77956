"""The Fréchet distance between two Gaussians (Fréchet 1957; Dowson & Landau 1982; as FID: Heusel et al. 2017, eq. 6).

    d² = ‖μ_r − μ‖² + Tr Σ_r + Tr Σ − 2 Tr (Σ_r^½ Σ Σ_r^½)^½

The matrix under the last root is symmetric and positive semi-definite, so that its eigenvalues are real and the
trace is the sum of their roots. The product Σ_r Σ, whose root others take, has the same eigenvalues but is not
symmetric: it needs the slower general solver, and complex numbers appear where it is nearly singular.

Only eigenvalues count, and every F with F Fᵀ = Σ_r gives the same: Fᵀ Σ F is Σ_r^½ Σ Σ_r^½ but for a rotation. Where
Σ_r has full rank F is its Cholesky factor, at a twentieth of the cost of the symmetric root; where it has not,
F = V Λ^½ of Σ_r = V Λ Vᵀ, without the null space.
"""

from functools import cached_property

import torch
from torch import Tensor

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.statistics import Moments

_PANEL = 512  # columns computed together: wide enough for the processor, narrow enough to leave zeros out


class FrechetReference:
    """What distances are measured from. Its root is taken once, however many distances follow."""

    def __init__(self, moments: Moments) -> None:
        self.moments = moments

    def distance(self, other: Moments) -> float:
        """d² to other moments of the same features, ≥ 0; 0 for equal ones up to rounding.

        Covariances of any rank will do. Raises PermanentError `InvalidStatistics` where the dimensions differ.
        """
        reference = self.moments
        if other.dimension != reference.dimension:
            raise PermanentError(
                ErrorCode.INVALID_STATISTICS,
                f"reference: its features have {reference.dimension} dimensions, those of the generated images "
                f"{other.dimension}; give statistics of the same features",
            )
        # 1. ‖μ_r − μ‖²
        means = torch.sum((reference.mean - other.mean) ** 2)
        # 2. Tr Σ_r + Tr Σ
        traces = torch.trace(reference.covariance) + torch.trace(other.covariance)
        # 3. Tr (Σ_r^½ Σ Σ_r^½)^½, by the eigenvalues; rounding makes those that are 0 a little negative.
        factor, triangular = self._factor
        product = _congruent(factor, other.covariance) if triangular else factor.T @ other.covariance @ factor
        mixed = torch.linalg.eigvalsh(product, UPLO="L").clamp(min=0).sqrt().sum()
        return max(0.0, float(means + traces - 2 * mixed))

    @cached_property
    def _factor(self) -> tuple[Tensor, bool]:
        """F with F Fᵀ = Σ_r, [D, R] with R its rank, and whether it is lower triangular."""
        covariance = self.moments.covariance
        if not self.moments.rank_deficient:
            factor, failed = torch.linalg.cholesky_ex(covariance)
            pivots = factor.diagonal().square()
            if not int(failed) and bool(pivots.min() > self._noise(covariance.diagonal().max())):
                return factor, True
        eigenvalues, vectors = torch.linalg.eigh(covariance)
        kept = eigenvalues > self._noise(eigenvalues[-1].clamp(min=0))
        return vectors[:, kept] * eigenvalues[kept].sqrt(), False

    def _noise(self, largest: Tensor) -> Tensor:
        """D · ε · λ_max: what is below came from rounding; matrix_rank draws the same line."""
        return largest * self.moments.dimension * torch.finfo(largest.dtype).eps


def _congruent(lower: Tensor, symmetric: Tensor) -> Tensor:
    """The lower triangle of Lᵀ A L, [D, D]; what is above it means nothing.

    Panel by panel, and without the zeros of L: a third of the arithmetic of two full products.
    """
    size = len(lower)
    product = torch.zeros_like(symmetric)
    for start in range(0, size, _PANEL):
        columns = slice(start, min(start + _PANEL, size))
        right = symmetric[start:, start:] @ lower[start:, columns]  # [D − start, panel]
        product[start:, columns] = lower[start:, start:].T @ right
    return product


def frechet_distance(reference: Moments, other: Moments) -> float:
    """d² between two sets of moments. Raises what `FrechetReference.distance` raises."""
    return FrechetReference(reference).distance(other)
