"""The block diagnose: the trained digits and tiny models, no cluster."""

import io
import math
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import UNet2DModel
from PIL import Image

from diffrun_contracts import params as contract
from diffrun_contracts.events import number_or_word
from diffrun_contracts.params.dataset import Dataset, Digits
from diffrun_worker.blocks import diagnose
from diffrun_worker.blocks.diagnose import Diagnose
from diffrun_worker.data.load import load_images
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import ErrorCode, PermanentError, Stopped
from diffrun_worker.evaluation import self_test
from diffrun_worker.models.store import save_model
from diffrun_worker.registry import parse_params
from diffrun_worker.result import check_outputs
from diffrun_worker.sampling.grids import GAP
from diffrun_worker.testing import RecordingContext

TRAINED = Path(__file__).parents[3] / "examples" / "digits" / "checkpoint"
TWO_STEPS = {"name": "DDIM", "steps": 2}


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    shutil.copytree(TRAINED, tmp_path / "models" / "digits")
    return RecordingContext(tmp_path, inputs={"model_path": "models/digits"})


def parsed(**params: Any) -> contract.Diagnose:
    given = {"data": {"digits": {}}, "images": 4, "samples": 3, "sampler": TWO_STEPS, **params}
    checked = parse_params(Diagnose(), "diagnose", given)
    assert isinstance(checked, contract.Diagnose)
    return checked


def picture(ctx: RecordingContext, schema_type: str, **tags: str) -> np.ndarray:
    (artifact,) = [one for one in ctx.artifacts if one.schema_type == schema_type and tags.items() <= one.tags.items()]
    pixels = np.asarray(Image.open(io.BytesIO(ctx.data[artifact.id])))
    assert (artifact.height, artifact.width) == pixels.shape[:2]
    return pixels


def test_the_grid_is_of_fifty_steps_of_ddpm_unless_another_sampler_is_named() -> None:
    sampler = contract.Diagnose.model_validate({"data": {"digits": {}}}).sampler
    assert (sampler.name, sampler.steps) == ("DDPM", 50)
    assert parsed().sampler.name == "DDIM"


def test_what_a_sampler_leaves_out_keeps_the_blocks_own_default() -> None:
    sampler = parsed(sampler={"steps": 20}).sampler
    assert (sampler.name, sampler.steps) == ("DDPM", 20)
    drawn = contract.InferenceConfig.model_validate({"sampler": {"name": "DDPM"}}).sampler
    assert (drawn.name, drawn.steps) == ("DDPM", 50)
    handed_on = contract.InferenceConfig(sampler=contract.Sampler(name=contract.SamplerName.DDPM)).sampler
    assert (handed_on.name, handed_on.steps) == ("DDPM", 50)


def test_each_timestep_has_its_error_and_its_grid(ctx: RecordingContext) -> None:
    outputs = Diagnose().run(parsed(), ctx)
    errors = {point.step: point.value for point in ctx.points if point.name == "diagnose/x0_mse"}
    assert list(errors) == [0, 250, 500, 750, 999]
    assert errors[0] < 0.001 < errors[250] < errors[500] < errors[750] < errors[999], "the trained model knows this"
    assert {f"x0_mse_t{step}": value for step, value in errors.items()}.items() <= outputs.items()
    clipped = {point.step: point.value for point in ctx.points if point.name == "diagnose/x0_mse_clipped"}
    assert all(clipped[step] <= errors[step] for step in errors)
    grids = [artifact.tags["t"] for artifact in ctx.artifacts if artifact.schema_type == "denoise_grid"]
    assert grids == ["0", "250", "500", "750", "999"]


def test_a_grid_shows_the_real_image_the_noisy_one_and_the_models(ctx: RecordingContext) -> None:
    Diagnose().run(parsed(seed=3), ctx)
    near, far = picture(ctx, "denoise_grid", t="0"), picture(ctx, "denoise_grid", t="999")
    assert near.shape == (4 * (16 + GAP) + GAP, 3 * (16 + GAP) + GAP)
    rows, columns = ([slice(GAP + i * (16 + GAP), (i + 1) * (16 + GAP)) for i in range(n)] for n in (4, 3))
    real = load_images(Dataset(digits=Digits()), ctx.workspace, image_size=16).pixels
    chosen = real[torch.randperm(len(real), generator=torch.Generator().manual_seed(3))[:4]]
    for row, image in zip(rows, chosen[:, 0].numpy(), strict=True):
        assert np.array_equal(near[row, columns[0]], image)
        assert np.abs(near[row, columns[2]].astype(int) - image).mean() < 5, "at t = 0 the model gives it back"
        assert np.abs(far[row, columns[1]].astype(int) - image).mean() > 50, "at t = 999 noise is all that is left"


def test_the_grid_of_samples_is_the_same_for_the_same_seed(ctx: RecordingContext) -> None:
    Diagnose().run(parsed(seed=1), ctx)
    first, ctx.artifacts = picture(ctx, "sample_grid", seed="1", sampler="DDIM", steps="2"), []
    ctx.seed = 99
    Diagnose().run(parsed(seed=1, timesteps=[0], images=1), ctx)
    again, ctx.artifacts = picture(ctx, "sample_grid"), []
    Diagnose().run(parsed(seed=2, timesteps=[0], images=1), ctx)
    assert first.shape == (16 + 2 * GAP, 3 * (16 + GAP) + GAP)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, picture(ctx, "sample_grid"))


