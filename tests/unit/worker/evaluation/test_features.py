"""Inception-v3, with random weights in a file, by the very path that real ones take; and the classifier's features."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from diffrun_contracts.params.evaluate import InceptionWeights
from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation import classifier
from diffrun_worker.evaluation.classifier_cache import classifier_features
from diffrun_worker.evaluation.features import InceptionFeatures
from diffrun_worker.evaluation.weights import load_weights
from diffrun_worker.workspace import Workspace


@pytest.fixture(scope="module")
def inception(inception_file: Path) -> InceptionFeatures:
    sha256 = hashlib.sha256(inception_file.read_bytes()).hexdigest()
    given = InceptionWeights(path=inception_file.name, sha256=sha256)
    return InceptionFeatures(load_weights(given, Workspace(str(inception_file.parent)), lambda: None), sha256)


def test_features_are_those_of_torch_fidelitys_own_loading(inception: InceptionFeatures, inception_file: Path) -> None:
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = FeatureExtractorInceptionV3("theirs", ["2048"], feature_extractor_weights_path=str(inception_file))
    found = inception(images)
    assert found.shape == (2, inception.dimension)
    assert torch.equal(found, theirs(images)[0])
    assert not torch.equal(found[0], found[1])


def test_grey_images_count_as_colour_images_of_equal_channels(inception: InceptionFeatures) -> None:
    grey = torch.randint(256, (1, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert torch.equal(inception(grey), inception(grey.repeat(1, 3, 1, 1)))


def test_only_inception_gives_a_fid(inception: InceptionFeatures) -> None:
    assert inception.metric == "eval/fid"
    assert inception.identity.startswith("inception-v3-2048-")


@pytest.mark.parametrize("images", [torch.zeros(1, 3, 8, 8), torch.zeros(1, 4, 8, 8, dtype=torch.uint8)])
def test_what_is_no_batch_of_images_is_refused(inception: InceptionFeatures, images: torch.Tensor) -> None:
    with pytest.raises(PermanentError, match="grey or colour images"):
        inception(images)


def test_tensors_of_another_network_are_refused() -> None:
    with pytest.raises(PermanentError, match="not those of Inception-v3") as caught:
        InceptionFeatures({"fc.weight": torch.zeros(10, 10)}, "0" * 64)
    assert caught.value.code == ErrorCode.INVALID_FEATURE_WEIGHTS


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Training takes five steps; the list grows by one with each training."""
    monkeypatch.setattr(classifier, "_STEPS", 5)
    trainings: list[int] = []
    fit = classifier._fit
    monkeypatch.setattr(classifier, "_fit", lambda *args: (trainings.append(1), fit(*args))[1])
    return trainings


def test_a_classifier_is_trained_once_and_found_again(digits: Images, workspace: Workspace, quick: list[int]) -> None:
    first = classifier_features(digits, workspace, seed=0, device="cpu")
    again = classifier_features(digits, workspace, seed=0, device="cpu")
    assert quick == [1]
    assert again.identity == first.identity
    assert (again.classifier.accuracy, again.classifier.held_out) == (
        first.classifier.accuracy,
        first.classifier.held_out,
    )
    assert torch.equal(again(digits.pixels[:50]), first(digits.pixels[:50]))
    assert first.metric == "eval/classifier_distance"


def test_another_seed_is_another_classifier(digits: Images, workspace: Workspace, quick: list[int]) -> None:
    first = classifier_features(digits, workspace, seed=0, device="cpu")
    assert classifier_features(digits, workspace, seed=1, device="cpu").identity != first.identity
    assert quick == [1, 1]


def test_a_damaged_classifier_is_an_error_and_not_trained_over(
    digits: Images, workspace: Workspace, quick: list[int]
) -> None:
    classifier_features(digits, workspace, seed=0, device="cpu")
    (path,) = (workspace.root / "cache" / "classifiers").iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(PermanentError, match=r"is damaged .* delete it") as caught:
        classifier_features(digits, workspace, seed=0, device="cpu")
    assert caught.value.code == ErrorCode.CORRUPT_CHECKPOINT
    assert path.name in caught.value.message
