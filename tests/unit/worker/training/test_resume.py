"""A training that stops and goes on ends where one that never stopped ends, bit by bit."""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from diffrun_worker.data import load_images
from diffrun_worker.errors import PermanentError, Stopped
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training.config import resolve
from diffrun_worker.training.network import build_network, build_optimizer
from diffrun_worker.training.state import capture, restore

from .conftest import UNET, Fit, Parameters

DROPOUT = UNET | {"dropout": 0.5}
"""A network that draws from torch's global generator in every step."""


def stop_at(call: int) -> Callable[[int], None]:
    """SIGTERM, as a block sees it: at the given look at the flag, and at every one after it."""

    def check(calls: int) -> None:
        if calls >= call:
            raise Stopped

    return check


def states(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "runs/recorded/block/checkpoints/state").iterdir())


def final(root: Path, step: int) -> dict[str, torch.Tensor]:
    """Weights, moments, averages and generators' states after `step` steps."""
    folder = root / "runs/recorded/block/checkpoints"
    state = load_file(folder / f"state/step-{step:09d}/training.safetensors")
    average = load_file(folder / "model/diffusion_pytorch_model.safetensors")
    # Copied: what load_file returns is mapped to the file, which tests overwrite.
    return {
        name: value.clone() for name, value in {**state, **{f"average.{key}": average[key] for key in average}}.items()
    }


def different(expected: dict[str, torch.Tensor], found: dict[str, torch.Tensor]) -> list[str]:
    assert expected.keys() == found.keys()
    return [name for name, value in expected.items() if not torch.equal(value, found[name])]


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    return one, other


@pytest.mark.parametrize("conditional", [False, True], ids=["unconditional", "conditional"])
def test_a_training_that_sigterm_stopped_twice_ends_bit_equal(
    roots: tuple[Path, Path], fit: Fit, conditional: bool
) -> None:
    model = {"name": "unet2d", "config": DROPOUT, "conditional": conditional}
    settings: dict[str, Any] = {"model": model, "steps": 9, "data": {"digits": {}, "flip": True}}
    whole, stopped = roots
    fit(RecordingContext(whole), **settings)
    for stop in (3, 2):
        ctx = RecordingContext(stopped)
        first_look = count_looks_before_training(fit, settings, stopped.parent / f"looks-{stop}")
        ctx.on_check_pause = stop_at(first_look + stop)
        with pytest.raises(Stopped):
            fit(ctx, **settings)
    assert states(stopped) == ["step-000000003", "step-000000005"]
    fit(RecordingContext(stopped), **settings)
    assert different(final(whole, 9), final(stopped, 9)) == []


def count_looks_before_training(fit: Fit, settings: dict[str, Any], root: Path) -> int:
    """How often the flag is looked at while the data load."""
    root.mkdir()
    ctx = RecordingContext(root)
    fit(ctx, **(settings | {"steps": 1, "sampleGrid": {"everySteps": 1, "samples": 1, "sampler": {"steps": 1}}}))
    return ctx.pause_checks - 2  # one step, and one call of the grid's sampler


def test_a_training_that_sigterm_stops_before_its_first_step_saves_nothing_and_starts_afresh(
    roots: tuple[Path, Path], fit: Fit
) -> None:
    whole, stopped = roots
    fit(RecordingContext(whole), steps=2)
    ctx = RecordingContext(stopped)
    ctx.on_check_pause = stop_at(count_looks_before_training(fit, {}, stopped.parent / "looks"))
    with pytest.raises(Stopped):
        fit(ctx, steps=2)
    assert not (stopped / "runs/recorded/block/checkpoints/state").exists()
    fit(RecordingContext(stopped), steps=2)
    assert different(final(whole, 2), final(stopped, 2)) == []


def test_a_training_that_resumed_and_is_stopped_at_once_still_goes_on_from_there(
    ctx: RecordingContext, fit: Fit
) -> None:
    fit(ctx, steps=2)
    looks = count_looks_before_training(fit, {}, ctx.root / "looks")
    for on_check_pause in (stop_at(looks), None):
        again = RecordingContext(ctx.root, on_check_pause=on_check_pause)
        try:
            fit(again, steps=3)
        except Stopped:
            assert on_check_pause is not None
            assert states(ctx.root) == ["step-000000002"]
    assert [point.step for point in again.points if point.name == "train/loss"] == [2]


def test_a_state_of_before_the_first_step_is_restored_with_fresh_moments(
    ctx: RecordingContext, parameters: Parameters
) -> None:
    config = resolve(parameters(), 0)
    images = load_images(config.data, ctx.workspace)
    saved, other = (build_network(config, images, torch.device("cpu")) for _ in range(2))
    snapshot = capture(saved, build_optimizer(saved, config.optimizer), 0, {})
    optimizer = build_optimizer(other, config.optimizer)
    restore(snapshot, other, optimizer, "resume")
    assert different(dict(snapshot.tensors), dict(capture(other, optimizer, 0, {}).tensors)) == []


def test_a_stop_while_a_grid_is_drawn_saves_the_state_as_it_is(ctx: RecordingContext, fit: Fit) -> None:
    grids = {"everySteps": 2, "samples": 1, "sampler": {"steps": 50}}
    looks = count_looks_before_training(fit, {}, ctx.root / "looks")
    ctx.on_check_pause = stop_at(looks + 2 + 10)
    with pytest.raises(Stopped):
        fit(ctx, sampleGrid=grids)
    assert states(ctx.root) == ["step-000000002"]
    assert ctx.artifacts == []
    assert [point.step for point in ctx.points if point.name == "train/loss"] == [0, 1]


