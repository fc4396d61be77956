"""The live path: sends the lines of `events.jsonl` to the run's Redis stream, behind everybody's back.

A thread of its own does it, so that a Redis that is down, slow or restarted holds nothing up. The journal is the
spool: only the places of lines wait in memory, their bytes are read back from the file when their turn comes.
Order is kept. Metrics give way when too much waits, and are counted; everything else is sent however long it takes,
until the process has to end. A reply that got lost means that entries arrive twice: (pod, seq) tells.
"""

import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from diffrun_contracts.events import EVENT_FIELD
from diffrun_worker.errors import ErrorCode, PermanentError

logger = logging.getLogger(__name__)

MAX_LENGTH = 100_000
"""Entries that a run's stream keeps, approximately; the files have all."""
MAX_BACKLOG_BYTES = 32 * 1024 * 1024
"""What may wait for Redis before metrics give way."""
MAX_BATCH = 100
"""Entries in one pipeline."""
SOCKET_TIMEOUT = 5.0
"""Seconds after which an unresponsive Redis counts as lost."""
FIRST_DELAY, LONGEST_DELAY = 0.1, 5.0
"""Seconds between attempts to reach Redis, doubled each time, with jitter."""


@dataclass(frozen=True)
class Entry:
    """One line that waits to be sent."""

    size: int
    """Its bytes."""
    points: int
    """Metric points in it; 0 for an event that is never dropped."""
    read: Callable[[], bytes]
    """Gives its bytes."""


class Transport(Protocol):
    """The outermost edge: appends entries to the run's stream, in order."""

    def send(self, entries: Sequence[bytes]) -> int:
        """Returns how many of the entries were taken, from the first on. Raises OSError or RedisError."""

    def close(self) -> None:
        """Drops the connection."""


class RedisTransport:
    """Pipelined XADD with approximate trimming."""

    def __init__(self, url: str, key: str) -> None:
        """Connects to nothing yet. Raises PermanentError `InvalidTask` for a URL that is none (without showing it)."""
        self._key = key
        try:
            self._client = redis.Redis.from_url(
                url,
                socket_timeout=SOCKET_TIMEOUT,
                socket_connect_timeout=SOCKET_TIMEOUT,
                retry=Retry(NoBackoff(), 0),
            )
        except ValueError as error:
            raise PermanentError(
                ErrorCode.INVALID_TASK, "the Redis URL is none; give redis://user:password@host:port/0"
            ) from error

    def send(self, entries: Sequence[bytes]) -> int:
        """One round trip. An entry that Redis refuses ends the count, so that those after it are sent again too."""
        pipeline = self._client.pipeline(transaction=False)
        for entry in entries:
            pipeline.xadd(self._key, {EVENT_FIELD: entry}, maxlen=MAX_LENGTH, approximate=True)
        replies: list[Any] = pipeline.execute(raise_on_error=False)
        for taken, reply in enumerate(replies):
            if isinstance(reply, Exception):
                if taken == 0:
                    raise reply
                return taken
        return len(replies)

    def close(self) -> None:
        """Drops the connection: after a timeout it may still hold the reply to another command."""
        self._client.close()
        self._client.connection_pool.disconnect()


class Publisher:
    """Sends entries in order on a thread of its own; `offer` never blocks."""

    def __init__(
        self, transport: Transport, *, max_backlog: int = MAX_BACKLOG_BYTES, jitter: Callable[[], float] = random.random
    ) -> None:
        self._transport = transport
        self._max_backlog = max_backlog
        self._jitter = jitter
        self._changed = threading.Condition()
        self._waiting: deque[Entry] = deque()
        self._backlog = 0  # bytes of `_waiting`
        self._dropped = 0
        self._in_flight = 0  # entries at the left of `_waiting` that are being sent
        self._giving_up = False  # metrics are not worth waiting for any more
        self._closing = False
        self._failures = 0  # in a row
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Metric points that will never be sent."""
        with self._changed:
            return self._dropped

    def offer(self, entries: Iterable[Entry]) -> None:
        """Queues entries."""
        with self._changed:
            for entry in entries:
                self._waiting.append(entry)
                self._backlog += entry.size
            self._trim()
            self._changed.notify_all()

    def wait_sent(self, timeout: float) -> bool:
        """Waits until all is sent, at most `timeout` seconds long. Returns whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting, timeout)

    def settle(self, timeout: float) -> int:
        """Waits until all is sent, at most `timeout` seconds; then gives up the metrics that still wait.

        Returns how many points Redis did not get, those in a call without an answer included. Later metrics are
        dropped at once.
        """
        with self._changed:
            self.wait_sent(timeout)
            self._giving_up = True
            self._trim()
            return self._dropped + sum(entry.points for entry in self._waiting)

    def close(self, timeout: float) -> bool:
        """Sends what is left, at most `timeout` seconds long, and ends the thread. Returns whether all was sent."""
        with self._changed:
            all_sent = self.wait_sent(timeout)
            self._closing = True
            left = len(self._waiting)
            self._changed.notify_all()
        if not all_sent:
            logger.warning("%d events did not reach Redis; events.jsonl has them", left)
        # A thread inside a call to an unresponsive Redis is left behind: it is a daemon, and the process ends.
        self._thread.join(timeout=0.5 if not all_sent else None)
        return all_sent

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if self._closing:
                    break
                # After a failure one entry goes first: a server that is still loading may refuse the head of a batch
                # and take its tail.
                batch = [self._waiting[i] for i in range(min(1 if self._failures else MAX_BATCH, len(self._waiting)))]
                self._in_flight = len(batch)
            self._attempt(batch)
        self._transport.close()

    def _attempt(self, batch: list[Entry]) -> None:
        taken, failure = 0, None
        try:
            taken = self._transport.send([entry.read() for entry in batch])
        except (redis.RedisError, OSError) as error:
            failure = error
        with self._changed:
            self._in_flight = 0
            for _ in range(taken):
                self._backlog -= self._waiting.popleft().size
            self._trim()
            self._changed.notify_all()
            if failure is None:
                self._recovered()
            else:
                self._failed(failure)

    def _recovered(self) -> None:
        if self._failures:
            logger.info("Redis answers again")
        self._failures = 0

    def _failed(self, error: Exception) -> None:
        """Waits before the next attempt; new entries do not cut that short, the end of the process does."""
        if self._failures == 0:
            logger.warning("Redis does not take events (%s); they wait in events.jsonl", type(error).__name__)
        self._transport.close()
        delay = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self._failures, 16)) * (0.5 + 0.5 * self._jitter())
        self._failures += 1
        self._changed.wait_for(lambda: self._closing, delay)

    def _trim(self) -> None:
        """Drops the oldest metrics until what waits is half of what may, or all of them at the end."""
        if not self._giving_up and self._backlog <= self._max_backlog:
            return
        target = 0 if self._giving_up else self._max_backlog // 2
        kept: deque[Entry] = deque()
        for index, entry in enumerate(self._waiting):
            if index >= self._in_flight and entry.points and self._backlog > target:
                self._backlog -= entry.size
                self._dropped += entry.points
            else:
                kept.append(entry)
        self._waiting = kept
