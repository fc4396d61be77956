"""Files that a block hands over: written durably first, then announced, never changed again."""

import hashlib
import mimetypes
from collections.abc import Callable, Sequence
from functools import lru_cache
from threading import Lock

from diffrun_contracts.events import Artifact
from diffrun_worker.block import NewFile
from diffrun_worker.workspace import Workspace

Announce = Callable[[Sequence[Artifact]], None]
"""Tells the world of artifacts that are durable."""


class ArtifactStore:
    """Writes one pod's artifacts. Safe to use from many threads: images are encoded and written off the loop."""

    def __init__(self, workspace: Workspace, directory: str, pod: str, announce: Announce) -> None:
        """`directory` is the pod's own, relative to the workspace; `announce` is called once files are durable."""
        self._workspace = workspace
        self._directory = directory
        self._pod = pod
        self._announce = announce
        self._next = 0
        self._written: list[Artifact] = []
        self._lock = Lock()

    def write(self, files: Sequence[NewFile]) -> list[Artifact]:
        """Writes the files, all or none, and announces them. Raises PermanentError `DiskFull`."""
        with self._lock:
            first, self._next = self._next, self._next + len(files)
        made = [self._describe(file, number) for number, file in enumerate(files, first)]
        self._workspace.write_all([(artifact.path, file.data) for artifact, file in zip(made, files, strict=True)])
        with self._lock:
            self._written.extend(made)
        self._announce(made)
        return made

    def _describe(self, file: NewFile, number: int) -> Artifact:
        # Opaque: nobody may guess the path of a file from it, or the id of another run's file.
        identifier = hashlib.sha256(f"{self._pod}/{self._directory}/{number}".encode()).hexdigest()[:32]
        name = f"{number:06d}-{identifier[:8]}{_suffix(file.content_type)}"
        return describe(file, identifier, f"{self._directory}/artifacts/{name}")

    @property
    def count(self) -> int:
        """How many artifacts have been written."""
        with self._lock:
            return len(self._written)

    def digest(self) -> str | None:
        """What a gate's decision is bound to; None without artifacts."""
        with self._lock:
            return artifacts_digest(self._written)


def describe(file: NewFile, identifier: str, path: str) -> Artifact:
    """What is told of a file."""
    return Artifact(
        id=identifier,
        path=path,
        schema_type=file.schema_type,
        content_type=file.content_type,
        tags=dict(file.tags),
        sha256=hashlib.sha256(file.data).hexdigest(),
        size=len(file.data),
        width=file.width,
        height=file.height,
    )


@lru_cache(maxsize=64)
def _suffix(content_type: str) -> str:
    return mimetypes.guess_extension(content_type, strict=True) or ".bin"


def artifacts_digest(artifacts: list[Artifact]) -> str | None:
    """`sha256:` over the artifacts' own digests, one a line, in the order of their ids; None without artifacts."""
    if not artifacts:
        return None
    ordered = sorted(artifacts, key=lambda artifact: artifact.id)
    return "sha256:" + hashlib.sha256("".join(f"{artifact.sha256}\n" for artifact in ordered).encode()).hexdigest()
