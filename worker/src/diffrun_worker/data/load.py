"""A `data` parameter becomes images in memory: the one registry of sources, and what is the same for all of them."""

import hashlib
import json
from collections.abc import Mapping

import torch
from torch import Tensor

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data.fitting import fit
from diffrun_worker.data.images import Images
from diffrun_worker.data.sources.base import Check, Progress, Request, Source
from diffrun_worker.data.sources.cifar10 import read_cifar10
from diffrun_worker.data.sources.digits import read_digits
from diffrun_worker.data.sources.emnist import read_emnist
from diffrun_worker.data.sources.hub import read_hub
from diffrun_worker.data.sources.image_folder import read_image_folder
from diffrun_worker.errors import invalid_params
from diffrun_worker.workspace import Workspace

SOURCES: Mapping[str, Source] = {
    "digits": read_digits,
    "cifar10": read_cifar10,
    "emnist": read_emnist,
    "imageFolder": read_image_folder,
    "hub": read_hub,
}
"""By the field of `Dataset`."""

_CHANNELS = (None, 1, 3)


def load_images(
    spec: Dataset,
    workspace: Workspace,
    *,
    image_size: int | None = None,
    channels: int | None = None,
    token: str | None = None,
    progress: Progress = lambda *_: None,
    check: Check = lambda: None,
) -> Images:
    """Reads, decodes and resizes a data set.

    `image_size` and `channels` are the model's; `spec.image_size` overrides the first. Where both are unset the
    images keep their own size. `token` opens gated repositories of the Hub, by default the environment's HF_TOKEN.
    `progress` is told of bytes while a download lasts and of images while decoding does; `check` may raise to stop.

    Raises PermanentError: `DatasetNotFound`, `CorruptDataset`, `InvalidParams`; for the Hub also what `Hub` raises.
    """
    if channels not in _CHANNELS:
        raise invalid_params(
            f"model: it takes images of {channels} channels, data gives grey (1) or colour (3) ones; "
            "set in_channels and out_channels in model.config to 1 or 3"
        )
    request = Request(workspace, spec.image_size or image_size, channels, token, progress, check)
    raw = SOURCES[spec.source](spec, request)
    pixels = fit(raw.pixels, request.size, channels, check)
    labels = None if raw.labels is None else torch.from_numpy(raw.labels)
    return Images(
        pixels=pixels,
        labels=labels,
        classes=raw.classes,
        flip=raw.mirror if spec.flip is None else spec.flip,
        name=spec.source,
        digest=digest_of(pixels, labels, raw.classes),
    )


def digest_of(pixels: Tensor, labels: Tensor | None, classes: tuple[str, ...]) -> str:
    """SHA-256 in hex over everything that a data set consists of."""
    header = {"shape": list(pixels.shape), "labels": labels is not None, "classes": classes}
    digest = hashlib.sha256(json.dumps(header).encode() + b"\n")
    digest.update(pixels.numpy().data)
    if labels is not None:
        digest.update(labels.numpy().astype("<i8").data)
    return digest.hexdigest()
