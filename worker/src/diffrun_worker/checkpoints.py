"""What may be a checkpoint: whole safetensors files and configurations that name classes we know.

Nothing here loads a tensor or imports what a configuration names.
"""

import json
from pathlib import Path
from typing import Any

from diffrun_contracts.params import SamplerName
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.safetensors_header import UnsoundFileError, read_header

MAX_CONFIG_BYTES = 1_000_000
"""Configurations take kilobytes."""

UNET_CLASS = "UNet2DModel"
PIPELINE_CLASSES = frozenset({"DDPMPipeline", "DDIMPipeline"})
SCHEDULER_CLASSES = frozenset(f"{name}Scheduler" for name in SamplerName)
CODE_KEYS = ("auto_map", "custom_pipeline")
"""Keys by which a configuration asks for code to be fetched and run."""


def verify_safetensors(path: Path) -> int:
    """Checks a file's structure with memory for its header only, and returns how many tensors it holds.

    Raises PermanentError `CorruptCheckpoint`.
    """
    try:
        return len(read_header(path))
    except UnsoundFileError as error:
        raise _corrupt(path, str(error)) from error


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


def _corrupt(path: Path, why: str) -> PermanentError:
    return PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{path.name}: {why}")


def _code(path: Path, why: str) -> PermanentError:
    return PermanentError(
        ErrorCode.REMOTE_CODE, f"{path.name} {why}, which asks for code of the repository; diffrun runs none"
    )
