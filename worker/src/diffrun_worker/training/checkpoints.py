"""Training states as folders in the workspace: each is there whole, with the hash of every file, or not at all.

    <block>/checkpoints/state/step-000001200/
        config.json, diffusion_pytorch_model.safetensors, …   the averaged model, as diffusers loads it
        training.safetensors    weights, moments, generators' states
        training.json           step, epoch, architecture, what it was trained on
        manifest.json           size and SHA-256 of each file

So every state is a model too: a generation block takes it as its `modelPath`. A folder is written under another name,
made durable and renamed, which no crash can interrupt half-way; only then do older ones go.
"""

import json
import logging
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from diffrun_worker.checkpoints import verify_safetensors
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.hashing import sha256_file
from diffrun_worker.models.registry import NETWORKS
from diffrun_worker.models.store import write_model
from diffrun_worker.training.state import Snapshot
from diffrun_worker.workspace import DISK_FULL_ERRNOS, Workspace, fsync_dir, fsync_file

logger = logging.getLogger(__name__)

STATES = "state"
TENSORS_FILE = "training.safetensors"
DOCUMENT_FILE = "training.json"
MANIFEST_FILE = "manifest.json"
FORMAT = 1
"""Counts up where a state of before could no longer be read."""

_NAME = re.compile(r"step-(\d{9,})")
_DISK_FULL_WORDS = tuple(f"(os error {number})" for number in DISK_FULL_ERRNOS)  # as safetensors' errors end


class CheckpointFolder:
    """The states of one training."""

    def __init__(self, folder: Path, keep: int, workspace: Workspace | None = None) -> None:
        """`folder` is the block's checkpoints, in the `workspace` if any; the newest `keep` states stay."""
        self._folder = folder / STATES
        self._keep = keep
        self._workspace = workspace

    def save(self, snapshot: Snapshot, scheduler_config: Mapping[str, Any], classes: Sequence[str] | None) -> Path:
        """Writes a state and deletes those that are too old. Raises PermanentError `DiskFull`; the old ones stay."""
        target = self._folder / f"step-{snapshot.step:09d}"
        if target.exists():  # a training that resumed here and has not moved, or one that damage has sent back
            if self._is_whole(target):
                return target
            self._remove(target)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._sweep()
        partial = self._folder / f".{target.name}.partial"
        needed = sum(tensor.nbytes for tensor in snapshot.tensors.values())
        try:
            with _disk_full_told(self._folder, f"save the checkpoint of step {snapshot.step}", needed):
                _write(partial, snapshot, scheduler_config, classes)
                partial.rename(target)
                fsync_dir(self._folder)
            if self._workspace is not None:
                self._workspace.keep(target, whole=True)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self._prune(target)
        return target

    def _prune(self, newest: Path) -> None:
        """Keeps the newest states up to this one. Later ones are damaged: else the training had gone on from them."""
        states = self._states()
        kept = states[: states.index(newest) + 1][-self._keep :]
        for state in states:
            if state not in kept:
                self._remove(state)

    def newest(self) -> tuple[Snapshot, Path] | None:
        """The newest state that is whole, and where it is; None where there never was one.

        A damaged one is passed over in favour of an older one, and the log says so.

        Raises PermanentError `CorruptCheckpoint` where states are there and none is whole: starting afresh would
        throw a training away that somebody may still save.
        """
        damages = []
        for folder in reversed(self._states()):
            try:
                snapshot = read(folder)
            except PermanentError as error:
                if error.code != ErrorCode.CORRUPT_CHECKPOINT:
                    raise
                damages.append(error.message)
                logger.error("a damaged checkpoint is passed over: %s", error.message)  # noqa: TRY400
            else:
                if damages:
                    logger.warning("going on from the older checkpoint of step %d", snapshot.step)
                return snapshot, folder
        if damages:
            raise PermanentError(
                ErrorCode.CORRUPT_CHECKPOINT,
                f"every checkpoint of this training is damaged: {'; '.join(damages)}; "
                "delete the block's checkpoints to start afresh, or set resume to another one",
            )
        return None

    def _states(self) -> list[Path]:
        """Oldest first."""
        found = self._folder.iterdir() if self._folder.is_dir() else ()
        return sorted((path for path in found if _NAME.fullmatch(path.name)), key=_step_of)

    def _remove(self, state: Path) -> None:
        if self._workspace is None:
            shutil.rmtree(state)
        else:
            self._workspace.discard(state)

    def _is_whole(self, folder: Path) -> bool:
        try:
            check(folder)
        except PermanentError:
            return False
        return True

    def _sweep(self) -> None:
        """Deletes what killed writers have left."""
        for path in self._folder.iterdir():
            if path.name.startswith("."):
                shutil.rmtree(path, ignore_errors=True)


