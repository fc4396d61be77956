"""The files that the blocks of all runs share.

Paths are relative to the workspace's root and never leave it: not by `..`, not by an absolute path, not
through a symbolic link. Whole files appear by rename, so that nobody reads half of one.
"""

import errno
import os
import shutil
import uuid
from pathlib import Path, PurePosixPath

from fsspec.core import split_protocol

from diffrun_worker.errors import ErrorCode, PermanentError, TemporaryError

_LOCAL = (None, "file", "local")
DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT)
"""What the kernel says when a volume, or a user's share of it, is full."""


class Workspace:
    """A workspace on a mounted volume."""

    def __init__(self, url: str) -> None:
        """Takes an fsspec URL of a directory: a path or `file://…`.

        Raises PermanentError `UnsupportedWorkspace` for another scheme, TemporaryError `WorkspaceUnavailable`
        where there is no such directory.
        """
        protocol, path = split_protocol(url)
        if protocol not in _LOCAL:
            raise PermanentError(
                ErrorCode.UNSUPPORTED_WORKSPACE,
                f"the workspace {url!r} is not a mounted volume; give a directory, for example /workspace",
            )
        self.root = Path(path).resolve()
        if not self.root.is_dir():
            raise TemporaryError(ErrorCode.WORKSPACE_UNAVAILABLE, f"the workspace {path} is not a directory")

    def path(self, relative: str) -> Path:
        """The absolute path of a workspace-relative one, which need not exist.

        Raises PermanentError `PathOutsideWorkspace`.
        """
        pure = PurePosixPath(relative)
        if not relative or "\0" in relative or "\\" in relative or pure.is_absolute() or ".." in pure.parts:
            raise _outside(relative)
        path = (self.root / pure).resolve()
        if not path.is_relative_to(self.root):
            raise _outside(relative)
        return path

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
        target = self.path(relative)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            fsync_dir(target.parent)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in DISK_FULL_ERRNOS:
                raise self.disk_full(f"write {relative}", len(data)) from error
            raise
        return target

    def free_bytes(self) -> int:
        """What may still be written by a user without privileges."""
        return shutil.disk_usage(self.root).free

    def require_free(self, needed: int, what: str) -> None:
        """Raises PermanentError `DiskFull` unless `needed` bytes are free; `what` continues "no room to …"."""
        if self.free_bytes() < needed:
            raise self.disk_full(what, needed)

    def disk_full(self, what: str, needed: int) -> PermanentError:
        """The error of a workspace without room; `what` continues "no room to …"."""
        return PermanentError(
            ErrorCode.DISK_FULL,
            f"no room to {what}: {needed} bytes needed, {self.free_bytes()} free on the workspace; "
            "delete old runs' files or enlarge the volume",
        )


def fsync_dir(path: Path) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
