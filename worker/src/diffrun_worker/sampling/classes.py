"""The classes of a conditional checkpoint, from its `classes.json`.

diffusers keeps no names of classes, only how many embeddings there are; without names nobody could ask for one, and
without knowing which embedding is the null class guidance would push away from a real one.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffrun_worker.errors import ErrorCode, PermanentError

CLASSES_FILE = "classes.json"


@dataclass(frozen=True)
class Classes:
    """What the embeddings of a conditional model stand for."""

    names: tuple[str, ...]
    """Class i is embedding i."""
    null: int
    """The embedding of no class, which is the last."""


def write_classes(folder: Path, names: tuple[str, ...]) -> None:
    """Writes the `classes.json` of a model whose embeddings are these classes and the null class after them."""
    content = {"classes": list(names), "nullClass": len(names)}
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / CLASSES_FILE).write_text(text, encoding="utf-8")


def read_classes(folder: Path, config: Mapping[str, Any]) -> Classes:
    """The classes of the checkpoint in `folder`, whose UNet has this configuration.

    Raises PermanentError: `UnsupportedClass` where the UNet is not conditional, `NoClasses` without the file,
    `CorruptCheckpoint` where it does not say what it must, `IncompatibleCheckpoint` where it is not this UNet's.
    """
    embeddings = _embeddings(config)
    file = folder / CLASSES_FILE
    if not file.is_file():
        raise PermanentError(
            ErrorCode.NO_CLASSES,
            f"{folder.name}: a checkpoint without classes: {CLASSES_FILE} is missing; write one beside the model, "
            f'{{"classes": [the names of classes 0 to {embeddings - 2}], "nullClass": {embeddings - 1}}}',
        )
    classes = _parse(file)
    if len(classes.names) + 1 != embeddings:
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"{CLASSES_FILE}: {len(classes.names)} classes and one null class do not fit num_class_embeds "
            f"{embeddings} of config.json",
        )
    return classes


def _embeddings(config: Mapping[str, Any]) -> int:
    count, kind = config.get("num_class_embeds"), config.get("class_embed_type")
    if kind is not None:
        raise PermanentError(
            ErrorCode.UNSUPPORTED_CLASS,
            f"config.json: class_embed_type is {kind!r}; only learned class embeddings (num_class_embeds) are run",
        )
    if count is None:
        raise PermanentError(
            ErrorCode.UNSUPPORTED_CLASS,
            "config.json: the model is not class-conditional (num_class_embeds is not set); train one with "
            "model.conditional, or use a generation block for this one",
        )
    if type(count) is not int or count < 2:
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"config.json: num_class_embeds is {count!r}; one class and the null class make 2 or more",
        )
    return count


def _parse(file: Path) -> Classes:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _corrupt(f"is not JSON: {error}") from error
    names = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise _corrupt('has no "classes", a list with the name of each class')
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise _corrupt(f"names the class {twice[0]!r} more than once")
    null = content.get("nullClass")
    if type(null) is not int or null != len(names):
        raise _corrupt(f'has "nullClass" {null!r}; the null class follows the {len(names)} classes, as {len(names)}')
    return Classes(tuple(names), null)


def _corrupt(what: str) -> PermanentError:
    return PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{CLASSES_FILE} {what}")
