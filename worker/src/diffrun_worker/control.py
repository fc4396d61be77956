"""Pause and stop, as the block's loop sees them: flags that cost nothing to look at.

The operator annotates the pod, the kubelet writes the annotation into a file, a thread reads the file. Redis plays
no part. SIGTERM only sets a flag: the block stops between two steps, with its state intact.
"""

import logging
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from diffrun_contracts.events import Body, Paused, Resumed
from diffrun_worker.block import Interruption
from diffrun_worker.errors import Stopped

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often the file is read: a pause is asked to take hold within a second, and the kubelet has its share of that."""


class Control:
    """Watches the pause file and holds the block's loop."""

    def __init__(
        self,
        emit: Callable[[Body], None],
        pause_file: Path | None = None,
        *,
        poll_seconds: float = POLL_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`emit` takes the events `paused` and `resumed`. Without a file nothing ever pauses."""
        self._emit = emit
        self._file = pause_file
        self._poll_seconds = poll_seconds
        self._clock = clock
        self._pause = False
        self._stop = False
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        if pause_file is not None:
            self._pause = self._read()
            self._thread = threading.Thread(target=self._watch, name="control", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Makes the next `check_pause` raise Stopped. Safe in a signal handler: it takes no lock."""
        self._stop = True

    @property
    def interruption(self) -> Interruption | None:
        """What `check_pause` would do now."""
        if self._stop:
            return Interruption.STOP
        return Interruption.PAUSE if self._pause else None

    def install_signals(self) -> None:
        """Lets SIGTERM, and Ctrl-C without a cluster, stop the block. Call on the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop())

    def check_pause(self) -> None:
        """Two looks at a flag, unless the run is paused: then it holds until that ends.

        Raises Stopped once `stop` has been called.
        """
        if self._stop:
            raise Stopped
        if self._pause:
            self._hold()

    def close(self) -> None:
        """Ends the thread."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _hold(self) -> None:
        started = self._clock()
        self._emit(Paused())
        # A plain wait between looks: a signal handler could not notify a condition that this thread holds.
        while self._pause and not self._stop:
            self._closing.wait(self._poll_seconds)
        self._emit(Resumed(held_seconds=max(0.0, self._clock() - started)))
        if self._stop:
            raise Stopped

    def _watch(self) -> None:
        while not self._closing.wait(self._poll_seconds):
            self._pause = self._read()

    def _read(self) -> bool:
        """Whether the file asks for a pause. A file that cannot be read leaves things as they are."""
        if self._file is None:
            return False
        try:
            return self._file.read_text().strip().lower() == "true"
        except FileNotFoundError:
            return False
        except OSError as error:
            logger.warning("cannot read %s: %s", self._file, error.strerror)
            return self._pause
