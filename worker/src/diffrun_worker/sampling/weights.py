"""What a safetensors file holds, read from its header before a byte of the weights is.

A checkpoint that does not fit its configuration must fail here by name: diffusers would fill what is
missing with random numbers and only warn.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from diffrun_worker.errors import ErrorCode, PermanentError

SINGLE_FILE = "diffusion_pytorch_model.safetensors"
INDEX_FILE = "diffusion_pytorch_model.safetensors.index.json"

_FLOATS = frozenset({"F64", "F32", "F16", "BF16"})
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_SHOWN = 5

# Attention projections as checkpoints of 2022 name them; diffusers renames them when it loads one.
_RENAMED = (
    (re.compile(r"\.query\.(weight|bias)$"), r".to_q.\1"),
    (re.compile(r"\.key\.(weight|bias)$"), r".to_k.\1"),
    (re.compile(r"\.value\.(weight|bias)$"), r".to_v.\1"),
    (re.compile(r"\.proj_attn\.(weight|bias)$"), r".to_out.0.\1"),
)

Shape = tuple[int, ...]


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file's header."""

    dtype: str
    """As safetensors names it, for example `F32`."""
    shape: Shape


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
        with safe_open(file, framework="pt") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - not a dict
            return {name: TensorInfo(one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise PermanentError(ErrorCode.CORRUPT_CHECKPOINT, _why_corrupt(file, error)) from error


def _why_corrupt(file: Path, error: Exception) -> str:
    with file.open("rb") as opened:
        start = opened.read(4)
    if start.startswith(_PICKLE_STARTS):
        return f"{file.name} is a pickle that bears the name of a safetensors file; it was not opened"
    return f"{file.name} is damaged ({error}); delete it and download the checkpoint again"


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
