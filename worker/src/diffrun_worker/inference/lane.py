"""Threads that work beside the loop: what they raise is raised in the loop, and what may wait for them is bounded."""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]


class Side(ABC):
    """A thread that does one job after the other. What a job raises ends it, and is raised where one hands over next.

    What waits is the subclass's; it changes only under `_changed`, which is notified of each change. A subclass calls
    `_start` when all of its own is there.
    """

    def __init__(self, name: str) -> None:
        self._closed = False
        self._failure: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    @abstractmethod
    def _next(self) -> Job | None:
        """Waits for the next job; None at the end."""

    @abstractmethod
    def _give_up(self) -> None:
        """Forgets what waits. Called under `_changed`."""

    def raise_failure(self) -> None:
        """Raises what a job met with, if one did."""
        if self._failure is not None:
            raise self._failure

    def close(self, *, drain: bool) -> None:
        """Ends the thread: after all jobs, or without `drain` after the one that is under way. Raises nothing."""
        with self._changed:
            if not drain:
                self._give_up()
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _start(self) -> None:
        self._thread.start()

    def _wait_for(self, ready: Callable[[], bool]) -> None:
        """Waits under `_changed`, and raises what a job met with."""
        self._changed.wait_for(lambda: self._failure is not None or ready())
        self.raise_failure()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except BaseException as error:  # noqa: BLE001 - handed to whoever comes next
                with self._changed:
                    self._failure = error
                    self._give_up()
                    self._changed.notify_all()
                return


class Lane(Side):
    """Jobs in the order in which they were put."""

    def __init__(self, name: str, max_bytes: int) -> None:
        """`max_bytes` may wait together; a job that is larger waits alone."""
        super().__init__(name)
        self._max_bytes = max_bytes
        self._jobs: deque[tuple[Job, int]] = deque()
        self._unfinished = 0  # jobs put and not ended
        self._waiting = 0  # bytes of them
        self._start()

    def put(self, job: Job, size: int) -> None:
        """Hands over a job that holds `size` bytes; waits while that would be too much. Raises what a job met with."""
        with self._changed:
            self._wait_for(lambda: not self._unfinished or self._waiting + size <= self._max_bytes)
            self._jobs.append((job, size))
            self._unfinished += 1
            self._waiting += size
            self._changed.notify_all()

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._jobs) or self._closed)
            if not self._jobs:
                return None
            job, size = self._jobs.popleft()
        return lambda: self._do(job, size)

    def _give_up(self) -> None:
        self._jobs.clear()

    def _do(self, job: Job, size: int) -> None:
        job()
        with self._changed:
            self._unfinished -= 1
            self._waiting -= size
            self._changed.notify_all()
