"""What a step computes in: its precision, and what is said where a GPU has no bfloat16 or no room."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from diffrun_contracts.params.train import Precision
from diffrun_worker.errors import PermanentError
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training import step as step_module
from diffrun_worker.training.network import computing_dtype

from .conftest import Fit

GPU = torch.device("cuda")


@pytest.fixture
def predicted(monkeypatch: pytest.MonkeyPatch) -> list[torch.dtype]:
    """The number formats of what the network predicts while it is trained."""
    found: list[torch.dtype] = []
    real = step_module.ddpm_loss

    def loss(network: Any, *arguments: Any, **options: Any) -> torch.Tensor:
        def watched(*inputs: Any, **more: Any) -> Any:
            output = network(*inputs, **more)
            found.append(output[0].dtype)
            return output

        return real(watched, *arguments, **options)

    monkeypatch.setattr(step_module, "ddpm_loss", loss)
    return found


def losses(ctx: RecordingContext) -> list[float]:
    return [point.value for point in ctx.points if point.name == "train/loss"]


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("bfloat16", torch.bfloat16), ("float32", torch.float32), ("auto", torch.float32)],
)
def test_the_network_computes_in_the_precision_that_is_asked_for_and_its_weights_stay_float32(
    ctx: RecordingContext, fit: Fit, predicted: list[torch.dtype], precision: str, dtype: torch.dtype
) -> None:
    fit(ctx, steps=2, precision=precision)
    assert predicted == [dtype] * 2
    tensors = ctx.root / "runs/recorded/block/checkpoints/state/step-000000002/training.safetensors"
    weights = {name: value for name, value in load_file(tensors).items() if name.startswith("weights.")}
    assert {value.dtype for value in weights.values()} == {torch.float32}


def test_bfloat16_changes_a_loss_by_its_rounding_only(tmp_path: Path, fit: Fit) -> None:
    told = {}
    for precision in ("bfloat16", "float32"):
        (tmp_path / precision).mkdir()
        ctx = RecordingContext(tmp_path / precision)
        fit(ctx, steps=3, precision=precision)
        told[precision] = losses(ctx)
    assert told["bfloat16"] == pytest.approx(told["float32"], rel=0.05)
    assert told["bfloat16"] != told["float32"]


@pytest.mark.parametrize(
    ("precision", "has_it", "dtype"),
    [
        (Precision.AUTO, True, torch.bfloat16),
        (Precision.AUTO, False, torch.float32),
        (Precision.BFLOAT16, True, torch.bfloat16),
        (Precision.FLOAT32, True, torch.float32),
    ],
)
def test_a_gpu_computes_in_bfloat16_where_it_can_and_may(
    monkeypatch: pytest.MonkeyPatch, precision: Precision, has_it: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: has_it)
    assert computing_dtype(precision, GPU) is dtype


def test_a_gpu_without_bfloat16_that_is_asked_for_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "Tesla V100")
    with pytest.raises(PermanentError, match="precision: Tesla V100 does not compute in bfloat16; set float32"):
        computing_dtype(Precision.BFLOAT16, GPU)


def test_a_step_that_does_not_fit_into_the_gpu_says_what_would_help(
    ctx: RecordingContext, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: Any, **_options: Any) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(step_module, "ddpm_loss", full)
    with pytest.raises(PermanentError, match=r"batchSize: a step of 8 images does not fit.*lower batchSize") as caught:
        fit(ctx)
    assert (caught.value.code, caught.value.exit_code) == ("CudaOutOfMemory", 64)
