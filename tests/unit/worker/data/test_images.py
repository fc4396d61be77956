"""Images in memory, and how a batch becomes what a network is fed."""

import pytest
import torch

from diffrun_worker.data import Images, fits, prepare, require_classes, to_unit
from diffrun_worker.errors import PermanentError
from diffrun_worker.sampling.images import to_pixels


def images(classes: tuple[str, ...] = ("cat", "dog")) -> Images:
    pixels = torch.arange(2 * 3 * 4, dtype=torch.uint8).reshape(2, 1, 3, 4)
    labels = torch.tensor([0, 1]) if classes else None
    return Images(pixels, labels, classes, flip=True, name="imageFolder", digest="0" * 64)


def test_every_grey_level_survives_the_way_to_the_network_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    unit = to_unit(levels)
    assert (unit.dtype, unit.min().item(), unit.max().item()) == (torch.float32, -1.0, 1.0)
    assert torch.equal(to_pixels(unit).permute(0, 3, 1, 2), levels)


def test_to_unit_leaves_its_argument_alone() -> None:
    pixels = torch.full((1, 1, 2, 2), 255, dtype=torch.uint8)
    to_unit(pixels)
    assert torch.equal(pixels, torch.full((1, 1, 2, 2), 255, dtype=torch.uint8))


def test_only_the_chosen_images_are_mirrored_and_only_from_left_to_right() -> None:
    batch = images().pixels
    prepared = prepare(batch, torch.tensor([False, True]))
    assert torch.equal(prepared[0], to_unit(batch[0]))
    assert torch.equal(prepared[1], to_unit(batch[1, :, :, [3, 2, 1, 0]]))
    assert torch.equal(prepare(batch), to_unit(batch))


def test_images_know_their_number_and_shape() -> None:
    assert (len(images()), images().shape) == (2, (1, 3, 4))


def test_memory_of_the_host_always_fits() -> None:
    assert fits(images(), "cpu")


@pytest.mark.parametrize(("free", "expected"), [(48, True), (47, False)])
def test_a_data_set_takes_at_most_half_of_the_free_memory_of_a_gpu(
    free: int, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 1 << 40))
    assert fits(images(), "cuda") is expected, "24 bytes of pixels"


def test_a_conditional_model_is_refused_images_without_classes() -> None:
    with pytest.raises(PermanentError, match="data: imageFolder has no classes") as caught:
        images(()).require_labels()
    assert caught.value.code == "InvalidParams"


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("cat",), "data: imageFolder has 2 classes, the model has 1; "),
        (("cat", "cow"), "data: imageFolder calls class 1 'dog', the model calls it 'cow'; "),
    ],
    ids=["count", "name"],
)
def test_classes_that_differ_from_the_model_s_are_told_apart(classes: tuple[str, ...], words: str) -> None:
    with pytest.raises(PermanentError, match=words) as caught:
        require_classes(images(), classes, "the model")
    assert caught.value.code == "InvalidParams"


def test_the_same_classes_pass() -> None:
    require_classes(images(), ["cat", "dog"], "the model")
