"""A thread that does jobs in order, with a bound on how much may wait for it."""

import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Lane:
    """Jobs in the order in which they were put. What a job raises ends the lane and is raised where one puts next."""

    def __init__(self, name: str, max_bytes: int) -> None:
        """`max_bytes` may wait together; a job that is larger waits alone."""
        self._max_bytes = max_bytes
        self._jobs: deque[tuple[Job, int]] = deque()
        self._waiting = 0  # bytes of the jobs that have not ended
        self._running = False
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def put(self, job: Job, size: int) -> None:
        """Hands over a job that holds `size` bytes; waits while that would be too much. Raises what a job met with."""
        with self._changed:
            self._changed.wait_for(lambda: self._failure is not None or self._has_room(size))
            self.raise_failure()
            self._jobs.append((job, size))
            self._waiting += size
            self._changed.notify_all()

    def raise_failure(self) -> None:
        """Raises what a job met with, if one did."""
        if self._failure is not None:
            raise self._failure

    def close(self, *, drain: bool) -> None:
        """Ends the thread: after all jobs, or without `drain` after the one that is under way. Raises nothing."""
        with self._changed:
            if not drain:
                self._jobs.clear()
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _has_room(self, size: int) -> bool:
        idle = not self._jobs and not self._running
        return idle or (self._max_bytes > 0 and self._waiting + size <= self._max_bytes)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            work, size = job
            try:
                work()
            except BaseException as error:  # noqa: BLE001 - handed to whoever puts next
                with self._changed:
                    self._failure = error
                    self._jobs.clear()
                    self._changed.notify_all()
                return
            with self._changed:
                self._waiting -= size
                self._running = False
                self._changed.notify_all()

    def _next(self) -> tuple[Job, int] | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._jobs) or self._closed)
            if not self._jobs:
                return None
            self._running = True
            return self._jobs.popleft()
