"""Numbers that sum up a tensor, for people and for JSON.

Everything is computed in float64, so that a mean over a million values is as exact as one over ten.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from diffrun_worker.errors import invalid_params

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""What `summarize` gives by default."""


@dataclass(frozen=True)
class Summary:
    """A tensor in a few numbers. Those but the counts are over its finite values, and NaN where there are none."""

    count: int
    """Elements."""
    non_finite: int
    """Elements that are NaN or infinite."""
    mean: float
    std: float
    """The population's: √(Σ (x − mean)² / n)."""
    minimum: float
    maximum: float
    l1: float
    """Σ |x|."""
    l2: float
    """√Σ x²."""
    linf: float
    """max |x|."""
    quantiles: dict[str, float]
    """By their share, written as `0.05`; linear between neighbours (Hyndman & Fan 1996, type 7)."""

    def to_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def summarize(tensor: Tensor, quantiles: Sequence[float] = QUANTILES) -> Summary:
    """Sums up all elements of a tensor of any shape, dtype (but complex) and device.

    Raises PermanentError `InvalidParams` for an empty tensor and for quantiles outside 0…1.
    """
    if tensor.numel() == 0:
        raise invalid_params("tensor: a summary needs at least one element; got an empty tensor")
    if tensor.is_complex():
        raise invalid_params(f"tensor: a summary is over real numbers; got {tensor.dtype}, give its .abs()")
    outside = [share for share in quantiles if not 0 <= share <= 1]
    if outside:
        raise invalid_params(f"quantiles: shares lie between 0 and 1; got {outside}")
    values = tensor.detach().flatten().to("cpu", torch.float64)
    finite = values[torch.isfinite(values)]
    missing = values.numel() - finite.numel()
    if finite.numel() == 0:
        nan = math.nan
        return Summary(values.numel(), missing, nan, nan, nan, nan, nan, nan, nan, {str(q): nan for q in quantiles})
    ordered = finite.sort().values
    return Summary(
        count=values.numel(),
        non_finite=missing,
        mean=float(finite.mean()),
        std=float(finite.std(correction=0)),
        minimum=float(ordered[0]),
        maximum=float(ordered[-1]),
        l1=float(finite.abs().sum()),
        l2=float(torch.linalg.vector_norm(finite)),
        linf=float(finite.abs().max()),
        quantiles={str(share): _quantile(ordered, share) for share in quantiles},
    )


def summarize_each(batch: Tensor, quantiles: Sequence[float] = QUANTILES) -> list[Summary]:
    """One summary a sample of a batch [N, …]."""
    return [summarize(sample, quantiles) for sample in batch]


def l2_norms(batch: Tensor) -> Tensor:
    """‖x_i‖₂ of each sample of [N, …]: float64 [N], on the batch's device."""
    norms: Tensor = torch.linalg.vector_norm(batch.detach().flatten(1), dim=1, dtype=torch.float64)
    return norms


def cosine_similarity(first: Tensor, second: Tensor) -> Tensor:
    """⟨a_i, b_i⟩ / (‖a_i‖ ‖b_i‖) of each pair of [N, …]: float64 [N] in [-1, 1]; 0 where one of the two is zero.

    Raises PermanentError `InvalidParams` for shapes that differ.
    """
    if first.shape != second.shape:
        raise invalid_params(f"second: shapes must agree; got {list(second.shape)} beside {list(first.shape)}")
    a, b = first.detach().flatten(1).double(), second.detach().flatten(1).double()
    norms = torch.linalg.vector_norm(a, dim=1) * torch.linalg.vector_norm(b, dim=1)
    return torch.where(norms > 0, (a * b).sum(dim=1) / norms.clamp_min(torch.finfo(norms.dtype).tiny), 0.0)


def _quantile(ordered: Tensor, share: float) -> float:
    # torch.quantile refuses more than 16 million elements; sorted values give any number of them.
    place = share * (ordered.numel() - 1)
    low = math.floor(place)
    high = min(low + 1, ordered.numel() - 1)
    below, above = float(ordered[low]), float(ordered[high])
    return below + (place - low) * (above - below)
