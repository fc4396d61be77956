"""Images of one size are brought to another, and from grey to colour or back."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diffrun_worker.data.sources.base import Check

_CHUNK = 4096  # images between two checks

# ITU-R BT.601 luma in 16-bit fixed point, as Pillow converts RGB to L: both ways to grey give the same bytes.
_LUMA = (19595, 38470, 7471)


def fit(pixels: NDArray[np.uint8], size: int | None, channels: int | None, check: Check) -> Tensor:
    """[N, C, H, W] with H = W to [N, channels, size, size] uint8, contiguous; None leaves that as it is.

    Sizes change by bilinear interpolation, widened by the scale when shrinking (anti-aliased), as Pillow does it.
    Grey becomes colour by repetition, colour becomes grey by BT.601 luma.
    """
    count, own_channels, side, _ = pixels.shape
    size, channels = size or side, channels or own_channels
    source = torch.from_numpy(np.ascontiguousarray(pixels))
    if size == side and channels == own_channels:
        return source
    fitted = torch.empty((count, channels, size, size), dtype=torch.uint8)
    for start in range(0, count, _CHUNK):
        check()
        chunk = source[start : start + _CHUNK]
        if channels < own_channels:
            chunk = to_grey(chunk)
        if size != side:
            chunk = functional.interpolate(chunk, size=(size, size), mode="bilinear", antialias=True)
        fitted[start : start + _CHUNK] = chunk  # [n, 1 or C, S, S]: one channel is repeated
    return fitted


def to_grey(pixels: Tensor) -> Tensor:
    """[N, 3, H, W] uint8 to [N, 1, H, W] uint8."""
    red, green, blue = (pixels[:, index].to(torch.int32) * weight for index, weight in enumerate(_LUMA))
    return ((red + green + blue + 0x8000) >> 16).to(torch.uint8).unsqueeze(1)
