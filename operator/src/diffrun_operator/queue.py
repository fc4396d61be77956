"""One queue of keys: many requests for a key become one, and no key is worked on twice at once.

Level-triggered: a key says only that something about it may have changed. What arrives while the key is
being worked on makes it come up once more afterwards.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between retries: doubled from `base` up to `cap`, times the jitter."""

    base: float
    cap: float
    jitter: Callable[[], float] = lambda: 1.0
    """A factor, drawn anew each time; between 0.5 and 1 spreads retries without starving any."""

    def delay(self, failures: int) -> float:
        """Seconds until the next attempt after that many failures in a row (from 1)."""
        return min(self.cap, self.base * 2.0 ** min(failures - 1, 30)) * self.jitter()


class QueueClosedError(Exception):
    """No key will be given out any more: the process ends."""


class KeyedQueue:
    """Keys that are ready, being worked on, or due later. Used from one event loop."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._ready: OrderedDict[str, None] = OrderedDict()
        self._busy: set[str] = set()
        self._again: set[str] = set()  # asked for while busy
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._waiters: set[asyncio.Future[None]] = set()
        self._closed = False

    def __len__(self) -> int:
        """Keys that are ready or must come up again; those due later are not counted."""
        return len(self._ready) + len(self._again)

    def add(self, key: str, delay: float = 0.0) -> None:
        """Ask for a key now, or in `delay` seconds; the earlier of two wishes holds."""
        if delay > 0:
            self._add_later(key, delay)
            return
        self._drop_timer(key)
        if key in self._busy:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._wake()

    async def get(self) -> str:
        """The next key; it is busy until `done` or `failed` is called for it.

        Raises QueueClosedError once the queue is closed.
        """
        while self._closed or not self._ready:
            if self._closed:
                raise QueueClosedError
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.add(waiter)
            try:
                await waiter
            finally:
                self._waiters.discard(waiter)
        key, _ = self._ready.popitem(last=False)
        self._busy.add(key)
        return key

    def done(self, key: str, requeue_after: float | None = None) -> None:
        """The key was worked on; ask for it again in `requeue_after` seconds where that is given."""
        self._failures.pop(key, None)
        self._release(key)
        if requeue_after is not None:
            self.add(key, requeue_after)

    def failed(self, key: str, at_least: float = 0.0) -> float:
        """The key could not be worked on. It comes up again after the backoff; returns those seconds.

        News that comes while it waits brings it up at once: it may be what ends the trouble, and a server that
        wants to be left alone is protected by the client itself.
        """
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, self._backoff.delay(self._failures[key]))
        self._again.discard(key)
        self._release(key)
        self._add_later(key, delay)
        return delay

    def forget(self, key: str) -> None:
        """The key is of no interest any more; a busy one still has to be done."""
        self._drop_timer(key)
        self._ready.pop(key, None)
        self._again.discard(key)
        self._failures.pop(key, None)

    def close(self) -> None:
        """Give out no more keys; what is busy may be finished. Whoever starts next begins with a fresh look."""
        self._closed = True
        for timer in self._later.values():
            timer.cancel()
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _release(self, key: str) -> None:
        self._busy.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _add_later(self, key: str, delay: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        timer = self._later.get(key)
        if key in self._ready or (timer is not None and timer.when() <= due):
            return
        self._drop_timer(key)
        self._later[key] = loop.call_at(due, self._come_due, key)

    def _come_due(self, key: str) -> None:
        self._later.pop(key, None)
        self.add(key)

    def _drop_timer(self, key: str) -> None:
        timer = self._later.pop(key, None)
        if timer is not None:
            timer.cancel()

    def _wake(self) -> None:
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
                return
