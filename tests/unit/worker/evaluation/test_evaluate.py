"""The block evaluate: tiny models, real digits, no cluster."""

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from diffrun_contracts import params as contract
from diffrun_contracts.params import Sampler, SamplerName
from diffrun_worker.blocks.evaluate import Evaluate
from diffrun_worker.blocks.generate import GenerateFull
from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError, Stopped
from diffrun_worker.evaluation import classifier
from diffrun_worker.evaluation.classifier_cache import classifier_features
from diffrun_worker.evaluation.frechet import frechet_distance
from diffrun_worker.evaluation.statistics import moments_of
from diffrun_worker.registry import parse_params
from diffrun_worker.sampling.images import to_bytes
from diffrun_worker.sampling.loader import load_model
from diffrun_worker.sampling.loop import denoise, generators_for
from diffrun_worker.sampling.schedules import Schedule
from diffrun_worker.testing import RecordingContext

DIGITS = {"digits": {}, "imageSize": 8}
TWO_STEPS = Sampler(steps=2)


@pytest.fixture
def ctx(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingContext:
    monkeypatch.setattr(classifier, "_STEPS", 3)
    shutil.copytree(tiny_model, tmp_path / "models" / "tiny")
    return RecordingContext(tmp_path, inputs={"model_path": "models/tiny"}, seed=7)


def parsed(**params: Any) -> contract.Evaluate:
    given = {"features": "classifier", "reference": {"data": DIGITS}, "samples": 10, "batchSize": 4, **params}
    checked = parse_params(Evaluate(), "evaluate", {key: value for key, value in given.items() if value is not None})
    assert isinstance(checked, contract.Evaluate)
    return checked


def samples(ctx: RecordingContext, sampler: Sampler, count: int, first_seed: int) -> torch.Tensor:
    model = load_model(ctx.root / "models" / "tiny")
    schedule = Schedule(model.scheduler_config, sampler)
    return to_bytes(denoise(model, schedule, generators_for(range(first_seed, first_seed + count))))


def test_the_distance_is_that_of_the_features_of_the_same_seeds(ctx: RecordingContext, digits: Images) -> None:
    outputs = Evaluate().run(parsed(sampler={"steps": 2}, seedOffset=100), ctx)

    extractor = classifier_features(digits, ctx.workspace, seed=0, device="cpu")
    drawn = samples(ctx, TWO_STEPS, 10, first_seed=107)
    expected = frechet_distance(moments_of(extractor(digits.pixels)), moments_of(extractor(drawn)))
    assert outputs["distance"] == pytest.approx(expected, rel=1e-4)
    (point,) = ctx.points
    assert (point.name, point.value) == ("eval/classifier_distance", outputs["distance"])
    assert point.labels == {"n": 10, "nfe": 2, "sampler": "DDIM"}


def test_the_outputs_say_what_the_figure_is_of(ctx: RecordingContext, digits: Images) -> None:
    outputs = Evaluate().run(parsed(sampler={"steps": 2}), ctx)
    expected = {
        "metric": "eval/classifier_distance",
        "n": 10,
        "nfe": 2,
        "sampler": "DDIM",
        "eta": 0.0,
        "model_path": "models/tiny",
        "features": "classifier",
        "reference": "digits",
        "reference_digest": digits.digest,
        "reference_n": len(digits),
    }
    assert {name: outputs[name] for name in expected} == expected
    assert 0 <= float(outputs["classifier_accuracy"]) <= 1
    assert float(outputs["runtime_seconds"]) > 0
    assert str(outputs["code_version"]).startswith("0.1.0+")
    assert "10 images for 64 features" in str(outputs["note"]), "so few images leave the covariance without rank"


@pytest.mark.parametrize(
    ("sampler", "nfe"),
    [
        pytest.param({"name": "DDPM", "steps": 10}, 10, id="DDPM of 10"),
        pytest.param({"name": "DDPM", "steps": 20}, 20, id="DDPM over all steps"),
        pytest.param({"name": "DDIM", "steps": 5, "eta": 1.0}, 5, id="DDIM with eta"),
    ],
)
def test_every_sampler_counts_its_function_evaluations(
    ctx: RecordingContext, sampler: dict[str, Any], nfe: int
) -> None:
    config = ctx.root / "models" / "tiny" / "scheduler_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "num_train_timesteps": 20}))
    outputs = Evaluate().run(parsed(sampler=sampler, samples=2), ctx)
    assert (outputs["nfe"], outputs["eta"]) == (nfe, sampler.get("eta", 0.0))


def test_neither_batches_nor_a_cached_reference_change_the_distance(ctx: RecordingContext) -> None:
    first = Evaluate().run(parsed(sampler={"steps": 2}, batchSize=3), ctx)
    again = Evaluate().run(parsed(sampler={"steps": 2}, batchSize=10), ctx)
    assert again["distance"] == pytest.approx(float(first["distance"]), rel=1e-4)
    assert again["features_identity"] == first["features_identity"]


def test_progress_counts_images_and_a_pause_is_looked_for_at_every_call(ctx: RecordingContext, digits: Images) -> None:
    Evaluate().run(parsed(sampler={"steps": 2}, batchSize=1000), ctx)
    real, total = len(digits), len(digits) + 10
    assert ctx.progressed == [(0, total), (1000, total), (real, total), (total, total)]
    ctx.on_check_pause, seen = _stop_at(ctx.pause_checks + 6), ctx.pause_checks
    with pytest.raises(Stopped):
        Evaluate().run(parsed(sampler={"steps": 20}, batchSize=1000), ctx)
    assert ctx.pause_checks == seen + 6, "it stopped between two calls of the model"


def _stop_at(count: int) -> Any:
    def act(checks: int) -> None:
        if checks >= count:
            raise Stopped

    return act


def test_the_first_64_images_are_shown(ctx: RecordingContext) -> None:
    Evaluate().run(parsed(sampler={"steps": 1}, samples=70, batchSize=30), ctx)
    (artifact,) = ctx.artifacts
    assert (artifact.schema_type, artifact.content_type) == ("sample_grid", "image/png")
    assert artifact.tags == {"phase": "evaluate", "samples": "64"}
    grid = np.asarray(Image.open(io.BytesIO(ctx.data[artifact.id])))
    first = samples(ctx, Sampler(steps=1), 1, first_seed=7)[0, 0].numpy()
    assert np.abs(grid[2:10, 2:10].astype(int) - first).max() <= 1


def write_images(folder: Path, images: torch.Tensor) -> None:
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image[0].numpy()).save(folder / f"{index:04d}.png")


