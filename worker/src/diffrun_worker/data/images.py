"""A data set in memory: uint8 images, and how a batch of them becomes what a network is fed.

Images stay uint8 until they are used: a quarter of float32's memory, so that whole data sets fit on the device
and a step neither decodes nor waits for a copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from diffrun_worker.errors import invalid_params

_SHARE_OF_FREE = (
    0.5  # what a data set may take of a GPU's free memory: weights, optimiser and activations need the rest
)


@dataclass(frozen=True)
class Images:
    """Images of one size, with the class of each where the source tells it."""

    pixels: Tensor
    """[N, C, H, W] uint8, contiguous."""
    labels: Tensor | None
    """[N] int64, indexes into `classes`; None where the source knows no classes."""
    classes: tuple[str, ...]
    """Names of the classes, by label; empty without labels."""
    flip: bool
    """Whether training may mirror an image from left to right."""
    name: str
    """The source, for messages and for reports: `digits`, `cifar10`, …"""
    digest: str
    """SHA-256 in hex over pixels, labels and class names: equal digests are equal data, however they were prepared."""

    def __len__(self) -> int:
        """N."""
        return self.pixels.shape[0]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of one image: channels, height, width."""
        _, channels, height, width = self.pixels.shape
        return channels, height, width

    @property
    def device(self) -> torch.device:
        """Where the pixels are."""
        return self.pixels.device

    def to(self, device: torch.device | str) -> "Images":
        """The same images on another device; ask `fits` first."""
        labels = None if self.labels is None else self.labels.to(device)
        return replace(self, pixels=self.pixels.to(device), labels=labels)

    def require_labels(self) -> Tensor:
        """The labels, [N] int64. Raises PermanentError `InvalidParams` where there are none."""
        if self.labels is None:
            raise invalid_params(
                f"data: {self.name} has no classes, which a class-conditional model needs; "
                "set data.hub.labelColumn, put each class in a subfolder, or set model.conditional: false"
            )
        return self.labels


def require_classes(images: Images, classes: Sequence[str], model: str) -> None:
    """Raises PermanentError `InvalidParams` unless the data's classes are `classes`, which `model` was made for."""
    images.require_labels()
    if tuple(classes) == images.classes:
        return
    if len(classes) != len(images.classes):
        difference = f"has {len(images.classes)} classes, {model} has {len(classes)}"
    else:
        at = next(i for i, (a, b) in enumerate(zip(classes, images.classes, strict=True)) if a != b)
        difference = f"calls class {at} {images.classes[at]!r}, {model} calls it {classes[at]!r}"
    raise invalid_params(
        f"data: {images.name} {difference}; use the data set that the model was trained on, or train another model"
    )


def fits(images: Images, device: torch.device | str) -> bool:
    """Whether the images may be held on the device: on a GPU, in at most half of its free memory."""
    device = torch.device(device)
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return images.pixels.numel() <= _SHARE_OF_FREE * free


def to_unit(pixels: Tensor) -> Tensor:
    """uint8 of any shape to float32 in [-1, 1]: 0 is -1 and 255 is 1, exactly."""
    return pixels.to(torch.float32).div_(127.5).sub_(1)


def prepare(batch: Tensor, flips: Tensor | None = None) -> Tensor:
    """[N, C, H, W] uint8 to float32 in [-1, 1], on the batch's device; images with a true `flips` [N] are mirrored."""
    if flips is not None:
        batch = torch.where(flips[:, None, None, None], batch.flip(-1), batch)
    return to_unit(batch)
