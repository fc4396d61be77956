"""The workspace, read so that nothing outside a run's own directory can be reached.

On a volume every component of a path is opened relative to the one before it and never through a symbolic link, so
that no check can be overtaken by a rename. Only regular files give bytes. `store_files` reads an object store.
"""

import errno
import os
import stat
import uuid
from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from diffrun_contracts import names

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.ENAMETOOLONG, errno.ENXIO})


class NotThere(Exception):  # noqa: N818 - an answer, not a failure
    """There is no such regular file inside the run's directory."""


@dataclass(frozen=True)
class PodDirectory:
    """Where one pod left `events.jsonl` and `manifest.json`."""

    path: str
    """Relative to the workspace."""
    block: str
    attempt: int
    shard: int
    retry: int


@dataclass(frozen=True)
class EventFile:
    """A file of a pod's events."""

    path: str
    """Relative to the workspace."""
    sealed: bool
    """Whether it never changes; otherwise lines are appended to it."""


class State(NamedTuple):
    """What changes whenever a file's bytes do."""

    identity: tuple[Hashable, ...]
    """Which file, and which version of it."""
    size: int
    changed: int
    """When it did so last, in nanoseconds; unlike the time of modification nobody can set it back. 0 where `identity`
    alone tells."""

    @classmethod
    def of(cls, descriptor: int) -> Self:
        """The state of an open file of a volume."""
        found = os.fstat(descriptor)
        identity = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_ctime_ns)
        return cls(identity, found.st_size, found.st_ctime_ns)


class OpenFile(Protocol):
    """A file that is being read. Its methods wait for the disk or the store: call them from a thread."""

    @property
    def state(self) -> State:
        """Its state when it was opened."""

    @property
    def size(self) -> int:
        """Its bytes then."""

    @property
    def chunk(self) -> int:
        """Bytes that are best read at once."""

    def read(self, first: int, count: int) -> bytes:
        """At most `count` bytes from `first` on; none at the end."""

    def now(self) -> State:
        """Its present state. Raises NotThere, OSError."""

    def again(self) -> "OpenFile":
        """The same file, opened for somebody else, who closes it."""

    def close(self) -> None:
        """Ends the reading."""


class Files(ABC):
    """The runs' directories of a workspace. Raises OSError where it does not answer."""

    @abstractmethod
    def open(self, uid: str, path: str) -> AbstractContextManager[OpenFile]:
        """A regular file below the directory of the run `uid`. Raises NotThere."""

    @abstractmethod
    def write(self, uid: str, name: str, data: bytes) -> None:
        """Puts a whole file into the run's directory. Raises NotThere without that directory, OSError."""

    @abstractmethod
    def event_files(self, pod: PodDirectory) -> list[EventFile]:
        """The files of a pod's events, in order."""

    @abstractmethod
    def _directories(self, path: str) -> list[str]:
        """The names of the directories in one, sorted; none where there is no such directory."""

    def state(self, uid: str, path: str) -> State | None:
        """A file's present state; None where there is none."""
        try:
            with self.open(uid, path) as file:
                return file.state
        except NotThere:
            return None

    def read(self, uid: str, path: str, limit: int) -> bytes:
        """A whole small file. Raises NotThere, also where it is larger than `limit` bytes."""
        with self.open(uid, path) as file:
            if file.size > limit:
                raise NotThere(path)
            return file.read(0, file.size) if file.size else b""

    def pods(self, uid: str) -> list[PodDirectory]:
        """Every pod's directory of a run, in order; none where the run has no files."""
        found = []
        for block in self._directories(names.run_dir(uid)):
            base = names.block_dir(uid, block)
            for attempt in self._numbers(base):
                for shard in self._numbers(f"{base}/{attempt}"):
                    shard_dir = names.shard_dir(uid, block, attempt, shard)
                    for retry in self._numbers(shard_dir):
                        path = names.retry_dir(uid, block, attempt, shard, retry)
                        found.append(PodDirectory(path, block, attempt, shard, retry))
        return found

    def runs(self) -> list[str]:
        """The UIDs that have a directory."""
        return self._directories("runs")

    def _numbers(self, path: str) -> list[int]:
        return sorted(int(name) for name in self._directories(path) if name.isascii() and name.isdecimal())


