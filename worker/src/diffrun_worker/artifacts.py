"""Files that a block hands over: written durably first, then announced, never changed again."""

import hashlib
import itertools
import mimetypes
from collections.abc import Callable, Mapping
from threading import Lock

from diffrun_contracts.events import Artifact
from diffrun_worker.workspace import Workspace


class ArtifactStore:
    """Writes one pod's artifacts. Safe to use from many threads: images are encoded and written off the loop."""

    def __init__(self, workspace: Workspace, directory: str, pod: str, announce: Callable[[Artifact], None]) -> None:
        """`directory` is the pod's own, relative to the workspace; `announce` is called once a file is durable."""
        self._workspace = workspace
        self._directory = directory
        self._pod = pod
        self._announce = announce
        self._numbers = itertools.count()
        self._written: list[Artifact] = []
        self._lock = Lock()

    def write(
        self,
        data: bytes,
        *,
        schema_type: str,
        content_type: str,
        tags: Mapping[str, str] | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> Artifact:
        """Writes the bytes and announces them. Raises PermanentError `DiskFull`."""
        number = next(self._numbers)
        # Opaque: nobody may guess the path of a file from it, or the id of another run's file.
        identifier = hashlib.sha256(f"{self._pod}/{self._directory}/{number}".encode()).hexdigest()[:32]
        suffix = mimetypes.guess_extension(content_type, strict=True) or ".bin"
        artifact = Artifact(
            id=identifier,
            path=f"{self._directory}/artifacts/{number:06d}-{identifier[:8]}{suffix}",
            schema_type=schema_type,
            content_type=content_type,
            tags=dict(tags or {}),
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
            width=width,
            height=height,
        )
        self._workspace.write(artifact.path, data)
        with self._lock:
            self._written.append(artifact)
        self._announce(artifact)
        return artifact

    @property
    def count(self) -> int:
        """How many artifacts have been written."""
        with self._lock:
            return len(self._written)

    def digest(self) -> str | None:
        """What a gate's decision is bound to; None without artifacts."""
        with self._lock:
            return artifacts_digest(self._written)


def artifacts_digest(artifacts: list[Artifact]) -> str | None:
    """`sha256:` over the artifacts' own digests, one a line, in the order of their ids; None without artifacts."""
    if not artifacts:
        return None
    ordered = sorted(artifacts, key=lambda artifact: artifact.id)
    return "sha256:" + hashlib.sha256("".join(f"{artifact.sha256}\n" for artifact in ordered).encode()).hexdigest()
