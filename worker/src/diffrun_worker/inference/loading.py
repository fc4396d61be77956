"""A class-conditional checkpoint, found and loaded: its metadata, its network, its noise schedule.

Only safetensors in diffusers' layout are read here. A `.pt` holds a pickle, which can run code; the explicit command
`diffrun-worker convert` turns one into a folder that this reads.
"""

import re
from pathlib import Path
from typing import Any

import diffusers

from diffrun_contracts.params import DType, SamplerName
from diffrun_contracts.params.infer import InferenceConfig
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.sampling.classes import read_classes
from diffrun_worker.sampling.loader import (
    Model,
    find_parts,
    load_conditional,
    read_config,
    read_scheduler_config,
    sample_shape,
)
from diffrun_worker.sampling.weights import weight_files

_PICKLES = frozenset({".pt", ".pth", ".ckpt", ".bin", ".pkl"})


def load_checkpoint(path: str | Path) -> CheckpointInfo:
    """What a checkpoint says about itself; no weight is read.

    `path` is a checkpoint's folder, or a folder of checkpoints, of which the newest is taken.
    Raises PermanentError: `ModelNotFound`, `NoSafetensors`, `CorruptCheckpoint`, `IncompatibleCheckpoint`, `NoClasses`.
    """
    folder = newest_checkpoint(Path(path))
    unet, scheduler = find_parts(folder)
    config = read_config(unet / "config.json")
    classes = read_classes(folder, config)
    return CheckpointInfo(
        path=folder,
        classes=classes.names,
        null_class=classes.null,
        shape=sample_shape(config),
        scheduler_config=read_scheduler_config(scheduler),
    )


def load_model_of(ckpt: CheckpointInfo, device: str = "cpu", dtype: DType | str = DType.FLOAT32) -> Model:
    """The checkpoint's network with all that a loop needs to know about it, in evaluation mode, without gradients.

    Raises PermanentError: `NoSafetensors`, `CorruptCheckpoint`, `UnsupportedClass`, `IncompatibleCheckpoint`,
    `NonFiniteWeights`.
    """
    return load_conditional(ckpt.path, device, DType(dtype)).model


def load_unet(ckpt: CheckpointInfo, device: str = "cpu", dtype: DType | str = DType.FLOAT32) -> Any:
    """The checkpoint's UNet2DModel alone. Raises what `load_model_of` raises."""
    return load_model_of(ckpt, device, dtype).unet


def build_scheduler(ckpt: CheckpointInfo, name: SamplerName | str = SamplerName.DDIM) -> Any:
    """diffusers' scheduler over the checkpoint's noise schedule: DDIM, or DDPM.

    Raises PermanentError: `InvalidParams` for another name, `IncompatibleCheckpoint`.
    """
    known = (SamplerName.DDIM, SamplerName.DDPM)
    if name not in known:
        raise invalid_params(f"sampler.name: infer takes {' or '.join(known)}; got {name}")
    try:
        return getattr(diffusers, f"{name}Scheduler").from_config(dict(ckpt.scheduler_config))
    except (ValueError, TypeError, NotImplementedError) as error:
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT, f"scheduler_config.json does not describe a noise schedule: {error}"
        ) from error


def scheduler_for(ckpt: CheckpointInfo, config: InferenceConfig) -> Any:
    """The scheduler that a configuration names. Raises what `build_scheduler` raises."""
    return build_scheduler(ckpt, config.sampler.name)


def newest_checkpoint(path: Path) -> Path:
    """`path` itself where it is a checkpoint, else the newest of those directly in it.

    Newest is whose weights were written last; of two at the same moment, the one with the higher number in its name.
    Raises PermanentError `ModelNotFound`, and `NoSafetensors` for a pickle.
    """
    if path.suffix in _PICKLES:
        raise PermanentError(
            ErrorCode.NO_SAFETENSORS,
            f"checkpoint: {path.name} is a pickle, which can run code when it is loaded; convert it once by "
            f"diffrun-worker convert {path} --output {path.with_suffix('')} and give the folder that this makes",
        )
    if _is_checkpoint(path):
        return path
    children = [child for child in path.iterdir() if _is_checkpoint(child)] if path.is_dir() else []
    flaws = {child: _flaw(child) for child in children}
    found = [child for child, flaw in flaws.items() if flaw is None]
    if not found:
        there = "holds no checkpoint" if path.is_dir() else "is not a folder"
        passed_over = "".join(f" ({child.name} is none: {flaw})" for child, flaw in sorted(flaws.items()))
        raise PermanentError(
            ErrorCode.MODEL_NOT_FOUND,
            f"checkpoint: {path} {there}{passed_over}; give a folder with config.json, scheduler_config.json, "
            "classes.json and diffusion_pytorch_model.safetensors, or a folder of such folders",
        )
    return max(found, key=_age)


def _is_checkpoint(folder: Path) -> bool:
    """Whether a folder looks like one; hidden ones are not finished, or set aside."""
    return not folder.name.startswith(".") and any(
        (folder / part).is_file() for part in ("config.json", "unet/config.json")
    )


def _flaw(folder: Path) -> str | None:
    """What a checkpoint lacks: one that is being written, or another kind of model, must not hide the others."""
    try:
        unet, _ = find_parts(folder)
        weight_files(unet)
    except PermanentError as error:
        return error.message
    return None


def _age(folder: Path) -> tuple[int, list[tuple[int, int | str]]]:
    unet, _ = find_parts(folder)
    parts = re.split(r"(\d+)", folder.name)
    natural: list[tuple[int, int | str]] = [(1, int(part)) if part.isdecimal() else (0, part) for part in parts]
    return max(file.stat().st_mtime_ns for file in weight_files(unet)), natural