def test_the_newest_states_are_kept(ctx: RecordingContext, fit: Fit) -> None:
    fit(ctx, steps=7, checkpoint={"everySteps": 2, "keep": 3})
    assert states(ctx.root) == ["step-000000004", "step-000000006", "step-000000007"]


def test_a_finished_training_that_is_started_again_only_saves_its_model(ctx: RecordingContext, fit: Fit) -> None:
    before = fit(ctx)
    expected = final(ctx.root, 6)
    shutil.rmtree(ctx.root / str(before["model_path"]))
    again = RecordingContext(ctx.root)
    outputs = fit(again)
    assert outputs["model_path"] == before["model_path"]
    assert "final_loss" not in outputs
    assert again.points == []
    assert different(expected, final(ctx.root, 6)) == []


def test_a_torn_newest_state_is_passed_over_for_the_one_before_and_the_log_says_so(
    ctx: RecordingContext, fit: Fit, caplog: pytest.LogCaptureFixture
) -> None:
    fit(ctx, steps=4, checkpoint={"everySteps": 2})
    expected = final(ctx.root, 4)
    newest = ctx.root / "runs/recorded/block/checkpoints/state/step-000000004"
    file = newest / "training.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    again = RecordingContext(ctx.root)
    with caplog.at_level(logging.WARNING):
        fit(again, steps=4, checkpoint={"everySteps": 2})
    assert "step-000000004: training.safetensors is not what was written" in caplog.text
    assert "going on from the older checkpoint of step 2" in caplog.text
    assert [point.step for point in again.points if point.name == "train/loss"] == [2, 3]
    assert different(expected, final(ctx.root, 4)) == []


def test_where_every_state_is_torn_nothing_starts_afresh(ctx: RecordingContext, fit: Fit) -> None:
    fit(ctx, steps=4, checkpoint={"everySteps": 2})
    for state in (ctx.root / "runs/recorded/block/checkpoints/state").iterdir():
        (state / "training.json").write_text("{")
    with pytest.raises(
        PermanentError, match=r"every checkpoint of this training is damaged.*step-000000004.*000002"
    ) as e:
        fit(ctx, steps=4)
    assert e.value.code == "CorruptCheckpoint"


def test_another_runs_checkpoint_is_gone_on_from_with_other_settings(roots: tuple[Path, Path], fit: Fit) -> None:
    root = roots[0]
    fit(RecordingContext(root), steps=3)
    later = RecordingContext(root, directory="runs/later/train")
    outputs = fit(later, steps=5, resume="runs/recorded/block", optimizer={"learningRate": 5e-4, "warmupSteps": 0})
    assert [point.step for point in later.points if point.name == "train/loss"] == [3, 4]
    assert outputs["model_path"] == "runs/later/train/checkpoints/model"


@pytest.mark.parametrize(
    "place",
    ["runs/recorded/block/checkpoints/state/step-000000003", "runs/recorded/block/checkpoints", "runs/recorded/block"],
)
def test_resume_takes_a_state_or_what_holds_states(ctx: RecordingContext, fit: Fit, place: str) -> None:
    fit(ctx, steps=3)
    later = RecordingContext(ctx.root, directory="runs/later/train")
    fit(later, steps=4, resume=place)
    assert [point.step for point in later.points if point.name == "train/loss"] == [3]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"model": {"name": "unet2d", "config": UNET | {"block_out_channels": [4]}}},
            r"block_out_channels \[8\]",
        ),
        (
            {"model": {"name": "unet2d", "config": UNET, "conditional": True}},
            r"num_class_embeds None, the model has 11",
        ),
        ({"model": {"name": "unet-cifar32"}}, r"is of a UNet2DModel, the model is a UNetCifar32"),
    ],
    ids=["other widths", "conditional", "another class"],
)
def test_a_checkpoint_of_another_architecture_is_refused_by_its_difference(
    ctx: RecordingContext, fit: Fit, changes: dict[str, object], message: str
) -> None:
    fit(ctx, steps=1)
    later = RecordingContext(ctx.root, directory="runs/later/train")
    with pytest.raises(PermanentError, match=rf"resume: the checkpoint .*{message}") as caught:
        fit(later, resume="runs/recorded/block", **changes)
    assert caught.value.code == "IncompatibleCheckpoint"


def test_a_checkpoint_that_is_further_than_the_training_is_refused(ctx: RecordingContext, fit: Fit) -> None:
    fit(ctx, steps=3)
    later = RecordingContext(ctx.root, directory="runs/later/train")
    with pytest.raises(
        PermanentError, match="steps: the training has 2 steps, and the checkpoint in resume has done 3"
    ):
        fit(later, steps=2, resume="runs/recorded/block")


def test_a_training_state_is_a_model_too(ctx: RecordingContext, fit: Fit) -> None:
    from diffrun_worker.sampling.loader import load_model

    outputs = fit(ctx)
    state = load_model(ctx.root / "runs/recorded/block/checkpoints/state/step-000000006")
    model = load_model(ctx.root / str(outputs["model_path"]))
    assert all(torch.equal(value, model.unet.state_dict()[name]) for name, value in state.unet.state_dict().items())
