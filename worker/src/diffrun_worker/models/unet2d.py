"""diffusers' UNet2DModel from a user's configuration, or the word of that configuration which is wrong.

diffusers ignores a key that it does not know and fails late, inside a convolution, on sizes that do not divide;
here both are refused before training starts.
"""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from diffusers import UNet2DModel
from torch import Tensor, nn

from diffrun_worker.errors import invalid_params

_UNET: Any = UNet2DModel  # its methods carry no types
_KEYS = frozenset(inspect.signature(_UNET.__init__).parameters) - {"self"}
_DEFAULT_CHANNELS: tuple[int, ...] = inspect.signature(_UNET.__init__).parameters["block_out_channels"].default
_DEFAULT_GROUPS: int = inspect.signature(_UNET.__init__).parameters["norm_num_groups"].default
# What torch and diffusers raise where values do not go together.
_REFUSALS = (ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError, ZeroDivisionError)


def build_unet2d(
    config: Mapping[str, Any] | None, *, num_classes: int | None, channels: int, image_size: int | None
) -> nn.Module:
    """A UNet2DModel with random weights.

    `config` has the keys of UNet2DModel's constructor; what it does not say follows from the data: `in_channels` and
    `out_channels` are `channels`, `sample_size` is `image_size`. With `num_classes` it is conditional, and has one
    class more than that: the null class, with index `num_classes`.

    Raises PermanentError `InvalidParams`, naming `model.config.<key>`.
    """
    if config is None:
        raise invalid_params("model.config: unet2d has no size of its own; give the configuration of a UNet2DModel")
    completed = _complete(config, num_classes, channels, image_size)
    _check_division(completed)
    _check_runs(completed)
    made: nn.Module = _UNET(**completed)
    return made


def downsampling(config: Mapping[str, Any]) -> int:
    """By what a UNet2DModel divides an image's sides: each level but the last halves them."""
    return int(2 ** (len(config.get("block_out_channels", _DEFAULT_CHANNELS)) - 1))


def _complete(
    config: Mapping[str, Any], num_classes: int | None, channels: int, image_size: int | None
) -> dict[str, Any]:
    """The constructor's arguments: the configuration, checked, and what the data and the classes add to it."""
    if config.get("_class_name", "UNet2DModel") != "UNet2DModel":
        raise invalid_params(f"model.config._class_name: is {config['_class_name']!r}; unet2d makes a UNet2DModel")
    asked = {key: value for key, value in config.items() if not key.startswith("_")}
    for key in sorted(set(asked) - _KEYS):
        raise invalid_params(f"model.config.{key}: UNet2DModel has no such key; it has {', '.join(sorted(_KEYS))}")
    _check_classes(asked, num_classes)
    wanted: dict[str, Any] = {"in_channels": channels, "out_channels": channels}
    if image_size is not None:
        wanted["sample_size"] = image_size
    if num_classes is not None:
        wanted["num_class_embeds"] = num_classes + 1
    for key, value in wanted.items():
        given = asked.setdefault(key, value)
        if given not in (value, [value, value], (value, value)):
            raise invalid_params(f"model.config.{key}: is {given!r}, but the images need {value}; leave the key out")
    if asked.get("sample_size") is None:
        raise invalid_params("model.config.sample_size: is needed, the side of the images in pixels")
    return asked


def _check_classes(config: Mapping[str, Any], num_classes: int | None) -> None:
    if config.get("class_embed_type") is not None:
        raise invalid_params(
            f"model.config.class_embed_type: is {config['class_embed_type']!r}; classes are learned embeddings, "
            "so leave the key out and set model.conditional"
        )
    given = config.get("num_class_embeds")
    if given is None:
        return
    if num_classes is None:
        raise invalid_params(
            "model.config.num_class_embeds: the model is not conditional; set model.conditional to true"
        )
    if given != num_classes + 1:
        raise invalid_params(
            f"model.config.num_class_embeds: is {given}, but the data has {num_classes} classes and one null class "
            f"is added; leave the key out, or set {num_classes + 1}"
        )


def _check_division(config: Mapping[str, Any]) -> None:
    widths, groups = config.get("block_out_channels", _DEFAULT_CHANNELS), config.get("norm_num_groups", _DEFAULT_GROUPS)
    whole = isinstance(widths, (list, tuple)) and widths and all(type(one) is int and one > 0 for one in widths)
    if not whole:
        raise invalid_params(
            f"model.config.block_out_channels: must be a list of whole numbers above 0; got {widths!r}"
        )
    if not (type(groups) is int and groups > 0 and all(width % groups == 0 for width in widths)):
        raise invalid_params(
            f"model.config.norm_num_groups: is {groups!r}, by which block_out_channels {list(widths)} do not divide; "
            "choose one that divides them all"
        )
    size, factor = config["sample_size"], downsampling(config)
    sides = list(size) if isinstance(size, (list, tuple)) else [size, size]
    if len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise invalid_params(f"model.config.sample_size: must be a whole number, or a height and a width; got {size!r}")
    if any(side % factor for side in sides):
        raise invalid_params(
            f"model.config.sample_size: {size} is not divisible by {factor}, by which {len(widths)} levels divide an "
            f"image; resize the images (data.imageSize) to a multiple of {factor}, or use fewer block_out_channels"
        )


def _check_runs(config: Mapping[str, Any]) -> None:
    """Makes the network and runs it once on the meta device, where a tensor has a shape and no memory."""
    size = config["sample_size"]
    height, width = (size, size) if isinstance(size, int) else size
    try:
        with torch.device("meta"):
            unet = _UNET(**config)
            condition = {"class_labels": _meta_index()} if unet.class_embedding is not None else {}
            images = torch.empty(1, config["in_channels"], height, width)
            out = unet(images, _meta_index(), return_dict=False, **condition)[0]
    except _REFUSALS as error:
        raise invalid_params(f"model.config: no UNet2DModel can be made of it: {error}") from error
    if out.shape != images.shape:
        raise invalid_params(f"model.config: images of shape {list(images.shape)} come out as {list(out.shape)}")


def _meta_index() -> Tensor:
    return torch.empty(1, dtype=torch.int64, device="meta")
