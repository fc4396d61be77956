"""A block's context without a run: what it draws becomes files in one folder, and nothing else is kept."""

import logging
import signal
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from diffrun_contracts.events import Artifact
from diffrun_contracts.status import Scalar
from diffrun_worker.artifacts import describe
from diffrun_worker.block import BlockContext, Interruption, NewFile, Point, Shard
from diffrun_worker.errors import Stopped
from diffrun_worker.workspace import Workspace

logger = logging.getLogger(__name__)

_LOG_SECONDS = 10.0


class FolderContext:
    """A BlockContext for one block that only draws images."""

    def __init__(self, models: Path, output: Path, device: str, clock: Callable[[], float] = time.monotonic) -> None:
        """`models` is the folder that the model lies in; images go to `output`, numbered from 0.

        Ctrl-C and SIGTERM stop the block between two steps.
        """
        output.mkdir(parents=True, exist_ok=True)
        self.inputs: Mapping[str, Scalar] = {}
        self.seed = 0
        self.shard = Shard()
        self.retry = 0
        self.device = device
        self.workspace = Workspace(str(models))
        self.directory = ""
        self.written = 0
        """Images so far."""
        self._output = Workspace(str(output))
        self._stopped = False
        self._clock = clock
        self._logged_at = clock()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._stop())

    @property
    def interruption(self) -> Interruption | None:
        """What `check_pause` would do now."""
        return Interruption.STOP if self._stopped else None

    def metric(self, name: str, value: float, *, step: int, **labels: str | int) -> None:
        """Keeps nothing."""

    def metrics(self, points: Iterable[Point]) -> None:
        """Keeps nothing."""

    artifact = BlockContext.artifact

    def artifact_batch(self, files: Sequence[NewFile]) -> list[Artifact]:
        """Writes images under their samples' numbers. Raises PermanentError `DiskFull`."""
        names = [f"{int(file.tags['sample_index']):06d}.png" for file in files]
        self._output.write_all([(name, file.data) for name, file in zip(names, files, strict=True)])
        self.written += len(files)
        return [describe(file, name, name) for name, file in zip(names, files, strict=True)]

    def progress(self, done: int, total: int) -> None:
        """A line in the log every few seconds."""
        if self._clock() - self._logged_at >= _LOG_SECONDS:
            self._logged_at = self._clock()
            logger.info("%d of %d steps", done, total)

    def check_pause(self) -> None:
        """Raises Stopped after Ctrl-C or SIGTERM."""
        if self._stopped:
            raise Stopped

    def _stop(self) -> None:
        self._stopped = True
