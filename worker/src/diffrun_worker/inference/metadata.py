"""`metadata.json` and `index.json`: what was run where, and what it made, over all shards.

Each shard writes a part of its own and then merges all parts that it finds, until it finds no new one. So whichever
shard ends last has merged them all; a shard that is tried again replaces its part and merges again; merging twice
changes nothing. Nobody has to be chosen, and nobody waits. (Proof: let the last write of the index be by shard X.
It looked again after it and found the same parts. A part that came after that look is followed by a write of the
shard that it belongs to, which would be later than the last.)
"""

import ctypes
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from diffrun_worker.errors import invalid_params
from diffrun_worker.inference.output import INDEX, METADATA, PARTS, part_name
from diffrun_worker.workspace import Workspace

SCHEMA_VERSION = 1


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Series(_Record):
    """Numbered files of one sample, all between two names."""

    count: int = Field(ge=1)
    first: str
    """Relative to the class's folder."""
    last: str


class SampleRecord(_Record):
    """One sample in `index.json`. Paths are relative to the class's folder; None where nothing was kept."""

    index: int = Field(ge=0)
    """Its number in the run."""
    seed: int
    """Of its generator."""
    generation_time: float = Field(ge=0)
    """Seconds: its share of its batch's time."""
    video: str | None = None
    frames: Series | None = None
    deltas: Series | None = None
    latents: Series | None = None


class Part(_Record):
    """What one shard has made."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    """The same in all shards of a run, and in no other run."""
    shard: int = Field(ge=0)
    shards: int = Field(ge=1)
    total: int = Field(ge=1)
    """Samples of the whole run."""
    character: str
    """The target class."""
    timestamp_start: datetime
    timestamp_end: datetime
    config: dict[str, JsonValue]
    checkpoint: dict[str, JsonValue]
    environment: dict[str, JsonValue]
    """Where this shard ran."""
    scheduler: dict[str, JsonValue]
    samples: tuple[SampleRecord, ...]
    """Those of this shard, ascending."""


class Merged(_Record):
    """The two documents of all parts."""

    metadata: dict[str, Any]
    index: dict[str, Any]
    complete: bool
    """Whether every shard's part is in it."""


_SHARED = ("run_id", "shards", "total", "character", "config", "checkpoint", "scheduler")


def merge(parts: Iterable[Part]) -> Merged:
    """One run's parts as two documents; their order and repetition change nothing.

    Of two parts of one shard (a shard was tried again) the one that ended later counts. Raises PermanentError
    `InvalidParams` for no part at all and for parts of different runs, with the field that differs.
    """
    newest: dict[int, Part] = {}
    for part in parts:
        known = newest.get(part.shard)
        if known is None or _age(part) > _age(known):
            newest[part.shard] = part
    if not newest:
        raise invalid_params("parts: no shard has written a part yet")
    ordered = [newest[shard] for shard in sorted(newest)]
    _check_alike(ordered)
    return Merged(metadata=_metadata(ordered), index=_index(ordered), complete=len(ordered) == ordered[0].shards)


def _metadata(parts: Sequence[Part]) -> dict[str, Any]:
    """What was run where; without an end as long as a shard is missing."""
    first, complete = parts[0], len(parts) == parts[0].shards
    return {
        "run_id": first.run_id,
        "timestamp_start": _stamp(min(part.timestamp_start for part in parts)),
        "timestamp_end": _stamp(max(part.timestamp_end for part in parts)) if complete else None,
        "config": first.config,
        "checkpoint": first.checkpoint,
        "environment": first.environment,
        "scheduler": first.scheduler,
        "shards": {
            "count": first.shards,
            "done": [part.shard for part in parts],
            "environments": {str(part.shard): part.environment for part in parts},
        },
        "samples": {"done": sum(len(part.samples) for part in parts), "total": first.total},
    }


def _index(parts: Sequence[Part]) -> dict[str, Any]:
    """What there is of each sample, by number."""
    first = parts[0]
    samples = sorted((sample for part in parts for sample in part.samples), key=lambda sample: sample.index)
    return {
        "run_id": first.run_id,
        "character": first.character,
        "total": first.total,
        "complete": len(parts) == first.shards,
        "samples": [sample.model_dump(mode="json", exclude_none=True) for sample in samples],
    }


def publish(folder: Path, part: Part, workspace: Workspace | None = None) -> Merged:
    """Writes a shard's part, once its files are durable, and then both documents from all parts of its run.

    The folder lies in the `workspace`, where the other shards' parts come to; without one it is itself one. Parts of
    other runs in it are left alone and left out. Raises PermanentError `DiskFull`,
    `InvalidParams` where another shard ran with another configuration.
    """
    flush(folder)
    workspace = workspace or Workspace(str(folder))
    workspace.keep(folder)
    workspace.write(workspace.relative(folder / part_name(part.shard, part.shards)), part.model_dump_json().encode())
    parts = workspace.relative(folder / PARTS)
    seen: Mapping[str, bytes] | None = None
    while seen != (found := _part_files(workspace.refresh(parts).parent)):
        merged = merge(_of_run(found, part.run_id))
        workspace.write(workspace.relative(folder / METADATA), _json(merged.metadata))
        workspace.write(workspace.relative(folder / INDEX), _json(merged.index))
        seen = found
    return merged


def flush(folder: Path) -> None:
    """Makes everything on the folder's file system durable: one call, where an fsync a file would take minutes."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:  # not Linux
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)


def _part_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / PARTS).glob("*.json"))}


def _of_run(files: Mapping[str, bytes], run_id: str) -> list[Part]:
    parts = []
    for name, data in files.items():
        try:
            part = Part.model_validate_json(data)
        except ValidationError as error:
            raise invalid_params(
                f"{PARTS}/{name} is not a part that this version writes ({error.errors()[0]['msg']}); "
                "remove it and run its shard again"
            ) from error
        if part.run_id == run_id:
            parts.append(part)
    return parts


def _check_alike(parts: list[Part]) -> None:
    first = parts[0]
    for part in parts[1:]:
        different = [field for field in _SHARED if getattr(part, field) != getattr(first, field)]
        if different:
            raise invalid_params(
                f"shard {part.shard} ran with another {', '.join(different)} than shard {first.shard}; all shards of "
                "a run need the same options, or output directories of their own"
            )
    outside = [part.shard for part in parts if part.shard >= first.shards]
    if outside:
        raise invalid_params(f"shard {outside[0]} is none of {first.shards} shards")


def _age(part: Part) -> tuple[datetime, str]:
    # Two tries never end in the same microsecond; the text only makes the choice the same in any order.
    return part.timestamp_end, part.model_dump_json()


def _stamp(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
