"""Images tiled into one PNG."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from diffrun_worker.errors import PermanentError
from diffrun_worker.sampling.grids import GAP, grid_png


def _decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def test_every_tile_keeps_its_pixels_at_its_place() -> None:
    images = torch.randint(0, 255, (5, 3, 4, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    encoded = grid_png(images, columns=3)
    pixels = _decode(encoded.data)

    assert (encoded.height, encoded.width) == pixels.shape[:2] == (2 * (4 + GAP) + GAP, 3 * (6 + GAP) + GAP)
    fourth = pixels[GAP + 4 + GAP : GAP + 4 + GAP + 4, GAP : GAP + 6]
    assert np.array_equal(fourth, images[3].permute(1, 2, 0).numpy())
    assert (pixels[GAP + 4 + GAP :, GAP + 2 * (6 + GAP) :] == 255).all(), "the last row is not full"


def test_grey_images_give_a_grey_png_no_wider_than_they_need() -> None:
    encoded = grid_png(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), columns=8)

    assert _decode(encoded.data).shape == (8 + 2 * GAP, 2 * (8 + GAP) + GAP)


@pytest.mark.parametrize(
    ("images", "columns", "names"),
    [
        pytest.param(torch.zeros(2, 1, 8, 8), 2, "float32", id="floats"),
        pytest.param(torch.zeros(0, 1, 8, 8, dtype=torch.uint8), 2, r"\[0, 1, 8, 8\]", id="nothing"),
        pytest.param(torch.zeros(2, 4, 8, 8, dtype=torch.uint8), 2, r"\[2, 4, 8, 8\]", id="four channels"),
        pytest.param(torch.zeros(2, 1, 8, 8, dtype=torch.uint8), 0, "columns", id="no columns"),
    ],
)
def test_what_is_no_batch_of_images_is_refused(images: torch.Tensor, columns: int, names: str) -> None:
    with pytest.raises(PermanentError, match=names):
        grid_png(images, columns)
