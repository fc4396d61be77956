"""A network that is a formula, so that every step can be computed by hand, and a tiny real one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DModel
from torch import Tensor

from diffrun_worker.inference import CheckpointInfo, FrameData, Generation, InferenceConfig, build_scheduler
from diffrun_worker.models.store import save_model

LINEAR = {
    "_class_name": "DDPMScheduler",
    "beta_start": 0.0001,
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "num_train_timesteps": 1000,
    "clip_sample": True,
}

CLASSES = ("A", "B", "C")
NULL = 3

TINY = {
    "sample_size": 8,
    "in_channels": 1,
    "out_channels": 1,
    "block_out_channels": [8],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D"],
    "up_block_types": ["UpBlock2D"],
    "num_class_embeds": NULL + 1,
}


def stub_noise(x: Tensor, t: float, c: int | Tensor) -> Tensor:
    """What the stub predicts: no two classes alike, and no class's direction a multiple of another's."""
    return 0.1 * (c + 1) * x + 0.03 * c**2 + 0.0004 * t * (c - 1.5)


class StubUNet:
    """Called like a UNet2DModel; remembers the classes of each call, one entry a row."""

    device = torch.device("cpu")

    def __init__(self, dtype: torch.dtype = torch.float64) -> None:
        self.dtype = dtype
        self.calls: list[list[int]] = []

    def __call__(self, x: Tensor, t: Tensor, class_labels: Tensor, return_dict: bool = True) -> tuple[Tensor]:
        self.calls.append(class_labels.tolist())
        return (stub_noise(x, float(t), class_labels.view(-1, 1, 1, 1).to(x.dtype)),)


Run = Callable[..., tuple[list[FrameData], StubUNet]]


@pytest.fixture(scope="session")
def noise() -> Callable[[Tensor, float, int], Tensor]:
    """ε(x, t, c) of the stub: classes 0 to 2, and 3 for none."""
    return stub_noise


@pytest.fixture
def stub() -> StubUNet:
    return StubUNet()


@pytest.fixture
def stub_ckpt() -> CheckpointInfo:
    return CheckpointInfo(Path("stub"), CLASSES, NULL, (1, 4, 4), {**LINEAR, "clip_sample": False})


@pytest.fixture
def run(stub_ckpt: CheckpointInfo) -> Run:
    """Runs a configuration over the stub, and returns every step and the stub."""

    def run(
        indexes: Any = (0, 1),
        user_code: Any = None,
        sampler: str = "DDIM",
        steps: int = 10,
        dtype: torch.dtype = torch.float64,
        **config: Any,
    ) -> tuple[list[FrameData], StubUNet]:
        stub, frames = StubUNet(dtype), []
        values = InferenceConfig.from_dict({"seed": 0, "sampler": {"name": sampler, "steps": steps}, **config})
        scheduler = build_scheduler(stub_ckpt, values.sampler.name)
        Generation(stub, scheduler, values, stub_ckpt, user_code=user_code).draw(indexes, frames.append)
        return frames, stub

    return run


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real class-conditional UNet2DModel with random weights, saved as training saves one."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
    save_model(folder, UNet2DModel(**TINY), LINEAR, CLASSES)
    return folder


@pytest.fixture(scope="session")
def tiny_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `tiny_checkpoint`, with the ten digits as its classes."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("checkpoints") / "digits"
    save_model(folder, UNet2DModel(**{**TINY, "num_class_embeds": 11}), LINEAR, tuple("0123456789"))
    return folder
