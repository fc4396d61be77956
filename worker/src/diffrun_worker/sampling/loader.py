"""A checkpoint's folder becomes a Model, or an error that says what is wrong with it.

Two layouts load: everything at the root, as google/ddpm-cat-256 has it, and `unet/` beside `scheduler/`.
Only UNet2DModel and our own architectures are ever made, whatever the files ask for; no code and no pickle of a
checkpoint is run.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffrun_contracts.params import DType
from diffrun_worker.checkpoints import MAX_CONFIG_BYTES
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.models.registry import NETWORKS
from diffrun_worker.sampling import weights
from diffrun_worker.sampling.classes import read_classes
from diffrun_worker.sampling.noise_config import check_noise_config
from diffrun_worker.sampling.winograd import use_winograd

CONDITIONAL_CLASS = "UNet2DModel"
"""The one network that takes `class_labels`."""

MAX_SIZE = 4096
"""Pixels a side: sixteen times the largest such models, and still one sample is but 200 MB."""

_CHANNELS = (1, 3)
_MAX_LAYERS = 64  # that a level has: a network has 2 or 3, and each costs time and memory before a weight is read
# Fewer channels leave the CPU's vector units idle in channels_last. Measured: see benchmarks/sampling.py, `formats`.
_CHANNELS_LAST_FROM = 64


@dataclass(frozen=True)
class Model:
    """A UNet that is ready to denoise, and the noise schedule that it was trained with."""

    unet: Any
    """A UNet2DModel or one of our architectures, in evaluation mode, on `device`, without gradients."""
    scheduler_config: Mapping[str, Any]
    """The checkpoint's scheduler_config.json."""
    shape: tuple[int, int, int]
    """One sample: channels, height, width."""
    dtype: torch.dtype
    """The UNet's."""
    device: torch.device
    """Where it computes."""
    memory_format: torch.memory_format
    """Of its convolutions' weights, and of what they should be fed."""


@dataclass(frozen=True)
class ConditionalModel:
    """A class-conditional UNet, and what its classes are called."""

    model: Model
    """Its UNet takes `class_labels`, int64 [N] from 0 to `null_class`."""
    classes: tuple[str, ...]
    """The name of class i at place i."""
    null_class: int
    """The label of no class, for the unconditional prediction of guidance (Ho & Salimans 2022)."""


def load_model(folder: Path, device: str = "cpu", dtype: DType = DType.FLOAT32) -> Model:
    """Loads an unconditional checkpoint.

    Raises PermanentError: `ModelNotFound`, `NoSafetensors`, `CorruptCheckpoint`, `UnsupportedClass`,
    `IncompatibleCheckpoint`, `NonFiniteWeights`.
    """
    unet_folder, scheduler_file = find_parts(folder)
    config = read_config(unet_folder / "config.json")
    scheduler_config = read_scheduler_config(scheduler_file)
    _check_class(config)
    _check_unconditional(config)
    return _load(unet_folder, config, scheduler_config, device, dtype)


def load_conditional(folder: Path, device: str = "cpu", dtype: DType = DType.FLOAT32) -> ConditionalModel:
    """Loads a class-conditional checkpoint, which has a `classes.json` at its root.

    Raises PermanentError as `load_model`, and `NoClasses` where `classes.json` is missing.
    """
    unet_folder, scheduler_file = find_parts(folder)
    config = read_config(unet_folder / "config.json")
    scheduler_config = read_scheduler_config(scheduler_file)
    _check_class(config)
    _check_conditional(config)
    classes = read_classes(folder, config)
    model = _load(unet_folder, config, scheduler_config, device, dtype)
    return ConditionalModel(model, classes.names, classes.null)


def _load(
    folder: Path, config: Mapping[str, Any], scheduler_config: Mapping[str, Any], device: str, dtype: DType
) -> Model:
    network = NETWORKS[config["_class_name"]]
    shape = sample_shape(config)
    _check_weights(folder, network, config)
    unet = network.from_pretrained(
        str(folder), use_safetensors=True, local_files_only=True, torch_dtype=getattr(torch, dtype)
    )
    unet.eval().requires_grad_(False)
    check_finite(dict(unet.named_parameters()), dtype)
    target = torch.device(device)
    memory_format = best_memory_format(config, target, unet.dtype)
    unet.to(target, memory_format=memory_format)
    if target.type == "cpu" and memory_format is torch.channels_last:
        use_winograd(unet)
    return Model(unet, scheduler_config, shape, unet.dtype, target, memory_format)


def find_parts(folder: Path) -> tuple[Path, Path]:
    """The folder of the UNet and the file of the scheduler's configuration, in either layout.

    Raises PermanentError `ModelNotFound`.
    """
    for unet, scheduler in ((folder, folder), (folder / "unet", folder / "scheduler")):
        if (unet / "config.json").is_file():
            file = scheduler / "scheduler_config.json"
            if file.is_file():
                return unet, file
            raise PermanentError(
                ErrorCode.MODEL_NOT_FOUND,
                f"modelPath: {folder.name} has a config.json but no {file.relative_to(folder)}; both are needed",
            )
    raise PermanentError(
        ErrorCode.MODEL_NOT_FOUND,
        f"modelPath: {folder.name} holds no diffusers checkpoint: neither config.json nor unet/config.json is there; "
        "give the folder that a downloadCheckpoint block has made, or one with a model in it",
    )


