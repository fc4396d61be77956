"""The block from its parameters to its outputs: what it leaves, what it says, and that it learns."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffrun_worker.errors import PermanentError
from diffrun_worker.sampling.loader import load_conditional, load_model
from diffrun_worker.testing import RecordingContext

from .conftest import TWO_LEVELS, UNET, Fit


def weights(root: Path, outputs: object) -> dict[str, torch.Tensor]:
    return load_file(root / outputs["model_path"] / "diffusion_pytorch_model.safetensors")  # type: ignore[index]


def losses(ctx: RecordingContext) -> list[float]:
    return [point.value for point in ctx.points if point.name == "train/loss"]


def test_the_output_is_a_model_that_generation_blocks_load(ctx: RecordingContext, fit: Fit) -> None:
    outputs = fit(ctx)
    assert outputs["model_path"] == f"{ctx.directory}/checkpoints/model"
    model = load_model(ctx.root / str(outputs["model_path"]))
    assert model.shape == (1, 8, 8)
    assert model.scheduler_config["beta_schedule"] == "linear"
    assert outputs["steps"] == 6
    assert outputs["dataset"] == "digits"
    assert outputs["parameters"] == sum(parameter.numel() for parameter in model.unet.parameters())


def test_a_conditional_model_knows_its_classes_and_a_null_class(ctx: RecordingContext, fit: Fit) -> None:
    outputs = fit(ctx, model={"name": "unet2d", "config": UNET, "conditional": True})
    model = load_conditional(ctx.root / str(outputs["model_path"]))
    assert model.classes == tuple("0123456789")
    assert model.null_class == 10


def test_the_loss_falls(ctx: RecordingContext, fit: Fit) -> None:
    fit(ctx, steps=50, batchSize=16, optimizer={"learningRate": 1e-2, "warmupSteps": 5})
    told = losses(ctx)
    assert sum(told[-10:]) < 0.6 * sum(told[:10])


def test_the_metrics_of_a_step_are_told_once_and_in_order(ctx: RecordingContext, fit: Fit) -> None:
    fit(ctx)
    by_name = {name: [p.step for p in ctx.points if p.name == name] for name in {p.name for p in ctx.points}}
    assert by_name["train/loss"] == by_name["train/grad_norm"] == list(range(6))
    for name in ("train/lr", "train/ema_decay", "train/images_per_second", "train/eta_seconds"):
        assert by_name[name][-1] == 5
    last = {point.name: point.value for point in ctx.points}
    assert last["train/ema_decay"] == 0.9
    assert last["train/eta_seconds"] == 0
    assert ctx.progressed[-1] == (6, 6)


def test_the_first_loss_is_that_of_the_formula(ctx: RecordingContext, fit: Fit) -> None:
    """A network that predicts 0 for every noise has a loss of E[ε²] = 1."""
    fit(ctx, steps=1, batchSize=512)
    assert losses(ctx)[0] == pytest.approx(1.0, rel=0.2)


def test_the_average_is_that_of_the_weights_after_every_step(ctx: RecordingContext, fit: Fit, tmp_path: Path) -> None:
    """θ̄₂ = d·(d·θ₀ + (1 − d)·θ₁) + (1 − d)·θ₂, from trainings that differ in their decay alone."""
    constant = {"optimizer": {"learningRate": 1e-3, "schedule": "constant", "warmupSteps": 0}}
    initial, first, second, average = (
        weights(root, fit(RecordingContext(root), steps=steps, ema={"decay": decay}, **constant))
        for root, steps, decay in (
            (tmp_path / "0", 1, 1 - 1e-12),
            (tmp_path / "1", 1, 0.0),
            (tmp_path / "2", 2, 0.0),
            (tmp_path / "a", 2, 0.75),
        )
        if root.mkdir() is None
    )
    for name, found in average.items():
        expected = 0.75 * (0.75 * initial[name] + 0.25 * first[name]) + 0.25 * second[name]
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_grids_come_when_they_are_due_and_at_the_end(ctx: RecordingContext, fit: Fit) -> None:
    fit(ctx, steps=5, sampleGrid={"everySteps": 2, "samples": 4, "sampler": {"steps": 2}})
    assert [artifact.tags["step"] for artifact in ctx.artifacts] == ["2", "4", "5"]
    assert {artifact.schema_type for artifact in ctx.artifacts} == {"sample_grid"}
    assert {artifact.content_type for artifact in ctx.artifacts} == {"image/png"}
    # Two by two images of 8×8, with a gap of 2 around each.
    assert (ctx.artifacts[0].width, ctx.artifacts[0].height) == (22, 22)


def test_grids_change_nothing_of_the_training(ctx: RecordingContext, fit: Fit, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    other = RecordingContext(tmp_path / "other")
    with_grids = weights(ctx.root, fit(ctx, sampleGrid={"everySteps": 1, "samples": 2, "sampler": {"steps": 2}}))
    without = weights(other.root, fit(other))
    assert all(torch.equal(with_grids[name], without[name]) for name in without)


def test_a_conditional_grid_shows_a_column_a_class(ctx: RecordingContext, fit: Fit) -> None:
    model = {"name": "unet2d", "config": UNET, "conditional": True}
    fit(ctx, model=model, sampleGrid={"everySteps": 6, "samples": 20, "sampler": {"steps": 1}})
    assert (ctx.artifacts[0].width, ctx.artifacts[0].height) == (10 * 10 + 2, 2 * 10 + 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batchSize": 2000}, r"batchSize: 2000 is larger than the data set, which has 1442 images"),
        (
            {"data": {"digits": {}, "imageSize": 9}, "model": {"name": "unet2d", "config": TWO_LEVELS}},
            r"sample_size: 9 is not divisible by 2",
        ),
        ({"model": {"name": "unet2d", "config": {"widths": [4]}}}, r"model\.config\.widths: UNet2DModel has no such"),
        ({"model": {"name": "unet2d"}}, r"model\.config: unet2d has no size of its own"),
        ({"model": {"name": "ddpm-64"}, "data": {"digits": {}, "imageSize": 8}}, r"data\.imageSize: ddpm-64 is made"),
        ({"model": {"name": "unet2d", "config": UNET | {"num_class_embeds": 7}, "conditional": True}}, r"num_class_e"),
        ({"data": {"imageFolder": {"path": "nowhere"}, "imageSize": 8}}, r"nowhere"),
        ({"sampleGrid": {"everySteps": 2, "sampler": {"name": "DDPM", "eta": 0.5}}}, r"eta"),
        ({"diffusion": {"betaStart": 0.5, "betaEnd": 0.1}}, r"diffusion\.betaEnd"),
        ({"workers": 2}, r"workers: 2 need each other's addresses"),
        ({"resume": "nowhere"}, r"resume: nowhere holds no training state"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_trained_names_its_parameter(
    ctx: RecordingContext, fit: Fit, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(PermanentError, match=message) as caught:
        fit(ctx, **changes)
    assert caught.value.code in {"InvalidParams", "DatasetNotFound", "ModelNotFound"}
