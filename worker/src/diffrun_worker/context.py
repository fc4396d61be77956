"""The context that a block gets in a pod: everything a block says goes through here."""

from collections.abc import Iterable, Mapping, Sequence

from diffrun_contracts.events import Artifact, ArtifactWritten
from diffrun_contracts.status import Scalar
from diffrun_worker.artifacts import ArtifactStore
from diffrun_worker.block import BlockContext, Interruption, NewFile, Point, Shard
from diffrun_worker.control import Control
from diffrun_worker.journal import Journal
from diffrun_worker.workspace import Workspace


class WorkerContext:
    """A BlockContext over the workspace's files."""

    def __init__(
        self,
        *,
        inputs: Mapping[str, Scalar],
        seed: int,
        shard: Shard,
        retry: int,
        device: str,
        workspace: Workspace,
        journal: Journal,
        control: Control,
        pod: str,
    ) -> None:
        self.inputs = inputs
        self.seed = seed
        self.shard = shard
        self.retry = retry
        self.device = device
        self.workspace = workspace
        self.artifacts = ArtifactStore(workspace, journal.directory, pod, self._announce)
        self._journal = journal
        self._control = control

    @property
    def directory(self) -> str:
        """The block's own folder, workspace-relative."""
        return self._journal.block_directory

    @property
    def interruption(self) -> Interruption | None:
        """What `check_pause` would do now."""
        return self._control.interruption

    def metric(self, name: str, value: float, *, step: int, **labels: str | int) -> None:
        """Publishes one point."""
        self._journal.metrics([Point(name, value, step, labels)])

    def metrics(self, points: Iterable[Point]) -> None:
        """Publishes many points at once."""
        self._journal.metrics(list(points))

    artifact = BlockContext.artifact

    def artifact_batch(self, files: Sequence[NewFile]) -> list[Artifact]:
        """Writes files durably, then announces them."""
        return self.artifacts.write(files)

    def progress(self, done: int, total: int) -> None:
        """Says how far this shard has come."""
        self._journal.progress(done, total)

    def check_pause(self) -> None:
        """Holds while the run is paused, raises Stopped after SIGTERM, and what the journal met with."""
        self._journal.raise_failure()
        self._control.check_pause()

    def _announce(self, artifacts: Sequence[Artifact]) -> None:
        self._journal.events([ArtifactWritten(artifact=artifact) for artifact in artifacts])
