"""A context in memory, for the unit tests of blocks."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffrun_contracts.events import Artifact
from diffrun_contracts.status import Scalar
from diffrun_worker.artifacts import describe
from diffrun_worker.block import BlockContext, Interruption, NewFile, Point, Shard
from diffrun_worker.workspace import Workspace


@dataclass
class RecordingContext:
    """A BlockContext that keeps what the block says. Artifacts' bytes stay in memory."""

    root: Path
    """The workspace's directory, a test's `tmp_path`."""
    inputs: Mapping[str, Scalar] = field(default_factory=dict)
    seed: int = 0
    shard: Shard = field(default_factory=Shard)
    retry: int = 0
    device: str = "cpu"
    on_check_pause: Callable[[int], None] | None = None
    """Called by `check_pause` with the number of calls before; may raise Stopped."""
    points: list[Point] = field(default_factory=list)
    artifacts: list[Artifact] = field(default_factory=list)
    data: dict[str, bytes] = field(default_factory=dict)
    """Artifacts' bytes by id."""
    progressed: list[tuple[int, int]] = field(default_factory=list)
    pause_checks: int = 0

    directory: str = "runs/recorded/block"
    """The block's own folder, workspace-relative."""
    interruption: Interruption | None = None
    """What other parts of a test may set."""

    @property
    def workspace(self) -> Workspace:
        """The workspace at `root`."""
        return Workspace(str(self.root))

    def metric(self, name: str, value: float, *, step: int, **labels: str | int) -> None:
        """Keeps one point."""
        self.points.append(Point(name, value, step, labels))

    def metrics(self, points: Iterable[Point]) -> None:
        """Keeps many points."""
        self.points.extend(points)

    artifact = BlockContext.artifact

    def artifact_batch(self, files: Sequence[NewFile]) -> list[Artifact]:
        """Keeps artifacts and their bytes."""
        kept = []
        for file in files:
            identifier = f"artifact-{len(self.artifacts)}"
            kept.append(describe(file, identifier, f"artifacts/{identifier}"))
            self.artifacts.append(kept[-1])
            self.data[identifier] = file.data
        return kept

    def progress(self, done: int, total: int) -> None:
        """Keeps the progress."""
        self.progressed.append((done, total))

    def check_pause(self) -> None:
        """Counts the calls and lets the test act."""
        if self.on_check_pause is not None:
            self.on_check_pause(self.pause_checks)
        self.pause_checks += 1
