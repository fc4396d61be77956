"""A pod's events in an object store: immutable numbered files, since nothing can be appended to an object.

A thread of its own puts them there, so that a store that is slow or away for a while holds up neither the block, nor
the journal, nor Redis. So Redis may know of an event a few seconds before the store does; what a killed pod loses is
at most what it wrote in that time. Files that an event announces are in the store before the event is written at all.
"""

import threading
import time
from collections.abc import Callable

from diffrun_contracts import names
from diffrun_worker.errors import BlockError, ErrorCode, PermanentError
from diffrun_worker.spool import Spool
from diffrun_worker.workspace import Workspace

SEGMENT_SECONDS = 5.0
"""How old a line gets before it is in the store."""
SEGMENT_BYTES = 4 * 1024 * 1024
"""How large a segment gets; when so much waits it goes at once."""


class Segments:
    """Puts what has been appended to a spool into the store. `flush` and `close` raise nothing: `fail` is told."""

    def __init__(
        self,
        workspace: Workspace,
        directory: str,
        spool: Spool,
        fail: Callable[[BlockError], None],
        *,
        seconds: float = SEGMENT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Goes on after the segments that a pod which died here before has left. Raises what the workspace raises."""
        self._workspace, self._directory, self._spool, self._fail = workspace, directory, spool, fail
        self._seconds, self._clock = seconds, clock
        left = workspace.sizes(f"{directory}/{names.EVENTS_DIR}")
        self._number = max((int(name[:6]) for name in left if name[:6].isdecimal()), default=0)
        self._changed = threading.Condition()
        self._written = self._put = spool.offset
        self._due: float | None = None  # when the oldest line that waits is old enough
        self._asked = self._answered = 0  # flushes
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="segments", daemon=True)
        self._thread.start()

    def reached(self, offset: int) -> None:
        """Tells that the spool holds whole lines up to here. Never blocks."""
        with self._changed:
            if offset > self._written:
                self._written = offset
                self._due = self._clock() + self._seconds if self._due is None else self._due
                self._changed.notify_all()

    def flush(self) -> None:
        """Waits until everything so far is in the store, or has failed to get there."""
        with self._changed:
            self._asked += 1
            mine = self._asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._answered >= mine or not self._thread.is_alive())

    def close(self) -> None:
        """Puts what is left and ends the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._ready():
                    self._changed.wait(None if self._due is None else max(0.0, self._due - self._clock()))
                end, asked, closing, self._due = self._written, self._asked, self._closing, None
            try:
                self._put_up_to(end)
            except BlockError as error:
                self._fail(error)
            except Exception as error:  # noqa: BLE001 - the block must hear of it, whatever it is
                self._fail(PermanentError(ErrorCode.UNEXPECTED_ERROR, f"segments: {type(error).__name__}: {error}"))
            with self._changed:
                self._answered = asked
                self._changed.notify_all()
            if closing:
                return

    def _ready(self) -> bool:
        aged = self._due is not None and self._clock() >= self._due
        return aged or self._closing or self._asked > self._answered or self._written - self._put >= SEGMENT_BYTES

    def _put_up_to(self, end: int) -> None:
        while self._put < end:
            lines = self._spool.read(min(SEGMENT_BYTES, end - self._put), self._put)
            lines = lines[: lines.rindex(b"\n") + 1]
            self._workspace.write_all([(f"{self._directory}/{names.segment_file(self._number + 1)}", lines)])
            self._number += 1
            self._put += len(lines)
