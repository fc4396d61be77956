"""What the tests of evaluation look at: real digits, a classifier of them, a tiny model."""

from pathlib import Path

import pytest
import torch
from diffusers import UNet2DModel

from diffrun_contracts.params.dataset import Dataset, Digits
from diffrun_worker.data.images import Images
from diffrun_worker.data.load import load_images
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.evaluation import classifier
from diffrun_worker.evaluation.classifier import Classifier, train_classifier
from diffrun_worker.models.store import save_model
from diffrun_worker.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Images:
    """Real digits, 8×8: classifiers learn them in a second or two."""
    return load_images(Dataset(digits=Digits()), Workspace(str(tmp_path_factory.mktemp("digits"))), image_size=8)


@pytest.fixture(scope="session")
def trained(digits: Images) -> Classifier:
    """Of half the usual steps, which is enough for 8×8."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(classifier, "_STEPS", 250)
        return train_classifier(digits)


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest UNet that diffusers makes, with random weights, for 8×8 images of one channel."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
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
    )
    save_model(folder, unet, GaussianDiffusion().scheduler_config())
    return folder
