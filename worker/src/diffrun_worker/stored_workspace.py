"""A workspace in an object store, by way of a folder of the pod's own scratch space.

Blocks read and write files, so every file passes through a folder that only this process knows. What is read is
fetched into it first; what is written is put into the store before anybody hears of it. Objects know no folders: one
that others must see whole or not at all carries a marker while its files come or go, and is passed over meanwhile.
"""

import os
import shutil
import tempfile
import threading
import uuid
import weakref
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from fsspec.core import split_protocol

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.object_store import Entry, ObjectStore
from diffrun_worker.workspace import DISK_FULL_ERRNOS, LOCAL_SCHEMES, Workspace, checked

_T = TypeVar("_T")

INCOMPLETE = ".incomplete"
"""The object in a folder whose files are coming or going."""


def open_workspace(url: str) -> Workspace:
    """The workspace at a path, a `file://…` or the URL of an object store. Raises what the two classes raise."""
    return Workspace(url) if split_protocol(url)[0] in LOCAL_SCHEMES else StoredWorkspace(url)


class StoredWorkspace(Workspace):
    """A workspace in an object store. What was fetched once is not asked for again, but by `refresh`."""

    appendable = False

    def __init__(self, url: str, scratch: Path | None = None) -> None:
        """`scratch` is where the folder is made; by default the caches' directory, else that of temporary files.

        Raises what `ObjectStore` raises.
        """
        self._store = ObjectStore(url)
        parent = scratch or Path(os.environ.get("XDG_CACHE_HOME") or tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.mkdtemp(prefix="diffrun-workspace-", dir=parent)
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        super().__init__(folder)
        self._fetching = threading.Lock()
        self._fetched: set[PurePosixPath] = set()
        self._same: dict[str, tuple[int, int]] = {}
        """Size and mtime of each file that is in the store as it is here."""

    def path(self, relative: str) -> Path:
        """Fetches the file, or all files below the folder, unless they are here. What is not there is no error.

        Raises PermanentError `PathOutsideWorkspace`, `DiskFull`, and what `ObjectStore` raises.
        """
        place, pure = self.place(relative), checked(relative)
        with self._fetching:
            if self._fetched.isdisjoint((pure, *pure.parents)) and self._fetch(pure, again=False):
                self._fetched.add(pure)
        return place

    def refresh(self, relative: str) -> Path:
        """Fetches again what others may have changed or added meanwhile. Raises what `path` raises."""
        with self._fetching:
            self._fetch(checked(relative), again=True)
        return self.place(relative)

    def read(self, relative: str) -> bytes:
        """One file's bytes, and nothing beside it. Raises FileNotFoundError, and what `path` raises."""
        return self._store.read(str(checked(relative)))

    def sizes(self, relative: str) -> dict[str, int]:
        """Asks the store, and fetches nothing."""
        folder = checked(relative)
        found = _whole(self._store.sizes(str(folder)))
        return {str(PurePosixPath(key).relative_to(folder)): size for key, size in found.items()}

    def write(self, relative: str, data: bytes) -> Path:
        """Puts a whole file; it is readable here too. Raises PermanentError `DiskFull`, what `ObjectStore` raises."""
        target = self.place(relative)
        self._stage(target, data)
        self._put([target], again=True)
        return target

    def write_all(self, files: Sequence[tuple[str, bytes]]) -> list[Path]:
        """Puts whole files and keeps no copy: a full batch of images would not fit into the scratch space."""
        places = [self.place(relative) for relative, _ in files]
        self._store.put({self.relative(place): data for place, (_, data) in zip(places, files, strict=True)})
        return places

    def keep(self, path: Path, *, whole: bool = False) -> None:
        """Puts what has been made at a place: a file, or a folder with all below it but hidden names."""
        if not whole:
            self._put(_files_of(path), again=path.is_file())
            return
        marker = f"{self.relative(path)}/{INCOMPLETE}"
        made = _files_of(path)
        before = self._store.sizes(self.relative(path))
        self._store.put({marker: b""})
        self._put(made, again=True)
        self._store.remove(sorted(before.keys() - {self.relative(file) for file in made} - {marker}))
        self._store.remove([marker])

    def discard(self, path: Path) -> None:
        """Removes a folder here and in the store."""
        folder = self.relative(path)
        marker = f"{folder}/{INCOMPLETE}"
        if keys := self._store.sizes(folder).keys() - {marker}:
            self._store.put({marker: b""})
            self._store.remove([*sorted(keys), marker])
        super().discard(path)

    def disk_full(self, what: str, needed: int) -> PermanentError:
        """The error of a scratch space without room; `what` continues "no room to …"."""
        return PermanentError(
            ErrorCode.DISK_FULL,
            f"no room to {what}: {needed} bytes needed, {self._free_words()} free in the pod's scratch space, "
            "through which files of an object store pass; raise worker.scratch.cache",
        )

    def _fetch(self, pure: PurePosixPath, *, again: bool) -> bool:
        """Whether there is anything. With `again`, files that came from the store before are fetched anew."""
        entries = _whole(self._store.entries(str(pure)))
        wanted = {}
        for key, entry in entries.items():
            place = self.place(key)
            if not place.exists() or (again and self._same.get(key) == _mark(place)):
                place.parent.mkdir(parents=True, exist_ok=True)
                wanted[key] = entry
        try:
            self._get(wanted)
        except OSError as error:
            if error.errno in DISK_FULL_ERRNOS:
                raise self.disk_full(f"fetch {pure}", sum(entry.size for entry in wanted.values())) from error
            raise
        return bool(entries)

    def _get(self, wanted: Mapping[str, Entry]) -> None:
        """Fetches beside their places and renames: nobody reads half a file. Files are as old as their objects."""
        mark = uuid.uuid4().hex
        places = {key: self.place(key) for key in wanted}
        partial = [(key, place.with_name(f".{place.name}.{mark}.tmp")) for key, place in places.items()]
        try:
            self._store.get_files(partial)
            for key, temporary in partial:
                if (modified := wanted[key].modified) is not None:
                    os.utime(temporary, (modified, modified))
                temporary.replace(places[key])
                self._same[key] = _mark(places[key])
        finally:
            for _, temporary in partial:
                temporary.unlink(missing_ok=True)

    def _stage(self, target: Path, data: bytes) -> None:
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(data)
            temporary.replace(target)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            if error.errno in DISK_FULL_ERRNOS:
                raise self.disk_full(f"write {target.name}", len(data)) from error
            raise

    def _put(self, paths: Iterable[Path], *, again: bool = False) -> None:
        """Puts files; without `again` only those that the store does not have as they are."""
        marks = {self.relative(path): (path, _mark(path)) for path in paths}
        changed = {key: made for key, made in marks.items() if again or self._same.get(key) != made[1]}
        self._store.put_files([(path, key) for key, (path, _) in changed.items()])
        self._same.update({key: mark for key, (_, mark) in changed.items()})


def _files_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file())
    return [file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts)]


def _mark(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _whole(objects: dict[str, _T]) -> dict[str, _T]:
    """Without the folders whose files are coming or going."""
    unfinished = {PurePosixPath(key).parent for key in objects if PurePosixPath(key).name == INCOMPLETE}
    if not unfinished:
        return objects
    return {key: what for key, what in objects.items() if unfinished.isdisjoint(PurePosixPath(key).parents)}