class Descriptor:
    """An open file of a volume."""

    chunk = 256 * 1024

    def __init__(self, number: int) -> None:
        self._number = number
        self.state = State.of(number)
        self.size = self.state.size

    def read(self, first: int, count: int) -> bytes:
        """At most `count` bytes from `first` on."""
        return os.pread(self._number, count, first)

    def now(self) -> State:
        """Its present state."""
        return State.of(self._number)

    def again(self) -> "Descriptor":
        """The same file, though this one be closed."""
        return Descriptor(os.dup(self._number))

    def close(self) -> None:
        """Closes the descriptor."""
        os.close(self._number)


class VolumeFiles(Files):
    """The runs' directories of a workspace on a mounted volume."""

    def __init__(self, root: Path) -> None:
        """Raises NotADirectoryError where there is no such directory."""
        self.root = root.resolve()
        if not self.root.is_dir():
            raise NotADirectoryError(f"the workspace {root} is not a directory")

    @contextmanager
    def open(self, uid: str, path: str) -> Iterator[Descriptor]:
        """A regular file below the directory of the run `uid`. Raises NotThere."""
        descriptor = self._descend(parts_in_run(uid, path))
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise NotThere(path)
            yield Descriptor(descriptor)
        finally:
            os.close(descriptor)

    def event_files(self, pod: PodDirectory) -> list[EventFile]:
        """One, which may not be there yet."""
        return [EventFile(f"{pod.path}/{names.EVENTS_FILE}", sealed=False)]

    def write(self, uid: str, name: str, data: bytes) -> None:
        """Puts a whole file into the run's directory by rename. Raises NotThere without that directory, OSError."""
        try:
            directory = self._descend(names.run_dir(uid).split("/"), last=_DIRECTORY)
        except NotThere:
            raise NotThere(names.run_dir(uid)) from None
        temporary = f".{name}.{uuid.uuid4().hex}.tmp"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o644, dir_fd=directory)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(temporary, dir_fd=directory)
                raise
            os.fsync(directory)
        finally:
            os.close(directory)

    def _descend(self, parts: list[str], last: int = _FILE) -> int:
        """Opens one component after the other; the caller closes the last."""
        current = os.open(self.root, _DIRECTORY & ~os.O_NOFOLLOW)
        for index, part in enumerate(parts):
            flags = last if index == len(parts) - 1 else _DIRECTORY
            try:
                following = os.open(part, flags, dir_fd=current)
            except OSError as error:
                if error.errno in _ABSENT:
                    raise NotThere("/".join(parts)) from error
                raise
            finally:
                os.close(current)
            current = following
        return current

    def _directories(self, path: str) -> list[str]:
        try:
            descriptor = self._descend(path.split("/"), last=_DIRECTORY)
        except NotThere:
            return []
        try:
            with os.scandir(descriptor) as entries:
                return sorted(e.name for e in entries if not e.name.startswith(".") and e.is_dir(follow_symlinks=False))
        finally:
            os.close(descriptor)


def parts_in_run(uid: str, path: str) -> list[str]:
    """The components of a path below the directory of the run `uid`. Raises NotThere for any other path."""
    parts = _parts(path)
    if parts is None or tuple(parts[:2]) != tuple(names.run_dir(uid).split("/")) or len(parts) < 3:
        raise NotThere(path)
    return parts


def _parts(path: str) -> list[str] | None:
    """The components of a relative path that goes only downwards; None for any other."""
    if not path or "\0" in path or "\\" in path or path.startswith("/"):
        return None
    parts = path.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return None
    return parts
