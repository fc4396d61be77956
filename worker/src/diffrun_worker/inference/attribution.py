"""Where in the image guidance acts: the difference that classifier-free guidance amplifies, as maps.

At a step with conditional and unconditional predictions ε_c and ε∅ the guided prediction is
ε̃ = ε∅ + s (ε_c − ε∅) (Ho & Salimans 2022, eq. 6): all that the class says at a pixel p is in the difference. Its map is

    a(p) = √( Σ_channels (ε_c − ε∅)²(p) )                     magnitude, [N, H, W]
    â(p) = a(p) / Σ_q a(q)                                    a share of the image's whole, sums to 1
    A(p) = Σ_steps w_i â_i(p) / Σ_steps w_i                   over the steps of a trajectory

where w_i is 1, or the step's whole magnitude Σ_q a_i(q), so that steps at which the class matters count for more.
"""

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from diffrun_worker.errors import invalid_params


class Weighting(StrEnum):
    """How the steps of a trajectory are weighed."""

    UNIFORM = "uniform"
    """Every step counts the same."""
    MAGNITUDE = "magnitude"
    """A step counts as much as its difference is large."""


def guided_difference(unet: Callable[..., Any], x: Tensor, timestep: Tensor | int, target: int, null: int) -> Tensor:
    """ε_c − ε∅ of each sample, [N, C, H, W], by one forward of 2 N.

    `unet` is called like diffusers' UNet2DModel, in its own dtype if it has one; `x` is x_t [N, C, H, W], of whose
    dtype the difference is; `target` and `null` index its classes.
    """
    count, dtype = x.shape[0], getattr(unet, "dtype", x.dtype)
    labels = torch.tensor([target, null], device=x.device).repeat_interleave(count)  # [2 N]: first c, then ∅
    with torch.inference_mode():
        output = unet(torch.cat((x, x)).to(dtype), timestep, class_labels=labels, return_dict=False)[0]
    conditional, unconditional = output.to(x.dtype).chunk(2)  # [N, C, H, W] each
    return torch.sub(conditional, unconditional)


def spatial_attribution(conditional: Tensor, unconditional: Tensor) -> Tensor:
    """The map â of each sample: [N, H, W], at least 0, sums to 1; where the two agree everywhere it is uniform.

    Both predictions are [N, C, H, W]. The maps come in float32 (float64 for float64) on their device; nothing waits
    for it. Raises PermanentError `InvalidParams` for other shapes.
    """
    magnitude = _magnitude(conditional, unconditional)
    return _normalise(magnitude)


class AttributionMap:
    """A(p), gathered step by step on the device; memory does not grow with the steps."""

    def __init__(self, weighting: Weighting = Weighting.MAGNITUDE) -> None:
        """Begins a trajectory."""
        self._weighting = weighting
        self._sum: Tensor | None = None  # [N, H, W]
        self._weight: Tensor | None = None  # [N]
        self.steps = 0
        """Steps added so far."""

    def add(self, conditional: Tensor, unconditional: Tensor) -> None:
        """Adds a step's two predictions, [N, C, H, W] each. Raises PermanentError `InvalidParams` for other shapes."""
        magnitude = _magnitude(conditional, unconditional)
        share = _normalise(magnitude)
        total = magnitude.sum(dim=(1, 2))
        weight = total if self._weighting is Weighting.MAGNITUDE else torch.ones_like(total)
        if self._sum is None or self._weight is None:
            self._sum, self._weight = torch.zeros_like(share), torch.zeros_like(weight)
        if share.shape != self._sum.shape:
            raise invalid_params(f"conditional: maps of {list(share.shape)} after maps of {list(self._sum.shape)}")
        self._sum += weight[:, None, None] * share
        self._weight += weight
        self.steps += 1

    def result(self) -> Tensor:
        """A of each sample: [N, H, W], at least 0, sums to 1. Raises PermanentError `InvalidParams` before any step."""
        if self._sum is None:
            raise invalid_params("attribution: no step was added")
        return _normalise(self._sum)


def to_heatmap(attribution: Tensor) -> Tensor:
    """Maps [N, H, W] as grey images, uint8 [N, 1, H, W]: 0 is nothing, 255 each map's own largest value."""
    peak = attribution.flatten(1).amax(dim=1).clamp_min(torch.finfo(attribution.dtype).tiny)
    return (attribution / peak[:, None, None] * 255).round().to(torch.uint8).unsqueeze(1)


def _magnitude(conditional: Tensor, unconditional: Tensor) -> Tensor:
    if conditional.ndim != 4 or conditional.shape != unconditional.shape:
        raise invalid_params(
            "conditional, unconditional: two predictions of one shape [N, C, H, W] are needed; "
            f"got {list(conditional.shape)} and {list(unconditional.shape)}"
        )
    dtype = torch.promote_types(conditional.dtype, torch.float32)
    magnitude: Tensor = torch.linalg.vector_norm((conditional - unconditional).detach(), dim=1, dtype=dtype)
    return magnitude


def _normalise(maps: Tensor) -> Tensor:
    """[N, H, W] divided by each map's sum; uniform where the sum is 0."""
    total = maps.sum(dim=(1, 2), keepdim=True)
    uniform = torch.full_like(maps, 1 / (maps.shape[1] * maps.shape[2]))
    return torch.where(total > 0, maps / total.clamp_min(torch.finfo(maps.dtype).tiny), uniform)
