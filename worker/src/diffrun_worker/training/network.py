"""The network that is trained, its average and its optimiser."""

import copy
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from diffrun_contracts.params.train import Precision
from diffrun_worker.data import Images
from diffrun_worker.errors import invalid_params
from diffrun_worker.models import build_model
from diffrun_worker.sampling.loader import best_memory_format
from diffrun_worker.training.config import OptimizerConfig, TrainConfig

logger = logging.getLogger(__name__)

BETAS = (0.9, 0.999)
EPSILON = 1e-8


@dataclass(frozen=True)
class Network:
    """A network in training, on its device."""

    unet: Any
    """What the optimiser changes; an nn.Module with diffusers' configuration."""
    average: Any
    """The same network with the averaged weights, in evaluation mode, without gradients."""
    memory_format: torch.memory_format
    """Of the convolutions' weights, and of what they should be fed."""
    classes: tuple[str, ...] | None
    """Of a conditional network; its null class follows them."""

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return torch.device(self.unet.device)

    @property
    def parameters(self) -> int:
        """How many weights it has."""
        return sum(parameter.numel() for parameter in self.unet.parameters())

    def trained(self) -> Iterator[tuple[str, nn.Parameter]]:
        """The weights that the optimiser changes, by name, in a fixed order."""
        named: Iterator[tuple[str, nn.Parameter]] = self.unet.named_parameters()
        return ((name, parameter) for name, parameter in named if parameter.requires_grad)


def build_network(config: TrainConfig, images: Images, device: torch.device) -> Network:
    """The network with the first weights of the configuration's seed, and its average, which starts equal.

    Raises PermanentError `InvalidParams` where model and data do not go together.
    """
    classes = images.classes if config.conditional else None
    if classes is not None:
        images.require_labels()
    channels, height, _ = images.shape
    torch.manual_seed(config.seed)
    unet: Any = build_model(
        config.model,
        config=config.model_config,
        num_classes=None if classes is None else len(classes),
        channels=channels,
        image_size=height,
    )
    memory_format = best_memory_format(unet.config, device, computing_dtype(config.precision, device))
    unet.to(device, memory_format=memory_format).train()
    average = copy.deepcopy(unet).eval().requires_grad_(False)
    return Network(unet, average, memory_format, classes)


def computing_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """What the forward and backward passes compute in.

    `auto` is bfloat16 on a GPU that has it and float32 on every CPU, so that CPU pods agree whatever their cores can.

    Raises PermanentError `InvalidParams` where bfloat16 is asked of a GPU without it.
    """
    if precision is Precision.FLOAT32:
        return torch.float32
    if device.type != "cuda":
        return torch.bfloat16 if precision is Precision.BFLOAT16 else torch.float32
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.bfloat16
    if precision is Precision.BFLOAT16:
        raise invalid_params(
            f"precision: {torch.cuda.get_device_name(device)} does not compute in bfloat16; set float32 or auto"
        )
    return torch.float32


def build_optimizer(network: Network, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019) as one kernel over all weights."""
    weights = [parameter for _, parameter in network.trained()]
    return torch.optim.AdamW(
        weights, lr=config.learning_rate, betas=BETAS, eps=EPSILON, weight_decay=config.weight_decay, fused=True
    )
