"""Small networks of every kind, which are quick to make and to run."""

import pytest
import torch
from torch import nn

from diffrun_contracts.params.train import ModelName
from diffrun_worker.models import ARCHITECTURES


@pytest.fixture(params=list(ARCHITECTURES), ids=str)
def small(request: pytest.FixtureRequest) -> nn.Module:
    """An architecture with its own blocks but two narrow levels, for 32×32 grey images."""
    name: ModelName = request.param
    torch.manual_seed(0)
    unet: nn.Module = ARCHITECTURES[name](sample_size=32, in_channels=1, out_channels=1, block_out_channels=(32, 64))
    return unet
