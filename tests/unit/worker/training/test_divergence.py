"""A loss that is no number stops the training, and costs nothing of what was learnt before."""

import math
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from diffrun_worker.errors import PermanentError
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training import step as step_module
from diffrun_worker.training.readback import Readback
from diffrun_worker.training.saver import Saver

from .conftest import Fit


@pytest.fixture
def broken_at(monkeypatch: pytest.MonkeyPatch) -> int:
    """The fourth loss is NaN, and so is what follows from it."""
    real, calls = step_module.ddpm_loss, iter(range(1000))

    def loss(*arguments: object, **options: object) -> torch.Tensor:
        value = real(*arguments, **options)  # type: ignore[arg-type]
        return value * math.nan if next(calls) == 3 else value

    monkeypatch.setattr(step_module, "ddpm_loss", loss)
    return 3


def state(root: Path, step: int) -> dict[str, torch.Tensor]:
    return load_file(root / f"runs/recorded/block/checkpoints/state/step-{step:09d}/training.safetensors")


@pytest.mark.parametrize("lag", [0, 2], ids=["heard of at once", "heard of two steps late"])
def test_the_error_names_the_step_and_the_state_of_before_it_is_saved(
    ctx: RecordingContext, fit: Fit, tmp_path: Path, broken_at: int, lag: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffrun_worker.training.session.Readback", lambda device: Readback(device, lag))
    with pytest.raises(PermanentError, match=r"train/loss: is nan at step 3; the state of before it is saved") as error:
        fit(ctx, steps=20)
    assert error.value.code == "NonFiniteLoss"
    monkeypatch.undo()
    (tmp_path / "sound").mkdir()
    sound = RecordingContext(tmp_path / "sound")
    fit(sound, steps=20, checkpoint={"everySteps": 3, "keep": 100})
    found, expected = state(ctx.root, broken_at), state(sound.root, 3)
    assert [
        name
        for name in expected
        if name.startswith(("weights", "adamw")) and not torch.equal(found[name], expected[name])
    ] == []


def test_nothing_that_is_no_number_is_ever_saved(ctx: RecordingContext, fit: Fit, broken_at: int) -> None:
    with pytest.raises(PermanentError):
        fit(ctx, steps=20, checkpoint={"everySteps": 1, "keep": 100})
    for folder in (ctx.root / "runs/recorded/block/checkpoints/state").iterdir():
        for file in folder.glob("*.safetensors"):
            assert all(
                bool(torch.isfinite(value).all()) for value in load_file(file).values() if value.is_floating_point()
            )
    assert not (ctx.root / "runs/recorded/block/checkpoints/model").exists()


def test_a_gradient_that_overflows_stops_the_training_too(
    ctx: RecordingContext, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_, **__: torch.tensor(math.inf))
    with pytest.raises(PermanentError, match=r"train/grad_norm: is inf at step 0"):
        fit(ctx)


def test_a_state_is_saved_only_once_every_loss_before_it_is_known(
    ctx: RecordingContext, fit: Fit, broken_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A state is due right after the broken step, of which the host would hear two steps later."""
    saved = []
    monkeypatch.setattr(Saver, "put", lambda _, snapshot: saved.append(snapshot.step))
    monkeypatch.setattr("diffrun_worker.training.session.Readback", lambda device: Readback(device, 2))
    with pytest.raises(PermanentError, match="at step 3"):
        fit(ctx, steps=20, checkpoint={"everySteps": 2})
    assert saved == [2, broken_at]


def test_the_loss_that_stopped_the_training_is_told(ctx: RecordingContext, fit: Fit, broken_at: int) -> None:
    with pytest.raises(PermanentError):
        fit(ctx, steps=20)
    told = [point.value for point in ctx.points if point.name == "train/loss"]
    assert len(told) == 4
    assert math.isnan(told[broken_at])
