"""Threads that work beside the loop: what they raise is raised in the loop, and what may wait for them is bounded."""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Generic, TypeVar

Job = Callable[[], None]
T = TypeVar("T")


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


class Gatherer(Side, Generic[T]):
    """Items that are worked on together: the first at once, then what the next seconds bring.

    For work that costs about as much for many items as for one: each waking of another thread is felt in the loop.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[list[T]], None],
        seconds: float,
        max_size: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds` lie between two beginnings of the work, where there is room to wait.

        `max_size` may wait together, in whatever unit `put` is told; a larger item waits alone.
        """
        super().__init__(name)
        self._do, self._seconds, self._max_size, self._clock = work, seconds, max_size, clock
        self._gathered: list[tuple[T, int]] = []
        self._due = clock()
        self._start()

    def put(self, item: T, size: int) -> None:
        """Hands over an item; waits where it finds too much before it. Raises what the work met with."""
        with self._changed:
            self._wait_for(lambda: not self._gathered or self._size() + size <= self._max_size)
            self._gathered.append((item, size))
            self._changed.notify_all()

    def _size(self) -> int:
        return sum(size for _, size in self._gathered)

    def _is_due(self) -> bool:
        # Full already where one more like these would find no room.
        return self._closed or 2 * self._size() > self._max_size or self._clock() >= self._due

    def _next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._gathered) or self._closed)
            while self._gathered and not self._is_due():
                self._changed.wait(self._due - self._clock())
            items, self._gathered = [item for item, _ in self._gathered], []
            self._due = self._clock() + self._seconds
            self._changed.notify_all()
        return partial(self._do, items) if items else None

    def _give_up(self) -> None:
        self._gathered.clear()
