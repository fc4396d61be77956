"""scikit-learn's digits as a data set: the split, the grey levels, the sizes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data import Images, load_images
from diffrun_worker.errors import PermanentError
from diffrun_worker.workspace import Workspace


def load(tmp_path: Path, *, test: bool = False, **wanted: int) -> Images:
    return load_images(Dataset.model_validate({"digits": {}, "test": test}), Workspace(str(tmp_path)), **wanted)


def test_every_digit_is_in_exactly_one_part(tmp_path: Path) -> None:
    train, test = load(tmp_path), load(tmp_path, test=True)
    assert (len(train), len(test)) == (1442, 355)
    together = torch.cat([train.pixels, test.pixels]).flatten(1).numpy()
    everything = np.rint(load_digits().data * 255 / 16).astype(np.uint8)
    assert np.array_equal(together[np.lexsort(together.T)], everything[np.lexsort(everything.T)])


def test_each_class_gives_a_fifth_of_its_images_to_the_tests(tmp_path: Path) -> None:
    train, test = (load(tmp_path, test=part).require_labels().bincount() for part in (False, True))
    assert torch.equal(test, (train + test) // 5)


def test_the_darkest_is_0_and_the_brightest_is_255(tmp_path: Path) -> None:
    pixels = load(tmp_path).pixels
    assert (pixels.dtype, tuple(pixels.shape)) == (torch.uint8, (1442, 1, 8, 8))
    assert len(pixels.unique()) == 17
    assert (pixels.min(), pixels.max()) == (0, 255)


def test_digits_are_not_mirrored_unless_that_is_asked_for(tmp_path: Path) -> None:
    assert not load(tmp_path).flip
    asked = Dataset.model_validate({"digits": {}, "flip": True})
    assert load_images(asked, Workspace(str(tmp_path))).flip


def test_size_and_channels_are_the_model_s(tmp_path: Path) -> None:
    images = load(tmp_path, image_size=16, channels=3)
    assert images.shape == (3, 16, 16)
    assert images.pixels.is_contiguous()
    assert torch.equal(images.pixels[:, 0], images.pixels[:, 2])


def test_a_size_in_the_parameters_wins_over_the_model_s(tmp_path: Path) -> None:
    spec = Dataset.model_validate({"digits": {}, "imageSize": 12})
    assert load_images(spec, Workspace(str(tmp_path)), image_size=16).shape == (1, 12, 12)


def test_equal_data_has_equal_digests_and_other_data_others(tmp_path: Path) -> None:
    digests = [
        load(tmp_path).digest,
        load(tmp_path, test=True).digest,
        load(tmp_path, image_size=16).digest,
        load(tmp_path, channels=3).digest,
    ]
    assert len(set(digests)) == 4
    assert load(tmp_path).digest == digests[0]


def test_a_model_of_two_channels_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="model: it takes images of 2 channels, data gives grey") as caught:
        load(tmp_path, channels=2)
    assert caught.value.code == "InvalidParams"
