"""What may be a checkpoint: whole safetensors files and configurations that name classes we know.

Nothing here loads a tensor or imports what a configuration names. The safetensors format: eight bytes with the
header's length (little-endian), a JSON header, then the tensors' bytes, all of them and each only once.
"""

import json
import math
import struct
from pathlib import Path
from typing import Any

from diffrun_contracts.params import SamplerName
from diffrun_worker.errors import ErrorCode, PermanentError

MAX_HEADER_BYTES = 100_000_000
"""The format's own limit; headers of large models take a few megabytes."""
MAX_CONFIG_BYTES = 1_000_000
"""Configurations take kilobytes."""
PICKLE_MAGICS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""How torch.save's files begin: a zip archive, or a bare pickle."""

UNET_CLASS = "UNet2DModel"
PIPELINE_CLASSES = frozenset({"DDPMPipeline", "DDIMPipeline"})
SCHEDULER_CLASSES = frozenset(f"{name}Scheduler" for name in SamplerName)
CODE_KEYS = ("auto_map", "custom_pipeline")
"""Keys by which a configuration asks for code to be fetched and run."""

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32, "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


def verify_safetensors(path: Path) -> int:
    """Checks a file's structure with memory for its header only, and returns how many tensors it holds.

    Raises PermanentError `CorruptCheckpoint`.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        prefix = file.read(8)
        if prefix.startswith(PICKLE_MAGICS):
            raise _corrupt(path, "it is a pickle with another name; pickles run code and are never loaded")
        if len(prefix) < 8:
            raise _corrupt(path, f"it ends after {size} bytes, before the header's length")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER_BYTES:
            raise _corrupt(path, f"its header claims {length} bytes; at most {MAX_HEADER_BYTES} are allowed")
        if length > size - 8:
            raise _corrupt(path, f"it is truncated: the header needs {length} bytes, {size - 8} are there")
        header = _parse_header(path, file.read(length))
    spans = sorted(_span(path, name, tensor) for name, tensor in header.items())
    _check_layout(path, spans, size - 8 - length)
    return len(spans)


def read_config(path: Path) -> dict[str, Any]:
    """A configuration that asks for no code.

    Raises PermanentError: `CorruptCheckpoint` where it is no JSON object, `RemoteCode` where it asks for code.
    """
    if path.stat().st_size > MAX_CONFIG_BYTES:
        raise _corrupt(path, f"a configuration of more than {MAX_CONFIG_BYTES} bytes")
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, "it is not JSON") from error
    if not isinstance(config, dict):
        raise _corrupt(path, "it is not a JSON object")
    for key in CODE_KEYS:
        if key in config:
            raise _code(path, f"has the key {key!r}")
    if isinstance(config.get("_class_name"), list):
        raise _code(path, "has a list as _class_name")
    return config


def require_class(path: Path, config: dict[str, Any], allowed: frozenset[str]) -> str:
    """The class that a configuration names. Raises PermanentError `UnsupportedClass` unless it is allowed."""
    name = config.get("_class_name")
    if not isinstance(name, str) or name not in allowed:
        raise PermanentError(
            ErrorCode.UNSUPPORTED_CLASS,
            f"{path.name}: _class_name {name!r} is not supported; supported are {', '.join(sorted(allowed))}",
        )
    return name


def require_components(path: Path, index: dict[str, Any]) -> None:
    """Checks that a `model_index.json` is of an unconditional pipeline with one UNet and one scheduler.

    Raises PermanentError: `RemoteCode` for a component that is not of diffusers, `UnsupportedClass` for others.
    """
    require_class(path, index, PIPELINE_CLASSES)
    allowed = {"unet": frozenset({UNET_CLASS}), "scheduler": SCHEDULER_CLASSES}
    for name, value in index.items():
        if name.startswith("_"):
            continue
        if not (isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)):
            raise PermanentError(
                ErrorCode.UNSUPPORTED_CLASS, f"{path.name}: component {name!r} is {value!r}, not [library, class]"
            )
        library, cls = value
        if library != "diffusers":
            raise _code(path, f"takes component {name!r} from {library!r}")
        if cls not in allowed.get(name, frozenset()):
            raise PermanentError(
                ErrorCode.UNSUPPORTED_CLASS,
                f"{path.name}: component {name!r} of class {cls!r} is not supported; "
                f"supported are unet ({UNET_CLASS}) and scheduler ({', '.join(sorted(SCHEDULER_CLASSES))})",
            )


def _parse_header(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _corrupt(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _corrupt(path, "its header is not a JSON object")
    header.pop("__metadata__", None)
    return header


def _span(path: Path, name: str, tensor: Any) -> tuple[int, int, str]:
    """Begin and end of a tensor's bytes, which its shape and type must fill exactly."""
    try:
        begin, end = tensor["data_offsets"]
        shape, dtype = tensor["shape"], tensor["dtype"]
        bits = _BITS[dtype] * math.prod(shape)
        sound = all(isinstance(n, int) and n >= 0 for n in (begin, end, *shape))
    except (KeyError, TypeError, ValueError) as error:
        raise _corrupt(path, f"tensor {name!r}: its dtype, shape or data_offsets are missing or unknown") from error
    if not sound or begin > end:
        raise _corrupt(path, f"tensor {name!r}: its offsets run from {begin} to {end}")
    if (end - begin) * 8 != bits:
        raise _corrupt(path, f"tensor {name!r}: {dtype} {shape} takes {bits // 8} bytes, its offsets {end - begin}")
    return begin, end, name


def _check_layout(path: Path, spans: list[tuple[int, int, str]], data: int) -> None:
    position = 0
    for begin, end, name in spans:
        if begin < position:
            raise _corrupt(path, f"tensor {name!r}: its bytes overlap those of another tensor")
        if begin > position:
            raise _corrupt(path, f"tensor {name!r}: {begin - position} bytes before it belong to no tensor")
        position = end
    if position > data:
        raise _corrupt(path, f"it is truncated: the tensors need {position} bytes, {data} are there")
    if position < data:
        raise _corrupt(path, f"{data - position} bytes at its end belong to no tensor")


def _corrupt(path: Path, why: str) -> PermanentError:
    return PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{path.name}: {why}")


def _code(path: Path, why: str) -> PermanentError:
    return PermanentError(
        ErrorCode.REMOTE_CODE, f"{path.name} {why}, which asks for code of the repository; diffrun runs none"
    )
