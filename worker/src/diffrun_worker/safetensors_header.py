"""The header of a safetensors file, read and checked without loading a tensor.

The format: eight bytes with the header's length (little-endian), a JSON header, then the tensors' bytes, all of them
and each only once. What reads a file here needs memory for its header alone, and neither torch nor safetensors.
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit; headers of large models take a few megabytes."""
PICKLE_MAGICS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How torch.save's files begin: a zip archive, or a bare pickle."""

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip

Shape = tuple[int, ...]


class UnsoundFileError(Exception):
    """A file that is no sound safetensors file; its text says why."""


class PickleFileError(UnsoundFileError):
    """A pickle that bears the name of a safetensors file."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file's header."""

    dtype: str
    """As safetensors names it, for example `F32`."""
    shape: Shape


def read_header(path: Path) -> dict[str, TensorInfo]:
    """Every tensor of a file, by name.

    Raises UnsoundFileError where the file is truncated, overlaps itself or is no safetensors file at all.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if prefix.startswith(PICKLE_MAGICS):
            raise PickleFileError("it is a pickle with another name; pickles run code and are never loaded")
        if len(prefix) < 8:
            raise UnsoundFileError(f"it ends after {size} bytes, before the header's length")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER_BYTES:
            raise UnsoundFileError(f"its header claims {length} bytes; at most {MAX_HEADER_BYTES} are allowed")
        if length > size - 8:
            raise UnsoundFileError(f"it is truncated: the header needs {length} bytes, {size - 8} are there")
        header = _parse_header(file.read(length))
    _check_layout(sorted(_span(name, tensor) for name, tensor in header.items()), size - 8 - length)
    return {name: TensorInfo(tensor["dtype"], tuple(tensor["shape"])) for name, tensor in header.items()}


def _parse_header(text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnsoundFileError("its header is not JSON") from error
    if not isinstance(header, dict):
        raise UnsoundFileError("its header is not a JSON object")
    header.pop("__metadata__", None)
    return header


def _span(name: str, tensor: Any) -> tuple[int, int, str]:
    """Begin and end of a tensor's bytes, which its shape and type must fill exactly."""
    try:
        begin, end = tensor["data_offsets"]
        shape, dtype = tensor["shape"], tensor["dtype"]
        bits = _BITS[dtype] * math.prod(shape)
        sound = all(isinstance(n, int) and n >= 0 for n in (begin, end, *shape))
    except (KeyError, TypeError, ValueError) as error:
        raise UnsoundFileError(f"tensor {name!r}: its dtype, shape or data_offsets are missing or unknown") from error
    if not sound or begin > end:
        raise UnsoundFileError(f"tensor {name!r}: its offsets run from {begin} to {end}")
    if (end - begin) * 8 != bits:
        raise UnsoundFileError(f"tensor {name!r}: {dtype} {shape} takes {bits // 8} bytes, its offsets {end - begin}")
    return begin, end, name


def _check_layout(spans: list[tuple[int, int, str]], data: int) -> None:
    position = 0
    for begin, end, name in spans:
        if begin < position:
            raise UnsoundFileError(f"tensor {name!r}: its bytes overlap those of another tensor")
        if begin > position:
            raise UnsoundFileError(f"tensor {name!r}: {begin - position} bytes before it belong to no tensor")
        position = end
    if position > data:
        raise UnsoundFileError(f"it is truncated: the tensors need {position} bytes, {data} are there")
    if position < data:
        raise UnsoundFileError(f"{data - position} bytes at its end belong to no tensor")
