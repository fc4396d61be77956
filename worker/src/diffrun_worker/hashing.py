"""Checksums of files, with memory for one chunk."""

import hashlib
from collections.abc import Callable
from pathlib import Path

_CHUNK = 4 * 1024 * 1024


def sha256_file(path: Path, between: Callable[[], None] = lambda: None) -> str:
    """SHA-256 of a file, in hex; `between` is called between chunks and may raise to stop."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            between()
    return digest.hexdigest()


def git_blob_sha1(path: Path) -> str:
    """The name that git gives a file's contents, in hex: what the Hub tells of files outside large-file storage."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
