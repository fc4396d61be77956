"""Many images in one PNG: how sample grids reach people.

Tiles keep their pixels exactly: nothing is resized, so that a 16×16 digit stays a 16×16 digit and whoever shows
the grid scales it.
"""

import torch
from torch import Tensor

from diffrun_worker.errors import invalid_params
from diffrun_worker.sampling.images import EncodedImage, encode_png

GAP = 2
"""Pixels of background between tiles, and around them."""

_BACKGROUND = 255


def grid_png(images: Tensor, columns: int) -> EncodedImage:
    """Tiles images row by row into one PNG, on white.

    `images` is uint8 [N, C, H, W] on any device, with C = 1 or 3 and N ≥ 1; a last row that is not full stays white.
    Raises PermanentError `InvalidParams` for another shape, another dtype or columns < 1.
    """
    return encode_png(tile(images, columns).cpu().numpy())


def tile(images: Tensor, columns: int) -> Tensor:
    """The grid itself: uint8 [rows·(H + GAP) + GAP, columns·(W + GAP) + GAP, C], columns at most N."""
    _check(images, columns)
    number, channels, height, width = images.shape
    columns = min(columns, number)
    rows = -(-number // columns)
    canvas = torch.full(
        (rows * (height + GAP) + GAP, columns * (width + GAP) + GAP, channels),
        _BACKGROUND,
        dtype=torch.uint8,
        device=images.device,
    )
    for index, image in enumerate(images):
        top = GAP + (index // columns) * (height + GAP)
        left = GAP + (index % columns) * (width + GAP)
        canvas[top : top + height, left : left + width] = image.permute(1, 2, 0)
    return canvas


def _check(images: Tensor, columns: int) -> None:
    if images.ndim != 4 or images.dtype != torch.uint8 or images.shape[0] < 1 or images.shape[1] not in (1, 3):
        raise invalid_params(
            f"images: a grid takes uint8 [N, C, H, W] with C = 1 or 3 and N ≥ 1, "
            f"and got {images.dtype} {list(images.shape)}; convert samples with to_bytes first"
        )
    if columns < 1:
        raise invalid_params(f"columns: a grid has at least one, and got {columns}")
