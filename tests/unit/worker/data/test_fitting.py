"""Sizes and channels of whole arrays, held against Pillow's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffrun_worker.data.fitting import fit


@pytest.fixture(scope="module")
def colours() -> NDArray[np.uint8]:
    """[3, 3, 32, 32]: noise, which shows every tap of a filter."""
    return np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), dtype=np.uint8)


def pillow(image: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    resized = Image.fromarray(image.transpose(1, 2, 0)).resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(resized).transpose(2, 0, 1)


@pytest.mark.parametrize("size", [64, 48, 16, 7])
def test_a_resized_image_is_pillow_s_to_one_grey_level(colours: NDArray[np.uint8], size: int) -> None:
    fitted = fit(colours, size, None, lambda: None).numpy().astype(int)
    expected = np.stack([pillow(image, size) for image in colours]).astype(int)
    assert fitted.shape == (3, 3, size, size)
    assert np.abs(fitted - expected).max() <= 1


def test_grey_of_colour_is_pillow_s_to_the_byte(colours: NDArray[np.uint8]) -> None:
    grey = fit(colours, None, 1, lambda: None).numpy()
    assert np.array_equal(grey[1, 0], np.asarray(Image.fromarray(colours[1].transpose(1, 2, 0)).convert("L")))


def test_colour_of_grey_repeats_it(colours: NDArray[np.uint8]) -> None:
    fitted = fit(colours[:, :1], None, 3, lambda: None).numpy()
    assert np.array_equal(fitted, np.repeat(colours[:, :1], 3, axis=1))


def test_what_fits_already_is_left_as_it_is(colours: NDArray[np.uint8]) -> None:
    assert np.array_equal(fit(colours, 32, 3, lambda: None).numpy(), colours)


def test_a_uniform_image_stays_uniform() -> None:
    flat = np.full((1, 1, 5, 5), 200, dtype=np.uint8)
    assert (fit(flat, 9, 3, lambda: None) == 200).all()


def test_fitting_many_images_can_be_stopped(colours: NDArray[np.uint8]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(colours, 16, None, stop)
