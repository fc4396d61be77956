"""Tensor conversion: known bytes, exact round trips, no pickles."""

import io
import pickle

import numpy as np
import pytest
import torch

from diffrun_contracts.params.infer import LatentFormat
from diffrun_worker.errors import PermanentError
from diffrun_worker.inference.tensors import (
    deserialize,
    image_to_latent,
    latent_to_image,
    latents_to_images,
    npy_bytes,
    serialize,
    to_numpy,
)


def test_a_state_becomes_an_image_with_known_levels() -> None:
    latent = torch.tensor([-2.0, -1.0, 0.0, 0.5, 1.0, 7.0]).reshape(1, 2, 3)

    image = latent_to_image(latent)

    assert image.tolist() == [[[0], [0], [128]], [[191], [255], [255]]]


def test_channels_come_last_in_images() -> None:
    batch = torch.stack([torch.full((4, 5), value) for value in (-1.0, 0.0, 1.0)])[None]

    images = latents_to_images(batch)

    assert images.shape == (1, 4, 5, 3)
    assert images[0, 0, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 1), (3, 4, 3)], ids=["plain", "grey", "rgb"])
def test_every_level_survives_the_way_to_a_state_and_back(shape: tuple[int, ...]) -> None:
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)

    latent = image_to_latent(image)

    assert latent.shape == (shape[2] if len(shape) == 3 else 1, 3, 4)
    assert float(latent.min()) >= -1
    assert float(latent.max()) <= 1
    np.testing.assert_array_equal(latent_to_image(latent).reshape(shape), image)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.uint8])
@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_npy_bytes_are_what_numpy_writes(dtype: type, shape: tuple[int, ...]) -> None:
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).astype(dtype)
    expected = io.BytesIO()
    np.save(expected, array)

    assert npy_bytes(array) == expected.getvalue()


def test_npy_bytes_of_a_view_are_those_of_its_values() -> None:
    array = np.arange(12.0).reshape(3, 4)

    np.testing.assert_array_equal(np.load(io.BytesIO(npy_bytes(array.T))), array.T)


@pytest.mark.parametrize("fmt", list(LatentFormat))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_latent_comes_back_bit_for_bit(fmt: LatentFormat, dtype: torch.dtype) -> None:
    latent = torch.randn((3, 4, 4), generator=torch.Generator().manual_seed(0), dtype=dtype)

    back = deserialize(serialize(to_numpy(latent), fmt), fmt)

    assert back.dtype == dtype
    assert torch.equal(back, latent)


def test_bfloat16_travels_as_float32() -> None:
    array = to_numpy(torch.tensor([1.0, 1.0078125], dtype=torch.bfloat16))

    assert array.dtype == np.float32
    assert array.tolist() == [1.0, 1.0078125]


@pytest.mark.parametrize("fmt", list(LatentFormat))
@pytest.mark.parametrize("data", [pickle.dumps([1]), b"", b"\x93NUMPY"], ids=["pickle", "nothing", "torn"])
def test_what_is_no_latent_is_refused(fmt: LatentFormat, data: bytes) -> None:
    with pytest.raises(PermanentError, match="InvalidParams: latent"):
        deserialize(data, fmt)


def test_an_array_of_objects_is_never_pickled() -> None:
    with pytest.raises(PermanentError, match="pickled"):
        npy_bytes(np.array([object()]))


def test_shapes_that_are_no_image_are_refused_with_the_shape() -> None:
    with pytest.raises(PermanentError, match=r"\[C, H, W\].*\[2, 4, 4\]"):
        latent_to_image(torch.zeros(2, 4, 4))
    with pytest.raises(PermanentError, match=r"\[N, C, H, W\].*\[1, 4, 4\]"):
        latents_to_images(torch.zeros(1, 4, 4))
    with pytest.raises(PermanentError, match=r"uint8.*float64"):
        image_to_latent(np.zeros((4, 4)))  # type: ignore[arg-type]