def test_a_folder_of_real_images_is_near_the_real_ones_and_noise_is_far(ctx: RecordingContext, digits: Images) -> None:
    write_images(ctx.root / "real", digits.pixels[:300])
    noise = torch.randint(256, (300, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    write_images(ctx.root / "noise", noise)
    real = Evaluate().run(parsed(artifacts="real", samples=None), ctx)
    far = Evaluate().run(parsed(artifacts="noise", samples=200), ctx)
    assert real["n"] == 300
    assert far["n"] == 200
    assert float(real["distance"]) * 5 < float(far["distance"])
    assert "note" not in real
    assert "nfe" not in real
    assert ctx.points[0].labels == {"n": 300}, "nobody says how they were made"


def test_what_a_block_before_has_generated_is_evaluated_with_its_sampler(ctx: RecordingContext) -> None:
    drawn = Evaluate().run(parsed(sampler={"name": "DDIM", "steps": 2}, seedOffset=1000), ctx)
    full = GenerateFull().run(contract.GenerateFull(samples=10, sampler=TWO_STEPS), ctx)
    for artifact in ctx.artifacts[1:]:
        (path := ctx.root / ctx.directory / f"{int(artifact.tags['sample_index']):02d}.png").parent.mkdir(
            parents=True, exist_ok=True
        )
        path.write_bytes(ctx.data[artifact.id])
    ctx.inputs, ctx.points = dict(full), []
    outputs = Evaluate().run(parsed(generated=True, samples=None), ctx)
    assert outputs["distance"] == pytest.approx(float(drawn["distance"]), rel=1e-3)
    assert ctx.points[0].labels == {"n": 10, "nfe": 2, "sampler": SamplerName.DDIM}
    assert outputs["model_path"] == "models/tiny"


@pytest.mark.parametrize(
    ("params", "code", "names"),
    [
        pytest.param({"features": "inception"}, ErrorCode.INVALID_PARAMS, "weights: Inception", id="no weights"),
        pytest.param(
            {"weights": {"path": "w.pth", "sha256": "0" * 64}}, ErrorCode.INVALID_PARAMS, "weights: only", id="in vain"
        ),
        pytest.param(
            {"reference": {"statistics": "s.npz"}}, ErrorCode.INVALID_PARAMS, "reference.data: classifier", id="no data"
        ),
        pytest.param({"reference": {}}, ErrorCode.INVALID_PARAMS, "exactly one of statistics and data", id="neither"),
        pytest.param(
            {"artifacts": "a", "modelPath": "m"},
            ErrorCode.INVALID_PARAMS,
            "at most one of modelPath",
            id="two subjects",
        ),
        pytest.param({"samples": 1}, ErrorCode.INVALID_PARAMS, "samples", id="one sample"),
        pytest.param({"modelPath": "nothing"}, ErrorCode.MODEL_NOT_FOUND, "modelPath: nothing", id="no model"),
        pytest.param({"artifacts": "nothing"}, ErrorCode.NO_IMAGES, "artifacts: nothing is no folder", id="no folder"),
        pytest.param({"artifacts": "models"}, ErrorCode.NO_IMAGES, "has no .png", id="no images"),
        pytest.param({"generated": True}, ErrorCode.MISSING_INPUT, "generateFull", id="nothing generated"),
        pytest.param(
            {"reference": {"data": {"digits": {}, "imageSize": 16}}},
            ErrorCode.INVALID_PARAMS,
            r"reference.data.imageSize: real images have shape \[1, 16, 16\], generated ones \[1, 8, 8\]",
            id="two sizes",
        ),
    ],
)
def test_a_bad_parameter_is_named(ctx: RecordingContext, params: dict[str, Any], code: str, names: str) -> None:
    with pytest.raises(PermanentError, match=names) as caught:
        Evaluate().run(parsed(**params), ctx)
    assert caught.value.code == code
    assert ctx.points == []


def test_a_folder_with_too_few_images_is_not_taken_for_more(ctx: RecordingContext, digits: Images) -> None:
    write_images(ctx.root / "real", digits.pixels[:3])
    with pytest.raises(PermanentError, match="samples: 4 are asked for and real holds 3"):
        Evaluate().run(parsed(artifacts="real", samples=4), ctx)


def test_a_model_that_overflows_has_no_distance(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> torch.Tensor:
        samples = torch.zeros(4, 1, 8, 8)
        samples[2, 0, 0, 0] = float("nan")
        return samples

    monkeypatch.setattr("diffrun_worker.evaluation.subjects.denoise", broken)
    with pytest.raises(PermanentError, match="sample 2 holds NaN"):
        Evaluate().run(parsed(), ctx)
