"""A trained network as a folder in diffusers' layout, all of it or nothing.

The folder is written under another name, made durable, and renamed. No file system renames a folder over one that
is not empty, so a folder that is already there is first set aside as `.<name>.previous` and deleted once the new
one stands. A kill between the two renames leaves the old model whole under that name, and `recover`, which every
save begins with, puts it back.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import diffusers
from diffusers import UNet2DModel
from torch import nn

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.sampling.classes import write_classes
from diffrun_worker.sampling.weights import SINGLE_FILE, tensor_bytes
from diffrun_worker.workspace import DISK_FULL_ERRNOS, fsync_dir, fsync_file

PIPELINE = "DDPMPipeline"


def save_model(
    folder: Path, unet: nn.Module, scheduler_config: Mapping[str, Any], classes: Sequence[str] | None = None
) -> None:
    """Writes `config.json`, the weights as safetensors, `scheduler_config.json`, and what else loads the model.

    For a UNet2DModel that is a `model_index.json`, by which diffusers' pipelines load it; for a conditional model a
    `classes.json` with its classes' names, in the order of their indices, and the index of the null class, which
    follows them.

    What was in `folder` before is replaced; killed at any moment, this leaves either the old model or the new one,
    at worst beside the folder, where `recover` finds it.

    Raises PermanentError `DiskFull`, and ValueError where `classes` are not those of the network.
    """
    recover(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(folder)
    shutil.rmtree(partial, ignore_errors=True)
    try:
        write_model(partial, unet, scheduler_config, classes)
        _make_durable(partial)
    except Exception as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
            raise _disk_full(folder, unet) from error
        raise
    _switch(partial, folder)


def recover(folder: Path) -> None:
    """Undoes what a kill in the middle of `save_model` has left: the old model goes back to its place."""
    previous = _previous(folder)
    if not previous.exists():
        return
    if folder.exists():
        shutil.rmtree(previous)
    else:
        previous.rename(folder)
    fsync_dir(folder.parent)


def _switch(partial: Path, folder: Path) -> None:
    if folder.exists():
        folder.rename(_previous(folder))
    partial.rename(folder)
    fsync_dir(folder.parent)
    shutil.rmtree(_previous(folder), ignore_errors=True)  # the new one stands; `recover` deletes what is left


def write_model(
    folder: Path, unet: Any, scheduler_config: Mapping[str, Any], classes: Sequence[str] | None = None
) -> None:
    """The files of `save_model` in a new folder, for who makes them durable with others, and tells of a full disk.

    Raises OSError, and ValueError where `classes` are not those of the network.
    """
    _check_classes(unet, classes)
    folder.mkdir()
    (folder / SINGLE_FILE).write_bytes(tensor_bytes(unet.state_dict()))
    config = json.loads(unet.to_json_string())
    config.pop("_name_or_path", None)  # where a network was once loaded from is nobody's business
    _write_json(folder / "config.json", config)
    _write_json(folder / "scheduler_config.json", {"_diffusers_version": diffusers.__version__, **scheduler_config})
    if isinstance(unet, UNet2DModel):
        parts = {"scheduler": ["diffusers", scheduler_config["_class_name"]], "unet": ["diffusers", "UNet2DModel"]}
        index = {"_class_name": PIPELINE, "_diffusers_version": diffusers.__version__, **parts}
        _write_json(folder / "model_index.json", index)
    if classes is not None:
        write_classes(folder, tuple(classes))


def _write_json(file: Path, content: Mapping[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _make_durable(folder: Path) -> None:
    for file in folder.iterdir():
        fsync_file(file)
    fsync_dir(folder)


def _check_classes(unet: Any, classes: Sequence[str] | None) -> None:
    embeddings = unet.config.get("num_class_embeds")
    expected = None if classes is None else len(classes) + 1
    if embeddings != expected:
        raise ValueError(
            f"classes: {'none' if classes is None else len(classes)} given for a network with "
            f"num_class_embeds {embeddings}; it needs one name for each class but the null class"
        )


def _disk_full(folder: Path, unet: nn.Module) -> PermanentError:
    needed = sum(tensor.numel() * tensor.element_size() for tensor in unet.state_dict().values())
    free = shutil.disk_usage(folder.parent).free
    return PermanentError(
        ErrorCode.DISK_FULL,
        f"no room to save the model {folder.name}: {needed} bytes needed, {free} free on the workspace; "
        "delete old runs' files or enlarge the volume",
    )


def _partial(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.partial")


def _previous(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.previous")
