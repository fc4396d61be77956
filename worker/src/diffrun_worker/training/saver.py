"""Training states are written beside the loop, which only waits where the one before is not yet durable."""

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

from diffrun_worker.errors import Stopped
from diffrun_worker.training.checkpoints import CheckpointFolder
from diffrun_worker.training.state import Snapshot


class Saver:
    """Writes states beside the loop, one at a time. Leaving its context waits and raises what failed."""

    def __init__(
        self, folder: CheckpointFolder, scheduler_config: Mapping[str, Any], classes: tuple[str, ...] | None
    ) -> None:
        self._folder = folder
        self._scheduler_config = scheduler_config
        self._classes = classes
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoints")
        self._writing: Future[Any] | None = None

    def __enter__(self) -> "Saver":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True)
        if error is None or isinstance(error, Stopped):
            self.wait()

    def wait(self) -> None:
        """Until the last state is durable. Raises what writing it met with."""
        if self._writing is not None:
            self._writing.result()

    def put(self, snapshot: Snapshot) -> None:
        """Hands a state over; waits for the one before."""
        self.wait()
        self._writing = self._thread.submit(self._folder.save, snapshot, self._scheduler_config, self._classes)
