"""The Fréchet distance between two Gaussians (Fréchet 1957; Dowson & Landau 1982; as FID: Heusel et al. 2017, eq. 6).

    d² = ‖μ_r − μ‖² + Tr Σ_r + Tr Σ − 2 Tr (Σ_r^½ Σ Σ_r^½)^½

The matrix under the last root is symmetric and positive semi-definite, so that its eigenvalues are real and the
trace is the sum of their roots. The product Σ_r Σ, whose root others take, has the same eigenvalues but is not
symmetric: it needs the slower general solver, and complex numbers appear where it is nearly singular.
"""

from functools import cached_property

import torch
from torch import Tensor

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.statistics import Moments


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
        product = self._root.T @ other.covariance @ self._root  # [R, R]
        eigenvalues = torch.linalg.eigvalsh((product + product.T) / 2)
        mixed = eigenvalues.clamp(min=0).sqrt().sum()
        return max(0.0, float(means + traces - 2 * mixed))

    @cached_property
    def _root(self) -> Tensor:
        """V Λ^½ of Σ_r = V Λ Vᵀ without the null space: [D, R], R the rank.

        Σ_r^½ = V Λ^½ Vᵀ, and Vᵀ(·)V leaves eigenvalues alone, so the last rotation is saved. What is cut is noise of
        the solver: eigenvalues below D · ε · λ_max, which matrix_rank takes for 0 too.
        """
        eigenvalues, vectors = torch.linalg.eigh(self.moments.covariance)
        floor = eigenvalues[-1] * self.moments.dimension * torch.finfo(eigenvalues.dtype).eps
        kept = eigenvalues > floor.clamp(min=0)
        root: Tensor = vectors[:, kept] * eigenvalues[kept].sqrt()
        return root


def frechet_distance(reference: Moments, other: Moments) -> float:
    """d² between two sets of moments. Raises what `FrechetReference.distance` raises."""
    return FrechetReference(reference).distance(other)