def find(folder: Path) -> tuple[Snapshot, Path]:
    """The state that `resume` names: one state's folder, a block's folder or its `checkpoints`.

    Raises PermanentError: `ModelNotFound` where there is none, `CorruptCheckpoint`.
    """
    if (folder / DOCUMENT_FILE).is_file() or (folder / MANIFEST_FILE).is_file():
        return read(folder), folder
    for checkpoints in (folder, folder / "checkpoints", folder.parent):
        if (checkpoints / STATES).is_dir() and (found := CheckpointFolder(checkpoints, keep=1).newest()) is not None:
            return found
    raise PermanentError(
        ErrorCode.MODEL_NOT_FOUND,
        f"resume: {folder.name} holds no training state; give a folder like "
        f"runs/<uid>/<block>/checkpoints/{STATES}/step-000001000 (weights alone cannot be resumed from)",
    )


def check(folder: Path) -> dict[str, Any]:
    """The document of a state of which every file is as it was written. Raises PermanentError `CorruptCheckpoint`."""
    manifest = _read_json(folder / MANIFEST_FILE)
    if manifest.get("format") != FORMAT:
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"{folder.name}: it has format {manifest.get('format')!r}, this worker reads {FORMAT}; "
            "resume it with the version that wrote it",
        )
    for name, expected in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            raise _corrupt(file, "is missing")
        if file.stat().st_size != expected["size"] or sha256_file(file) != expected["sha256"]:
            raise _corrupt(file, "is not what was written")
    return _read_json(folder / DOCUMENT_FILE)


def read(folder: Path) -> Snapshot:
    """A state, checked. Raises PermanentError: `CorruptCheckpoint`, `IncompatibleCheckpoint`."""
    document = check(folder)
    verify_safetensors(folder / TENSORS_FILE)
    network = NETWORKS.get(document["architecture"]["class"])
    if network is None:
        raise PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"{folder.name}: it is of a {document['architecture']['class']}, which this worker does not know",
        )
    average = network.from_pretrained(str(folder), use_safetensors=True, local_files_only=True)
    return Snapshot(document["step"], average, load_file(folder / TENSORS_FILE), document)


@contextmanager
def _disk_full_told(folder: Path, what: str, needed: int) -> Iterator[None]:
    """Turns whatever a full disk raises into a PermanentError `DiskFull`; `what` continues "no room to …"."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        full = getattr(error, "errno", None) in DISK_FULL_ERRNOS or any(word in str(error) for word in _DISK_FULL_WORDS)
        if not full:
            raise
        raise PermanentError(
            ErrorCode.DISK_FULL,
            f"no room to {what}: about {needed} bytes needed, {shutil.disk_usage(folder).free} free on the workspace; "
            "the older checkpoints are untouched; delete old runs' files or enlarge the volume",
        ) from error


def _write(
    folder: Path, snapshot: Snapshot, scheduler_config: Mapping[str, Any], classes: Sequence[str] | None
) -> None:
    write_model(folder, snapshot.average, scheduler_config, classes)
    save_file(dict(snapshot.tensors), folder / TENSORS_FILE)
    (folder / DOCUMENT_FILE).write_text(json.dumps(snapshot.document, indent=1, ensure_ascii=False) + "\n")
    files = {file.name: {"size": file.stat().st_size, "sha256": sha256_file(file)} for file in sorted(folder.iterdir())}
    (folder / MANIFEST_FILE).write_text(json.dumps({"format": FORMAT, "files": files}, indent=1) + "\n")
    for file in folder.iterdir():
        fsync_file(file)
    fsync_dir(folder)


def _step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text())
    except FileNotFoundError as error:
        raise _corrupt(file, "is missing") from error
    except ValueError as error:
        raise _corrupt(file, "is not JSON") from error
    if not isinstance(content, dict):
        raise _corrupt(file, "is not a JSON object")
    return content


def _corrupt(file: Path, what: str) -> PermanentError:
    return PermanentError(ErrorCode.CORRUPT_CHECKPOINT, f"{file.parent.name}: {file.name} {what}")
