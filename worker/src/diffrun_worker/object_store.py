"""An object store, spoken to through fsspec, and what goes wrong with one told as our own errors.

A put is atomic: an object is there whole or not at all. Its client tries again by itself, with growing pauses, where
the store does not answer or says that it is busy; what is raised here comes after that.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from fsspec.core import split_protocol, url_to_fs

from diffrun_contracts import names
from diffrun_worker.errors import BlockError, ErrorCode, PermanentError, TemporaryError
from diffrun_worker.workspace import DISK_FULL_ERRNOS

ATTEMPTS = 6
"""Requests that the client makes before it gives up, with pauses of up to 1, 2, 4, … seconds between them."""

_NO_CREDENTIALS = ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError")
"""How botocore's errors are called that no S3 client can be asked for without importing it."""


@dataclass(frozen=True)
class Entry:
    """What a store says of an object."""

    size: int
    """Bytes."""
    modified: float | None
    """When it was put, in seconds since 1970, where the store says so."""


class ObjectStore:
    """The objects below one URL; keys are relative to it. Safe to use from many threads."""

    def __init__(self, url: str) -> None:
        """Looks whether the store answers.

        Raises PermanentError `UnsupportedWorkspace` for a scheme without a client, `StoreAccessDenied`,
        `BucketNotFound`; TemporaryError `WorkspaceUnavailable`.
        """
        self.url = url.rstrip("/")
        scheme = split_protocol(url)[0]
        options = _s3_options() if scheme in ("s3", "s3a") else {}
        try:
            self._fs, root = url_to_fs(self.url, use_listings_cache=False, skip_instance_cache=True, **options)
        except (ImportError, ValueError) as error:
            raise PermanentError(
                ErrorCode.UNSUPPORTED_WORKSPACE,
                f"the workspace {url!r} needs a client for {scheme}:// that is not installed ({error}); "
                "add it to the image, or use s3:// or a mounted volume",
            ) from error
        self._root = str(root).rstrip("/")
        self.bucket = self._root.strip("/").partition("/")[0]
        with self._told("list"):
            try:
                self._fs.ls(self._root, detail=False)
            except FileNotFoundError as error:
                self._require_bucket(error)  # otherwise nothing has been written there yet

    def put(self, objects: Mapping[str, bytes]) -> None:
        """Puts objects; returns once the store has all of them."""
        with self._told("write"):
            self._fs.pipe({self._key(key): data for key, data in objects.items()})

    def put_files(self, files: Sequence[tuple[Path, str]]) -> None:
        """Puts files under keys; returns once the store has all of them."""
        with self._told("write"):
            if files:
                self._fs.put([str(path) for path, _ in files], [self._key(key) for _, key in files])

    def get_files(self, files: Sequence[tuple[str, Path]]) -> None:
        """Fetches objects into files, in folders that exist. Raises FileNotFoundError where one has gone."""
        with self._told("read"):
            if files:
                self._fs.get([self._key(key) for key, _ in files], [str(path) for _, path in files])

    def read(self, key: str) -> bytes:
        """A whole object. Raises FileNotFoundError."""
        with self._told("read"):
            return bytes(self._fs.cat_file(self._key(key)))

    def sizes(self, key: str) -> dict[str, int]:
        """The object of that key, or all below it, by their keys, with their bytes; empty where there is none."""
        return {name: entry.size for name, entry in self.entries(key).items()}

    def entries(self, key: str) -> dict[str, Entry]:
        """The same with all that the store says of them."""
        with self._told("list"):
            try:
                found = self._fs.find(self._key(key), detail=True)
            except FileNotFoundError as error:
                self._require_bucket(error)
                return {}
        return {name.removeprefix(f"{self._root}/"): _entry(info) for name, info in found.items()}

    def remove(self, keys: Sequence[str]) -> None:
        """Removes objects; one that has gone already is no error."""
        with self._told("delete"):
            for key in keys:
                try:
                    self._fs.rm_file(self._key(key))
                except FileNotFoundError as error:
                    self._require_bucket(error)

    def _key(self, key: str) -> str:
        return self._root if key in ("", ".") else f"{self._root}/{key}"

    def _require_bucket(self, error: FileNotFoundError) -> None:
        """Raises PermanentError `BucketNotFound` where it is not an object that is missing."""
        response = getattr(error.__cause__, "response", None) or {}
        if response.get("Error", {}).get("Code") == "NoSuchBucket":
            raise PermanentError(
                ErrorCode.BUCKET_NOT_FOUND,
                f"there is no bucket {self.bucket!r} for the workspace {self.url}; make it, or correct workspace.url",
            ) from error

    @contextmanager
    def _told(self, verb: str) -> Iterator[None]:
        """Turns whatever a client raises into our own errors; a missing object stays a FileNotFoundError."""
        try:
            yield
        except BlockError:
            raise
        except FileNotFoundError as error:
            self._require_bucket(error)
            raise
        except PermissionError as error:
            raise self._denied(verb, str(error)) from error
        except Exception as error:
            if type(error).__name__ in _NO_CREDENTIALS:
                raise self._denied(verb, str(error)) from error
            if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
                raise
            raise TemporaryError(
                ErrorCode.WORKSPACE_UNAVAILABLE,
                f"cannot {verb} objects of {self.url}: {type(error).__name__}: {error}; tried several times",
            ) from error

    def _denied(self, verb: str, said: str) -> PermanentError:
        secret = os.environ.get(names.ENV_WORKSPACE_SECRET)
        where = f"the Secret {secret}" if secret else "the Secret that workspace.secretName names"
        return PermanentError(
            ErrorCode.STORE_ACCESS_DENIED,
            f"may not {verb} objects of the bucket {self.bucket!r} ({said.rstrip('.')}); check the keys in {where}, "
            "and that they may list, read, write and delete there",
        )


def _entry(info: Mapping[str, Any]) -> Entry:
    # fsspec's file systems agree neither on its name nor on its type.
    time = next((info[name] for name in ("LastModified", "mtime", "created") if info.get(name)), None)
    modified = time.timestamp() if isinstance(time, datetime) else time
    return Entry(int(info["size"] or 0), modified if isinstance(modified, float) else None)


def _s3_options() -> dict[str, Any]:
    attempts = int(os.environ.get("AWS_MAX_ATTEMPTS", ATTEMPTS))
    retries = {"mode": "standard", "total_max_attempts": attempts}
    return {"config_kwargs": {"connect_timeout": 10, "read_timeout": 60, "retries": retries}}
