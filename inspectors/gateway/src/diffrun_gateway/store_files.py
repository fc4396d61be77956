"""The runs' directories of a workspace in an object store, read through fsspec.

Paths are held to the same rule as on a volume; there are no links that could lead elsewhere. Whatever the store's
client raises becomes an OSError, so that nobody has to know which client it is.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fsspec.core import url_to_fs

from diffrun_contracts import names
from diffrun_gateway.files import EventFile, Files, NotThere, PodDirectory, State, parts_in_run

# Somebody waits for the page: fewer attempts than a worker makes.
_S3_CONFIG = {"connect_timeout": 5, "read_timeout": 20, "retries": {"mode": "standard", "total_max_attempts": 3}}


class StoreFiles(Files):
    """Used from many threads. Raises OSError wherever the store does not answer, or does not let us in."""

    def __init__(self, url: str) -> None:
        """Asks the store for nothing yet. Raises OSError where there is no client for the URL's scheme."""
        options: dict[str, Any] = {"config_kwargs": _S3_CONFIG} if url.startswith(("s3://", "s3a://")) else {}
        try:
            self._fs, root = url_to_fs(url.rstrip("/"), use_listings_cache=False, skip_instance_cache=True, **options)
        except (ImportError, ValueError) as error:
            raise OSError(errno.ENOTSUP, f"the workspace {url}: its client is not installed ({error})") from error
        self._root = str(root).rstrip("/")

    @contextmanager
    def open(self, uid: str, path: str) -> Iterator["_Object"]:
        """An object below the directory of the run `uid`. Raises NotThere."""
        key = self._key("/".join(parts_in_run(uid, path)))
        yield _Object(self, key, self.look(key))

    def event_files(self, pod: PodDirectory) -> list[EventFile]:
        """The segments, which never change."""
        directory = f"{pod.path}/{names.EVENTS_DIR}"
        found = [name for name, kind in self._list(directory) if kind == "file" and name.endswith(".jsonl")]
        return [EventFile(f"{directory}/{name}", sealed=True) for name in found]

    def write(self, uid: str, name: str, data: bytes) -> None:
        """Puts an object; a put is atomic. Raises NotThere without any other below the run's directory, OSError."""
        if not self._list(names.run_dir(uid)):
            raise NotThere(names.run_dir(uid))
        with _told(name):
            self._fs.pipe_file(self._key(f"{names.run_dir(uid)}/{name}"), data)

    def cat(self, key: str, first: int, count: int) -> bytes:
        """A part of an object."""
        with _told(key):
            return bytes(self._fs.cat_file(key, start=first, end=first + count))

    def look(self, key: str) -> State:
        """An object's present state: its size and tag. Raises NotThere."""
        with _told(key):
            info = self._fs.info(key)
        if info["type"] != "file":
            raise NotThere(key)
        tag = next((info[name] for name in ("ETag", "etag", "created", "mtime") if info.get(name)), None)
        return State((key, str(tag)), int(info["size"] or 0), 0)

    def _directories(self, path: str) -> list[str]:
        return [name for name, kind in self._list(path) if kind == "directory" and not name.startswith(".")]

    def _list(self, path: str) -> list[tuple[str, str]]:
        """Names and kinds in a directory, sorted; none where there is none."""
        try:
            with _told(path):
                found = self._fs.ls(self._key(path), detail=True)
        except NotThere:
            return []
        return sorted((str(entry["name"]).rstrip("/").rpartition("/")[2], str(entry["type"])) for entry in found)

    def _key(self, path: str) -> str:
        return f"{self._root}/{path}"


@dataclass(frozen=True)
class _Object:
    """An object as it was when it was asked for."""

    files: StoreFiles
    key: str
    state: State
    chunk: int = 4 << 20
    """Each piece is a request."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self.state.size

    def read(self, first: int, count: int) -> bytes:
        """At most `count` bytes from `first` on."""
        count = min(count, self.size - first)
        return self.files.cat(self.key, first, count) if count > 0 else b""

    def now(self) -> State:
        """The object's present state."""
        return self.files.look(self.key)

    def again(self) -> "_Object":
        """The same."""
        return self

    def close(self) -> None:
        """Nothing is held."""


@contextmanager
def _told(what: str) -> Iterator[None]:
    """NotThere for what is missing; an OSError for whatever else a client raises."""
    try:
        yield
    except FileNotFoundError as error:
        response = getattr(error.__cause__, "response", None) or {}
        if response.get("Error", {}).get("Code") == "NoSuchBucket":
            raise OSError(errno.ENXIO, "the workspace's bucket does not exist; correct workspace.url") from error
        raise NotThere(what) from error
    except PermissionError as error:
        message = f"the store does not let the gateway in ({error}); check the keys in its Secret"
        raise OSError(errno.EACCES, message) from error
    except Exception as error:
        raise OSError(errno.EIO, f"the object store does not answer ({type(error).__name__}: {error})") from error
