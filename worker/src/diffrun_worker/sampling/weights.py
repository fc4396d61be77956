"""A model's safetensors files: what they hold, told from their headers before a byte of the weights is read.

A checkpoint that does not fit its configuration must fail here by name: diffusers would fill what is
missing with random numbers and only warn.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from diffrun_worker import safetensors_header
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.safetensors_header import PickleFileError, Shape, TensorInfo, UnsoundFileError

SINGLE_FILE = "diffusion_pytorch_model.safetensors"
INDEX_FILE = "diffusion_pytorch_model.safetensors.index.json"

_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
_SHOWN = 5

# Attention projections as checkpoints of 2022 name them; diffusers renames them when it loads one.
_RENAMED = (
    (re.compile(r"\.query\.(weight|bias)$"), r".to_q.\1"),
    (re.compile(r"\.key\.(weight|bias)$"), r".to_k.\1"),
    (re.compile(r"\.value\.(weight|bias)$"), r".to_v.\1"),
    (re.compile(r"\.proj_attn\.(weight|bias)$"), r".to_out.0.\1"),
)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model's folder: one, or those that an index names.

    Raises PermanentError `NoSafetensors` or `CorruptCheckpoint`.
    """
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    index = folder / INDEX_FILE
    if not index.is_file():
        raise PermanentError(
            ErrorCode.NO_SAFETENSORS,
            f"{folder.name}: no {SINGLE_FILE}; weights are read from safetensors only, never from a pickle (.bin, "
            ".ckpt, .pt), so convert the model first",
        )
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{INDEX_FILE} has no weight_map: {error}") from error
    files = [folder / str(name) for name in names]
    for file in files:
        if file.parent != folder or not file.is_file():
            raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{INDEX_FILE} names {file.name}, which is not there")
    return files


def read_header(file: Path) -> dict[str, TensorInfo]:
    """Every tensor of a safetensors file, by name; reads its header only.

    Raises PermanentError `CorruptCheckpoint` for a file that is truncated, overlaps itself or is no safetensors.
    """
    try:
        return safetensors_header.read_header(file)
    except PickleFileError as error:
        why = f"{file.name} is a pickle that bears the name of a safetensors file; it was not opened"
        raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, why) from error
    except (UnsoundFileError, OSError) as error:
        why = f"{file.name} is damaged ({error}); delete it and download the checkpoint again"
        raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, why) from error


def tensor_bytes(tensors: Mapping[str, Tensor]) -> bytes:
    """A whole safetensors file that says it is torch's, with each tensor contiguous.

    Bytes rather than a file of safetensors' own writing: that hides the errno of a full disk in a sentence.
    """
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    return bytes(save(plain, metadata={"format": "pt"}))


def modern_name(name: str, expected: Iterable[str]) -> str:
    """The name that today's model has for a tensor: the old attention names are mapped, all others left alone."""
    for pattern, replacement in _RENAMED:
        renamed = pattern.sub(replacement, name)
        if renamed != name and renamed in expected:
            return renamed
    return name


def check_fits(found: Mapping[str, TensorInfo], expected: Mapping[str, Shape]) -> None:
    """Raises PermanentError `IncompatibleCheckpoint`, naming tensors, unless the weights are the configuration's."""
    modern = {modern_name(name, expected): info for name, info in found.items()}
    problems = [
        *(f"{name} is missing" for name in expected if name not in modern),
        *(f"{name} is not part of the model" for name in modern if name not in expected),
        *(
            f"{name} has shape {list(modern[name].shape)}, config.json asks for {list(shape)}"
            for name, shape in expected.items()
            if name in modern and modern[name].shape != shape
        ),
        *(
            f"{name} has type {info.dtype}, weights are floating-point"
            for name, info in modern.items()
            if info.dtype not in _FLOATS
        ),
    ]
    if problems:
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"the weights do not fit config.json: {'; '.join(problems[:_SHOWN])}{more}",
        )
