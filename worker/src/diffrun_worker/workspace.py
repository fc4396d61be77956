"""The files that the blocks of all runs share, on a mounted volume; `stored_workspace` has those of an object store.

Paths are relative to the workspace's root and never leave it: not by `..`, not by an absolute path, not
through a symbolic link. Whole files appear by rename, so that nobody reads half of one.
"""

import errno
import os
import shutil
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import ClassVar

from fsspec.core import split_protocol

from diffrun_worker.errors import ErrorCode, PermanentError, TemporaryError

LOCAL_SCHEMES = (None, "file", "local")
"""What URLs of a mounted volume begin with."""
_SYNCERS = 8
"""fsyncs at a time: they wait for one commit of the file system's journal, where one after another each has its own."""
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
"""What the kernel says when a volume, or a user's share of it, is full."""


class Workspace:
    """A workspace on a mounted volume, and what one in an object store has in common with it.

    Whatever takes a Workspace does the same with either: it reads at `path`, writes with `write`, or makes files at a
    `place` and then keeps them. On a volume the two places are one, and what has been made is there for everybody.
    """

    appendable: ClassVar[bool] = True
    """Whether others see what is appended to a file."""

    def __init__(self, url: str) -> None:
        """Takes an fsspec URL of a directory: a path or `file://…`.

        Raises PermanentError `UnsupportedWorkspace` for another scheme, TemporaryError `WorkspaceUnavailable`
        where there is no such directory.
        """
        protocol, path = split_protocol(url)
        if protocol not in LOCAL_SCHEMES:
            raise PermanentError(
                ErrorCode.UNSUPPORTED_WORKSPACE,
                f"{url!r} is not a mounted volume; give a directory here, for example /workspace",
            )
        self.root = Path(path).resolve()
        if not self.root.is_dir():
            raise TemporaryError(ErrorCode.WORKSPACE_UNAVAILABLE, f"the workspace {path} is not a directory")
        self._syncers: ThreadPoolExecutor | None = None

    def path(self, relative: str) -> Path:
        """Where a file or folder of the workspace is, to be read; it need not exist.

        Raises PermanentError `PathOutsideWorkspace`.
        """
        return self.place(relative)

    def place(self, relative: str) -> Path:
        """Where a file or folder is made that `keep` hands over then. Nothing is looked up.

        Raises PermanentError `PathOutsideWorkspace`.
        """
        path = (self.root / checked(relative)).resolve()
        if not path.is_relative_to(self.root):
            raise _outside(relative)
        return path

    def refresh(self, relative: str) -> Path:
        """The `path`, where others may have changed or added something since it was asked for first."""
        return self.path(relative)

    def read(self, relative: str) -> bytes:
        """One file's bytes. Raises FileNotFoundError, PermanentError `PathOutsideWorkspace`."""
        return self.path(relative).read_bytes()

    def sizes(self, relative: str) -> dict[str, int]:
        """The bytes of each file below a folder, by its path from there; empty where there is none."""
        folder = self.path(relative)
        return {
            file.relative_to(folder).as_posix(): file.stat().st_size for file in folder.rglob("*") if file.is_file()
        }

    def keep(self, path: Path, *, whole: bool = False) -> None:
        """Hands a file or folder over that was made, durably, at its `place`; returns once others can read it.

        With `whole`, a folder that others see with all of its files or not at all.
        """

    def discard(self, path: Path) -> None:
        """Removes a folder."""
        shutil.rmtree(path)

    def relative(self, path: Path) -> str:
        """The workspace-relative form of an absolute path.

        Raises PermanentError `PathOutsideWorkspace`.
        """
        resolved = path.resolve()
        if not resolved.is_relative_to(self.root):
            raise _outside(str(path))
        return resolved.relative_to(self.root).as_posix()

    def write(self, relative: str, data: bytes) -> Path:
        """Writes a whole file: temporary file, fsync, rename, fsync of the directory.

        Raises PermanentError `DiskFull` with the needed and the free bytes.
        """
        return self.write_all([(relative, data)])[0]

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Path]:
        """Writes whole files that are ready together; none appears before the bytes of all are durable.

        Their fsyncs run side by side, so that the file system commits them together, and each directory is synced
        once: dozens of files cost little more time than one. Raises PermanentError `DiskFull`.
        """
        targets = self._targets([relative for relative, _ in files])
        mark = uuid.uuid4().hex
        temporaries = [target.with_name(f".{target.name}.{mark}.tmp") for target in targets]
        try:
            for temporary, (_, data) in zip(temporaries, files, strict=True):
                with temporary.open("xb", buffering=0) as file:
                    _write_whole(file, data)
            self._fsync_all(temporaries)
            for temporary, target in zip(temporaries, targets, strict=True):
                temporary.replace(target)
            for directory in {target.parent for target in targets}:
                fsync_dir(directory)
        except OSError as error:
            for temporary in temporaries:
                temporary.unlink(missing_ok=True)
            if error.errno in DISK_FULL_ERRNOS:
                what = files[0][0] if len(files) == 1 else f"{len(files)} files from {files[0][0]} on"
                raise self.disk_full(f"write {what}", sum(len(data) for _, data in files)) from error
            raise
        return targets

    def _targets(self, relatives: Sequence[str]) -> list[Path]:
        """Where files go, in directories that exist. A directory is looked up once, however many files it gets."""
        folders: dict[PurePosixPath, Path] = {}
        targets = []
        for relative in relatives:
            pure = checked(relative)
            folder = folders.get(pure.parent)
            if folder is None:
                folder = folders[pure.parent] = self.path(str(pure.parent))
                make_dir(folder)
            targets.append(folder / pure.name)
        return targets

    def _fsync_all(self, paths: Sequence[Path]) -> None:
        if len(paths) == 1:
            fsync_file(paths[0])
            return
        if self._syncers is None:
            self._syncers = ThreadPoolExecutor(_SYNCERS, thread_name_prefix="fsync")
        for done in [self._syncers.submit(fsync_file, path) for path in paths]:
            done.result()

    def free_bytes(self) -> int:
        """What may still be written by a user without privileges."""
        return shutil.disk_usage(self.root).free

    def _free_words(self) -> str:
        """How many bytes are free, for the error of a full disk: one that cannot even be asked is no other error."""
        try:
            return str(self.free_bytes())
        except OSError:
            return "an unknown number"

    def require_free(self, needed: int, what: str) -> None:
        """Raises PermanentError `DiskFull` unless `needed` bytes are free; `what` continues "no room to …"."""
        if self.free_bytes() < needed:
            raise self.disk_full(what, needed)

    def disk_full(self, what: str, needed: int) -> PermanentError:
        """The error of a workspace without room; `what` continues "no room to …"."""
        return PermanentError(
            ErrorCode.DISK_FULL,
            f"no room to {what}: {needed} bytes needed, {self._free_words()} free on the workspace; "
            "delete old runs' files or enlarge the volume",
        )


def fsync_dir(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_dir(path: Path) -> None:
    """Makes a directory and those above it, each with a durable name."""
    if path.is_dir():
        return
    make_dir(path.parent)
    path.mkdir(exist_ok=True)
    fsync_dir(path.parent)


def checked(relative: str) -> PurePosixPath:
    """A path that says nothing of the outside; links are another matter. Raises `PathOutsideWorkspace`."""
    pure = PurePosixPath(relative)
    if not relative or "\0" in relative or "\\" in relative or pure.is_absolute() or ".." in pure.parts:
        raise _outside(relative)
    return pure


def _write_whole(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _outside(path: str) -> PermanentError:
    return PermanentError(
        ErrorCode.PATH_OUTSIDE_WORKSPACE,
        f"{path!r} is not a path inside the workspace; give one relative to its root, without '..'",
    )


def fsync_file(path: Path) -> None:
    """Makes a file's bytes durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
