"""A classifier that is trained on the spot, on real digits."""

from dataclasses import replace

import pytest
import torch

from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError, Stopped
from diffrun_worker.evaluation import classifier
from diffrun_worker.evaluation.classifier import FEATURES, Classifier, train_classifier
from diffrun_worker.evaluation.negatives import negatives, shuffle_tiles


def test_it_knows_digits_that_it_has_not_seen(trained: Classifier, digits: Images) -> None:
    assert trained.accuracy > 0.97
    assert trained.held_out == sum(max(1, int(0.2 * int(n))) for n in torch.bincount(digits.require_labels()))


def test_it_is_sure_of_real_digits_and_of_nothing_else(trained: Classifier, digits: Images) -> None:
    assert trained.sure_share(digits.pixels) > 0.95
    assert trained.sure_share(negatives(digits.pixels, torch.Generator().manual_seed(1))) < 0.02
    assert trained.sure_share(digits.pixels, threshold=0.0) == 1


def test_noise_is_none_of_the_classes(trained: Classifier) -> None:
    noise = torch.randint(256, (50, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    assert (trained.predict(noise) == len(trained.classes)).double().mean() > 0.95


def test_probabilities_and_features_have_a_row_for_each_image(trained: Classifier, digits: Images) -> None:
    some = digits.pixels[:600]
    assert torch.allclose(trained.probabilities(some).sum(dim=1), torch.ones(600))
    assert trained.embed(some).shape == (600, FEATURES)


def test_the_share_of_sure_images_is_counted_by_the_best_real_class(trained: Classifier) -> None:
    scores = torch.tensor([[0.95, 0.02, 0.03], [0.5, 0.4, 0.1], [0.02, 0.03, 0.95], [0.05, 0.9, 0.05]])

    class Fixed(Classifier):
        def probabilities(self, images: torch.Tensor) -> torch.Tensor:
            return scores

    fixed = Fixed(trained.network, ("a", "b"), 1.0, 1, (1, 8, 8))
    assert fixed.sure_share(torch.zeros(4, 1, 8, 8, dtype=torch.uint8)) == 0.5, "the third is sure of being none"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(classifier, "_STEPS", 2)


@pytest.mark.usefixtures("quick")
def test_the_same_seed_gives_the_same_network_and_touches_nobodys_random_numbers(digits: Images) -> None:
    torch.manual_seed(1)
    first = train_classifier(digits, seed=3)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(torch.rand(1), drawn)
    again, other = train_classifier(digits, seed=3), train_classifier(digits, seed=4)
    assert torch.equal(first.network.head.weight, again.network.head.weight)
    assert not torch.equal(first.network.head.weight, other.network.head.weight)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (1, 70, 70), (1, 4, 4)], ids=str)
def test_images_of_any_size_can_be_learnt(shape: tuple[int, int, int]) -> None:
    pixels = torch.randint(256, (20, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images = Images(pixels, torch.arange(20) % 2, ("even", "odd"), False, "some", "0" * 64)
    assert train_classifier(images).embed(pixels).shape == (20, FEATURES)


def test_training_can_be_stopped_between_two_steps(digits: Images) -> None:
    def stop() -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train_classifier(digits, check=stop)


def test_shuffled_tiles_keep_every_pixel_and_not_its_place() -> None:
    images = torch.arange(2 * 3 * 9 * 8, dtype=torch.int32).reshape(2, 3, 9, 8)
    shuffled = shuffle_tiles(images, torch.Generator().manual_seed(0))
    assert torch.equal(shuffled.flatten(1).sort().values, images.flatten(1))
    assert torch.equal(shuffled[:, :, 8:], images[:, :, 8:]), "a row that fills no tile stays"
    tile = images[0, :, 0:2, 0:2]
    places = [(y, x) for y in range(0, 8, 2) for x in range(0, 8, 2)]
    assert any(torch.equal(shuffled[0, :, y : y + 2, x : x + 2], tile) for y, x in places), "tiles stay whole"
    assert not torch.equal(shuffled, images)


def _images(digits: Images, **changes: object) -> Images:
    return replace(digits, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        pytest.param({"labels": None, "classes": ()}, "no classes", id="no labels"),
        pytest.param({"classes": ("0",), "labels": torch.zeros(1442, dtype=torch.int64)}, "has 1 classes", id="one"),
        pytest.param({"classes": (*map(str, range(10)), "ten")}, "too few of ten", id="an empty class"),
    ],
)
def test_images_without_enough_classes_are_refused(digits: Images, changes: dict[str, object], names: str) -> None:
    with pytest.raises(PermanentError, match=names) as caught:
        train_classifier(_images(digits, **changes))
    assert caught.value.code == ErrorCode.INVALID_PARAMS


@pytest.mark.parametrize(
    "images",
    [torch.zeros(2, 1, 16, 16, dtype=torch.uint8), torch.zeros(2, 1, 8, 8), torch.zeros(0, 1, 8, 8, dtype=torch.uint8)],
    ids=["another size", "floats", "none"],
)
def test_images_that_it_has_not_learnt_are_refused(trained: Classifier, images: torch.Tensor) -> None:
    with pytest.raises(PermanentError, match=r"learnt uint8 images of shape \[1, 8, 8\]"):
        trained.predict(images)
