"""Checkpoints for the tests of sampling: the trained digits, and tiny random ones of any shape."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DModel
from safetensors.torch import save_file

ROOT = Path(__file__).parents[4]
TRAINED = ROOT / "examples" / "digits" / "checkpoint"

LINEAR = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
    "clip_sample": True,
}

TINY = {
    "_class_name": "UNet2DModel",
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [8],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ["AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D"],
}

MakeCheckpoint = Callable[..., Path]


@pytest.fixture(scope="session")
def trained() -> Path:
    return TRAINED


@pytest.fixture
def make_checkpoint(tmp_path: Path) -> MakeCheckpoint:
    """Writes a tiny random checkpoint below `tmp_path` and returns its folder."""

    def make(
        name: str = "model",
        *,
        folders: bool = False,
        config: dict[str, Any] | None = None,
        scheduler: dict[str, Any] | None = None,
        edit: Callable[[dict[str, torch.Tensor]], None] | None = None,
    ) -> Path:
        folder = tmp_path / name
        unet, schedule = (folder / "unet", folder / "scheduler") if folders else (folder, folder)
        unet.mkdir(parents=True)
        schedule.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        tensors = UNet2DModel.from_config(TINY).state_dict()
        if edit is not None:
            edit(tensors)
        save_file(tensors, unet / "diffusion_pytorch_model.safetensors", metadata={"format": "pt"})
        (unet / "config.json").write_text(json.dumps({**TINY, **(config or {})}))
        (schedule / "scheduler_config.json").write_text(json.dumps({**LINEAR, **(scheduler or {})}))
        return folder

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """diffusers' sigma schedulers hand tensors to NumPy in ways that NumPy 2 deprecates; not ours to mend."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            for method in ("__array__ implementation", "__array_wrap__ must accept"):
                item.add_marker(pytest.mark.filterwarnings(f"ignore:{method}:DeprecationWarning"))
