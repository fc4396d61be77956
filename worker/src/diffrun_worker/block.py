"""What a block is, and what the worker gives it.

A block is a class behind an entry point of the group `diffrun.blocks`, made without arguments. Its class
attribute `Params` names the pydantic model of its parameters; without one `run` gets them as a plain dict.

    class Blur:
        Params = BlurParams

        def run(self, params: BlurParams, ctx: BlockContext) -> Outputs:
            for step in range(params.steps):
                ctx.check_pause()
                ...
                ctx.metric("blur/sharpness", value, step=step)
                ctx.progress(step + 1, params.steps)
            return {"model_path": ctx.inputs["model_path"]}
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from diffrun_contracts.events import Artifact
from diffrun_contracts.status import Scalar
from diffrun_worker.workspace import Workspace

Outputs = Mapping[str, Scalar]
"""What later blocks get as their inputs: names to strings, numbers or booleans.

NaN and the infinities reach them as the strings "NaN", "Infinity" and "-Infinity", as in events.
"""


@dataclass(frozen=True)
class Shard:
    """Which part of the block's work this pod does."""

    index: int = 0
    """From 0 to `count - 1`."""
    count: int = 1
    """How many pods share the work."""


class Point(NamedTuple):
    """One value of one series, as the hot loop hands it over: no validation, no copy."""

    name: str
    """Letters, digits, `_`, `.`, `/` and `-`, for example `denoise/snr`."""
    value: float
    """A Python float; NaN and infinities are kept."""
    step: int
    """The x axis, from 0."""
    labels: Mapping[str, str | int] = {}
    """Tells series of one metric apart."""


class Interruption(StrEnum):
    """What `check_pause` would do now."""

    PAUSE = "pause"
    """Hold."""
    STOP = "stop"
    """Raise Stopped."""


@dataclass(frozen=True)
class NewFile:
    """A file that is to become an artifact."""

    data: bytes
    """Its bytes."""
    schema_type: str
    """What it is, for example `generated_sample`."""
    content_type: str
    """For example `image/png`."""
    tags: Mapping[str, str] = field(default_factory=dict)
    """What pages filter by."""
    width: int | None = None
    """Pixels, of an image."""
    height: int | None = None
    """Pixels, of an image."""


class BlockContext(Protocol):
    """The worker's side of a block. All methods but `check_pause` may be called from any thread."""

    @property
    def inputs(self) -> Mapping[str, Scalar]:
        """The outputs of the blocks that this one depends on."""

    @property
    def seed(self) -> int:
        """The run's seed."""

    @property
    def shard(self) -> Shard:
        """Which part of the work is this pod's."""

    @property
    def retry(self) -> int:
        """How often this shard has failed before in this attempt, evictions included."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda:0`; never `cpu` where GPUs were asked for."""

    @property
    def workspace(self) -> Workspace:
        """The files that the run's blocks share: read at its `path`, `write`, or make at a `place` and `keep`."""

    @property
    def directory(self) -> str:
        """The block's own folder, workspace-relative: shared by its shards, and by whoever tries again."""

    @property
    def interruption(self) -> Interruption | None:
        """What `check_pause` would do now, for pods that must agree before any of them holds or stops."""

    def metric(self, name: str, value: float, *, step: int, **labels: str | int) -> None:
        """Publishes one point. Never blocks."""

    def metrics(self, points: Iterable[Point]) -> None:
        """Publishes many points at once: what the hot loop uses. Never blocks."""

    def artifact(
        self,
        data: bytes,
        *,
        schema_type: str,
        content_type: str,
        tags: Mapping[str, str] | None = None,
        width: int | None = None,
        height: int | None = None,
    ) -> Artifact:
        """Writes a file durably, then announces it. Blocks for the disk: call it off the hot loop's thread.

        Every context takes this as it is: a batch of one file. Raises PermanentError `DiskFull` where the workspace
        has no room.
        """
        (written,) = self.artifact_batch([NewFile(data, schema_type, content_type, tags or {}, width, height)])
        return written

    def artifact_batch(self, files: Sequence[NewFile]) -> list[Artifact]:
        """Does the same for files that are ready together, all or none of them, for little more than one costs."""

    def progress(self, done: int, total: int) -> None:
        """Says how far this shard has come. Never blocks; only the newest value matters."""

    def check_pause(self) -> None:
        """Call between two steps: looks at a flag, and holds here while the run is paused.

        Raises Stopped once SIGTERM has come.
        """


class Block(Protocol):
    """One kind of work."""

    def run(self, params: Any, ctx: BlockContext) -> Outputs:
        """Does this shard's part of the work.

        Raises PermanentError or TemporaryError to say which; anything else counts as a failure that may be retried.
        """