def test_the_self_test_reports_both_parts(ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "_DRAWS", 1)
    monkeypatch.setattr(diagnose, "learns_to_denoise", partial(self_test.learns_to_denoise, steps=8))
    outputs = Diagnose().run(parsed(selfTest=True, timesteps=[0], images=2, samples=1), ctx)
    assert outputs["self_test_passed"] is True
    for name in ("learns_to_denoise", "steps_towards_clean"):
        assert outputs[name] is True
        points = [point for point in ctx.points if point.labels.get("test") == name]
        assert [(point.name, point.step) for point in points] == [("diagnose/self_test", 0), ("diagnose/self_test", 1)]
        assert [point.value for point in points] == [outputs[f"{name}_before"], outputs[f"{name}_after"]]
        assert points[1].value < points[0].value
    assert ctx.progressed[-1] == (4, 4)


@pytest.mark.parametrize("after", [2.0, math.nan], ids=["worse", "not a number"])
def test_a_part_that_fails_is_a_finding_and_not_an_error(
    ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch, after: float
) -> None:
    worse = self_test.Verdict(before=1.0, after=after)
    monkeypatch.setattr(diagnose, "learns_to_denoise", lambda *_args, **_options: worse)
    outputs = Diagnose().run(parsed(selfTest=True, timesteps=[0], samples=1), ctx)
    assert outputs["self_test_passed"] is False
    assert (outputs["learns_to_denoise"], outputs["steps_towards_clean"]) == (False, True)
    assert check_outputs(outputs)["learns_to_denoise_after"] == number_or_word(after)


def test_progress_counts_timesteps_and_samples(ctx: RecordingContext) -> None:
    Diagnose().run(parsed(timesteps=[0, 10], samples=3), ctx)
    assert ctx.progressed == [(0, 5), (1, 5), (2, 5), (5, 5)]


def test_it_can_be_stopped_between_two_calls_of_the_model(ctx: RecordingContext) -> None:
    def stop(checks: int) -> None:
        if checks == 3:
            raise Stopped

    ctx.on_check_pause = stop
    with pytest.raises(Stopped):
        Diagnose().run(parsed(timesteps=[0]), ctx)
    assert [artifact.schema_type for artifact in ctx.artifacts] == ["denoise_grid"]


def conditional(folder: Path, classes: list[str]) -> None:
    torch.manual_seed(0)
    unet = UNet2DModel(
        sample_size=8,
        in_channels=1,
        out_channels=1,
        block_out_channels=(8,),
        norm_num_groups=4,
        layers_per_block=1,
        down_block_types=("AttnDownBlock2D",),
        up_block_types=("AttnUpBlock2D",),
        num_class_embeds=len(classes) + 1,
    )
    save_model(folder, unet, GaussianDiffusion().scheduler_config(), classes)


def test_a_conditional_model_is_given_the_classes_of_its_images(ctx: RecordingContext) -> None:
    conditional(ctx.root / "models" / "conditional", [str(digit) for digit in range(10)])
    seen: list[list[int]] = []
    forward = UNet2DModel.forward

    def listen(self: Any, sample: Any, timestep: Any, class_labels: Any = None, **options: Any) -> Any:
        seen.append(class_labels.tolist())
        return forward(self, sample, timestep, class_labels, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(UNet2DModel, "forward", listen)
        params = parsed(modelPath="models/conditional", timesteps=[5], samples=12, sampler={"steps": 1})
        Diagnose().run(params, ctx)
    real = load_images(Dataset(digits=Digits()), ctx.workspace, image_size=8)
    chosen = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))[:4]
    assert seen == [real.require_labels()[chosen].tolist(), [*range(10), 0, 1]]


@pytest.mark.parametrize(
    ("params", "names"),
    [
        pytest.param({"timesteps": [0, 1000]}, r"timesteps: 1000 is not among the model's, 0 to 999", id="timestep"),
        pytest.param({"data": {"digits": {}, "imageSize": 8}}, r"data.imageSize: .* \[1, 8, 8\]", id="another size"),
        pytest.param({"sampler": {"name": "DDPM", "eta": 0.5}}, r"sampler.eta", id="sampler"),
        pytest.param({"modelPath": "models/other"}, r"has 10 classes, the model has 2", id="other classes"),
        pytest.param({"modelPath": "none"}, r"modelPath: none", id="no model"),
        pytest.param({"data": {}}, r"exactly one of digits", id="no data"),
    ],
)
def test_a_bad_parameter_is_named(ctx: RecordingContext, params: dict[str, Any], names: str) -> None:
    conditional(ctx.root / "models" / "other", ["a", "b"])
    with pytest.raises(PermanentError, match=names):
        Diagnose().run(parsed(**params), ctx)
    assert ctx.points == []
    assert ctx.artifacts == []


def test_a_self_test_of_another_prediction_is_refused_before_anything_else(ctx: RecordingContext) -> None:
    config = ctx.root / "models" / "digits" / "scheduler_config.json"
    config.write_text(config.read_text().replace("{", '{"prediction_type": "v_prediction",', 1))
    with pytest.raises(PermanentError, match=r"selfTest: .* predicts v_prediction") as caught:
        Diagnose().run(parsed(selfTest=True), ctx)
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    assert ctx.points == []