def read_config(file: Path) -> dict[str, Any]:
    """A JSON object. Raises PermanentError `CorruptCheckpoint`."""
    if file.stat().st_size > MAX_CONFIG_BYTES:
        raise PermanentError(
            ErrorCode.CORRUPT_CHECKPOINT,
            f"{file.name} has {file.stat().st_size} bytes; a configuration has at most {MAX_CONFIG_BYTES}",
        )
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{file.name} is not JSON: {error}") from error
    if not isinstance(content, dict):
        raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{file.name} is not a JSON object")
    return content


def read_scheduler_config(file: Path) -> dict[str, Any]:
    """A noise schedule's configuration. Raises PermanentError: `CorruptCheckpoint`, `IncompatibleCheckpoint`."""
    config = read_config(file)
    check_noise_config(config)
    return config


def _check_class(config: Mapping[str, Any]) -> None:
    name = config.get("_class_name")
    if not isinstance(name, str) or name not in NETWORKS:
        raise PermanentError(
            ErrorCode.UNSUPPORTED_CLASS,
            f"config.json: _class_name is {name!r}; the networks that are run are {', '.join(NETWORKS)}",
        )


def _check_unconditional(config: Mapping[str, Any]) -> None:
    if config.get("num_class_embeds") or config.get("class_embed_type"):
        raise PermanentError(
            ErrorCode.UNSUPPORTED_CLASS,
            "config.json: the model is class-conditional (num_class_embeds or class_embed_type is set); "
            "generation blocks run unconditional models",
        )


def _check_conditional(config: Mapping[str, Any]) -> None:
    if config["_class_name"] != CONDITIONAL_CLASS:
        raise PermanentError(
            ErrorCode.UNSUPPORTED_CLASS,
            f"config.json: _class_name is {config['_class_name']!r}, a network that takes no classes; "
            f"class-conditional models are {CONDITIONAL_CLASS}",
        )


def sample_shape(config: Mapping[str, Any]) -> tuple[int, int, int]:
    """Channels, height and width of one sample. Raises PermanentError `IncompatibleCheckpoint`."""
    channels, out, size = config.get("in_channels", 3), config.get("out_channels", 3), config.get("sample_size")
    if channels != out:
        raise _incompatible(f"out_channels is {out} for in_channels {channels}; learned variances are not supported")
    if channels not in _CHANNELS:
        raise _incompatible(f"in_channels is {channels}; an image has 1 or 3 channels")
    match size if isinstance(size, list) else [size, size]:
        case [int(height), int(width)] if 0 < height <= MAX_SIZE and 0 < width <= MAX_SIZE:
            return channels, height, width
        case _:
            raise _incompatible(
                f"sample_size is {size!r}; it must be a whole number from 1 to {MAX_SIZE}, or such a height and width"
            )


def _check_weights(folder: Path, network: Any, config: Mapping[str, Any]) -> None:
    layers = config.get("layers_per_block", 1)
    if type(layers) is not int or not 1 <= layers <= _MAX_LAYERS:
        raise _incompatible(f"layers_per_block is {layers!r}; it must be a whole number from 1 to {_MAX_LAYERS}")
    found = {name: info for file in weights.weight_files(folder) for name, info in weights.read_header(file).items()}
    try:
        # On the meta device a network has shapes and no memory, however large the configuration says it is.
        with torch.device("meta"):
            expected = network.from_config(dict(config)).state_dict()
    except (ValueError, TypeError, KeyError, IndexError, RuntimeError, ZeroDivisionError) as error:
        raise _incompatible(f"no {config['_class_name']} can be made of it: {error}") from error
    weights.check_fits(found, {name: tuple(tensor.shape) for name, tensor in expected.items()})


def check_finite(parameters: Mapping[str, Tensor], dtype: DType) -> None:
    """Raises PermanentError `NonFiniteWeights` with the names of tensors that hold NaN or infinity."""
    bad = [name for name, parameter in parameters.items() if not bool(torch.isfinite(parameter).all())]
    if bad:
        raise PermanentError(
            ErrorCode.NON_FINITE_WEIGHTS,
            f"{len(bad)} of {len(parameters)} tensors hold NaN or infinity in {dtype}: {', '.join(bad[:5])}; "
            "the model was saved broken, or its weights are too large for this dtype",
        )


def best_memory_format(config: Mapping[str, Any], device: torch.device, dtype: torch.dtype) -> torch.memory_format:
    """The faster layout of the convolutions' weights.

    A rule, not a measurement at run time: every shard and every retry must make the same choice, since the
    last bits of an image depend on it.
    """
    channels = config.get("block_out_channels", (0,))[0]
    if device.type == "cpu":
        wide = dtype != torch.float64 and channels >= _CHANNELS_LAST_FROM
    else:
        wide = dtype in (torch.bfloat16, torch.float16)  # what tensor cores take without a transposition
    return torch.channels_last if wide else torch.contiguous_format


def _incompatible(what: str) -> PermanentError:
    return PermanentError(ErrorCode.INCOMPATIBLE_CHECKPOINT, f"config.json: {what}")
