"""Which architectures there are, and how one is made from the parameters of a training."""

from collections.abc import Mapping
from typing import Any

from diffusers import UNet2DModel
from torch import nn

from diffrun_contracts.params.train import ModelName
from diffrun_worker.errors import invalid_params
from diffrun_worker.models.ddpm64 import DDPMUNet64
from diffrun_worker.models.enhanced_unet64 import EnhancedUNet64
from diffrun_worker.models.unet2d import build_unet2d
from diffrun_worker.models.unet_cifar32 import UNetCifar32

ARCHITECTURES: Mapping[ModelName, Any] = {
    ModelName.DDPM_64: DDPMUNet64,
    ModelName.UNET_CIFAR32: UNetCifar32,
    ModelName.ENHANCED_UNET_64: EnhancedUNet64,
}
"""The architectures whose size is fixed, by name; each is a ModelMixin of diffusers."""
NETWORKS: Mapping[str, Any] = {
    "UNet2DModel": UNet2DModel,
    **{network.__name__: network for network in ARCHITECTURES.values()},
}
"""Every class that a checkpoint may name in its `_class_name`; no other is ever made."""


def build_model(
    name: ModelName,
    *,
    config: Mapping[str, Any] | None = None,
    num_classes: int | None = None,
    channels: int = 3,
    image_size: int | None = None,
) -> nn.Module:
    """A network with random weights, drawn from torch's global generator.

    `config` is for `unet2d` alone, and so is `num_classes`, which makes it conditional: it then has
    `num_classes + 1` embeddings, the last for the null class. `channels` and `image_size` are the data's.

    Raises PermanentError `InvalidParams`, naming `model.<field>`.
    """
    if name is ModelName.UNET2D:
        return build_unet2d(config, num_classes=num_classes, channels=channels, image_size=image_size)
    architecture = ARCHITECTURES.get(name)
    if architecture is None:
        raise invalid_params(f"model.name: {name!r} is unknown; use one of {', '.join(ModelName)}")
    if config is not None:
        raise invalid_params(
            f"model.config: {name} has a fixed configuration; leave it out, or name {ModelName.UNET2D}"
        )
    if num_classes is not None:
        raise invalid_params(f"model.conditional: {name} takes no classes; use {ModelName.UNET2D}, or leave it out")
    unet = architecture(in_channels=channels, out_channels=channels)
    size = unet.config.sample_size
    if image_size not in (None, size):
        raise invalid_params(f"data.imageSize: {name} is made for images of {size}×{size}; got {image_size}")
    made: nn.Module = unet
    return made
