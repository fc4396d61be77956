"""A training that takes a tenth of a second: digits at 8×8, a network of a few thousand weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts.params import Train as TrainParams
from diffrun_worker.block import Outputs
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
TWO_LEVELS = UNET | {
    "block_out_channels": [4, 8],
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
}

Parameters = Callable[..., TrainParams]
Fit = Callable[..., Outputs]


@pytest.fixture(autouse=True)
def quick(checked_once: None) -> None:
    """The tiny networks are made again and again."""


@pytest.fixture
def parameters() -> Parameters:
    """The parameters of the tiny training, with whatever a test wants otherwise."""

    def make(**changes: Any) -> TrainParams:
        tiny = {
            "model": {"name": "unet2d", "config": UNET},
            "data": {"digits": {}},
            "batchSize": 8,
            "steps": 6,
            "optimizer": {"learningRate": 1e-3, "warmupSteps": 2},
            "ema": {"decay": 0.9},
            "sampleGrid": {"everySteps": 1000, "samples": 2, "sampler": {"steps": 2}},
            "checkpoint": {"everySteps": 1000},
        }
        wanted = {name: value for name, value in (tiny | changes).items() if value is not None}
        return TrainParams.model_validate(wanted)

    return make


@pytest.fixture
def fit(parameters: Parameters) -> Fit:
    """Trains in a context, and returns the block's outputs."""

    def run(ctx: RecordingContext, **changes: Any) -> Outputs:
        return Train().run(parameters(**changes), ctx)

    return run


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    return RecordingContext(tmp_path)
