"""A training whose network torch has compiled: tracing one takes seconds, also where the network is tiny."""

from pathlib import Path
from typing import Any

import pytest
import torch

from diffrun_contracts.params import Train as TrainParams
from diffrun_worker.blocks.train import Train
from diffrun_worker.testing import RecordingContext

UNET = {
    "block_out_channels": [8],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"],
    "add_attention": False,
}


def losses(root: Path, compile_it: bool) -> list[float]:
    root.mkdir()
    ctx = RecordingContext(root)
    params = {
        "model": {"name": "unet2d", "config": UNET},
        "data": {"digits": {}},
        "batchSize": 8,
        "steps": 3,
        "compile": compile_it,
        "sampleGrid": {"everySteps": 1000, "samples": 2, "sampler": {"steps": 2}},
        "checkpoint": {"everySteps": 1000},
    }
    Train().run(TrainParams.model_validate(params), ctx)
    return [point.value for point in ctx.points if point.name == "train/loss"]


def test_a_compiled_network_is_what_the_steps_call_and_learns_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Any] = []
    real = torch.compile

    def traced(network: Any) -> Any:
        compiled.append(network)
        return real(network, backend="eager")  # traced as ever; a kernel's code would take minutes to make

    monkeypatch.setattr(torch, "compile", traced)
    plain = losses(tmp_path / "plain", compile_it=False)
    assert losses(tmp_path / "compiled", compile_it=True) == pytest.approx(plain, rel=1e-5)
    assert len(compiled) == 1
