"""The classifier's features, and weights of another network; the rest is in `tests/integration/test_inception.py`."""

import pytest
import torch

from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation import classifier
from diffrun_worker.evaluation.classifier_cache import classifier_features
from diffrun_worker.evaluation.features import InceptionFeatures
from diffrun_worker.workspace import Workspace


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
