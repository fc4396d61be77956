"""Inception-v3, with random weights in a file, by the very path that real ones take; it takes seconds."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_fidelity import feature_extractor_inceptionv3
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

from diffrun_contracts.params.evaluate import InceptionWeights
from diffrun_worker.blocks import evaluate
from diffrun_worker.blocks.evaluate import Evaluate
from diffrun_worker.errors import PermanentError
from diffrun_worker.evaluation.features import InceptionFeatures
from diffrun_worker.evaluation.statistics import Moments
from diffrun_worker.evaluation.weights import load_weights
from diffrun_worker.registry import parse_params
from diffrun_worker.testing import RecordingContext
from diffrun_worker.workspace import Workspace

TRAINED = Path(__file__).parents[2] / "examples" / "digits" / "checkpoint"


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the real class, at random: nothing here can reach the real ones."""
    path = tmp_path_factory.mktemp("inception") / "weights.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_extractor_inceptionv3, "load_state_dict_from_url", lambda *_args, **_options: {})
        patch.setattr(FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        torch.save(FeatureExtractorInceptionV3("random", ["2048"]).state_dict(), path)
    return path


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


def test_a_fid_is_what_inception_measures_and_its_statistics_may_come_from_a_file(
    tmp_path: Path, inception_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(TRAINED, tmp_path / "models" / "digits")
    ctx = RecordingContext(tmp_path, inputs={"model_path": "models/digits"})
    given: list[Moments] = []
    # Eigenvalues of 2048×2048 take seconds and are tested elsewhere.
    monkeypatch.setattr(evaluate, "frechet_distance", lambda *moments: (given.extend(moments), 12.5)[1])
    shutil.copy(inception_file, ctx.root / "inception.pth")
    sha256 = hashlib.sha256(inception_file.read_bytes()).hexdigest()
    np.savez(ctx.root / "stats.npz", mu=np.zeros(2048), sigma=np.eye(2048))
    wanted = {
        "features": "inception",
        "weights": {"path": "inception.pth", "sha256": sha256},
        "reference": {"statistics": "stats.npz"},
        "samples": 3,
        "sampler": {"name": "DDPM", "steps": 5},
    }
    params = parse_params(Evaluate(), "evaluate", wanted)
    outputs = Evaluate().run(params, ctx)
    (point,) = ctx.points
    assert (point.name, point.value) == ("eval/fid", 12.5)
    assert point.labels == {"n": 3, "nfe": 5, "sampler": "DDPM"}
    reference, generated = given
    assert torch.equal(reference.covariance, torch.eye(2048, dtype=torch.float64))
    assert (generated.dimension, generated.count) == (2048, 3)
    assert outputs["features_identity"] == f"inception-v3-2048-{sha256}"
    assert outputs["reference"] == "stats.npz"
