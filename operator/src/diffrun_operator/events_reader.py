"""Reads the workers' own words from Redis: that they hold or go on, and how far they have come.

Redis is a live path that may be lost. Whatever happens here, runs go on: without Redis a paused run is
paused all the same and its deadlines stand still, only its `Paused` condition cannot say that every worker
holds, and there is no progress to show. The index of runs (`diffrun:runs`) is kept here too, as well as Redis allows.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import redis.asyncio as aioredis
from pydantic import ValidationError
from redis.exceptions import RedisError, ResponseError

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_ADAPTER, EVENT_FIELD, SCHEMA_VERSION, Event, Paused, ProgressMade, Resumed
from diffrun_contracts.task import RunRef
from diffrun_operator.metrics import Metrics
from diffrun_operator.queue import Backoff, KeyedQueue
from diffrun_operator.settings import Redis
from diffrun_operator.store import Store

logger = logging.getLogger(__name__)

PAGE = 500
"""Entries of one stream in one read."""
TAIL = 1000
"""Entries read back from a stream's end when it is first seen: a pod that holds says nothing after that."""

_WANTED = (b'"type":"paused"', b'"type":"resumed"', b'"type":"progress"')
_START = b"0-0"

Fields = Mapping[bytes, bytes]


class Streams(Protocol):
    """The three commands of Redis that are used."""

    def xread(self, streams: Any, count: int | None = ..., block: int | None = ...) -> Awaitable[Any]:
        """Entries after the given IDs."""

    def xrevrange(self, name: Any, max: Any = ..., min: Any = ..., count: int | None = ...) -> Awaitable[Any]:
        """Entries from the end."""

    def xadd(
        self, name: Any, fields: Any, id: Any = ..., maxlen: int | None = ..., approximate: bool = ...
    ) -> Awaitable[Any]:
        """One more entry."""


def connect(settings: Redis) -> aioredis.Redis:
    """A client for the operator's own access; it connects when it is first used."""
    if settings.url is None:
        raise ValueError("no Redis URL is set")
    return aioredis.Redis.from_url(
        settings.url,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password else None,
        socket_timeout=settings.socket_timeout,
        socket_connect_timeout=settings.socket_timeout,
        health_check_interval=0,
    )


class EventsReader:
    """One reader of the streams of all active runs."""

    def __init__(
        self,
        streams: Streams,
        store: Store,
        queue: KeyedQueue,
        settings: Redis,
        metrics: Metrics,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self._streams, self._store, self._queue, self._metrics = streams, store, queue, metrics
        self._settings, self._clock = settings, clock
        self._backoff = Backoff(base=0.5, cap=settings.backoff_cap, jitter=jitter)
        self._positions: dict[str, bytes] = {}
        self._announced: set[str] = set()

    async def run(self) -> None:
        """For ever, through every outage of Redis; an outage is logged once, when it begins and when it ends."""
        failures = 0
        while True:
            try:
                await self.once()
            except (RedisError, OSError, TimeoutError) as error:
                failures += 1
                self._metrics.redis_up.set(0)
                # It may come back empty: the index is told again, and each stream's end is read again.
                self._announced.clear()
                self._positions.clear()
                if failures == 1:
                    logger.warning("Redis does not answer; runs go on without progress and word of holding: %s", error)
                await asyncio.sleep(self._backoff.delay(failures))
                continue
            self._metrics.redis_up.set(1)
            if failures:
                logger.info("Redis answers again")
                failures = 0

    async def once(self) -> None:
        """Follow the runs that are active now, and read once what their workers have said."""
        active = self._follow()
        await self._announce()
        if not active:
            await asyncio.sleep(min(1.0, self._settings.block_seconds))
            return
        for uid in active:
            if uid not in self._positions:
                await self._catch_up(uid)
        keys = {names.events_key(uid): self._positions[uid] for uid in active}
        block = int(self._settings.block_seconds * 1000)
        answer = await self._streams.xread(keys, count=PAGE, block=block)
        uids = {names.events_key(uid).encode(): uid for uid in active}
        for key, entries in _pairs(answer):
            uid = uids[key]
            for entry, fields in entries:
                self.take(uid, fields)
                self._positions[uid] = entry

    def take(self, uid: str, fields: Fields) -> None:
        """One entry of a run's stream. What cannot be parsed is counted and left out."""
        payload = fields.get(EVENT_FIELD.encode(), b"")
        if not any(wanted in payload for wanted in _WANTED):
            return
        event = parse(payload, uid)
        if event is None:
            self._metrics.events_read.labels("malformed").inc()
            return
        self._metrics.events_read.labels(event.body.type).inc()
        match event.body:
            case Paused() | Resumed():
                if self._store.hold(uid, event.pod, event.seq, holds=isinstance(event.body, Paused)):
                    self._queue.add(uid)
            case ProgressMade() as told:
                if self._store.progress_made(uid, event.block, event.shard, told, event.attempt, event.retry):
                    self._queue.add(uid, self._store.progress_due_in(uid, self._clock()))

    def _follow(self) -> list[str]:
        """The active runs' UIDs; what is known of others is forgotten."""
        active = [run["metadata"]["uid"] for run in self._store.active() if _started(run)]
        for uid in self._positions.keys() - set(active):
            del self._positions[uid]
        self._announced &= set(active)
        return active

    async def _announce(self) -> None:
        """Put each run that has started into the index of runs; a restart may repeat one, readers go by UID."""
        for run in self._store.active():
            meta = run["metadata"]
            if meta["uid"] in self._announced or not _started(run):
                continue
            ref = RunRef(namespace=meta["namespace"], name=meta["name"], uid=meta["uid"])
            await self._streams.xadd(
                names.STREAM_RUNS, ref.model_dump(), maxlen=self._settings.index_length, approximate=True
            )
            self._announced.add(meta["uid"])

    async def _catch_up(self, uid: str) -> None:
        """Read the end of a stream that is new to this process, oldest first, and go on from there."""
        try:
            tail = await self._streams.xrevrange(names.events_key(uid), max="+", min="-", count=TAIL)
        except ResponseError as error:
            logger.warning("the events of run %s cannot be read: %s", uid, error)
            raise
        for _, fields in reversed(tail):
            self.take(uid, fields)
        self._positions[uid] = tail[0][0] if tail else _START


def parse(payload: bytes, uid: str) -> Event | None:
    """A run's event; None for what is malformed, of another schema, or speaks of another run."""
    try:
        event = EVENT_ADAPTER.validate_json(payload)
    except ValidationError as error:
        logger.debug("an event of run %s is malformed: %s", uid, error)
        return None
    if event.schema_version != SCHEMA_VERSION or event.run.uid != uid:
        return None
    return event


def _pairs(answer: Any) -> list[tuple[bytes, list[tuple[bytes, Fields]]]]:
    """XREAD's answer, which is a list in RESP2 and a map (of lists of lists) in RESP3."""
    if not answer:
        return []
    if isinstance(answer, dict):
        return [
            (key, entries[0] if entries and isinstance(entries[0], list) else entries)
            for key, entries in answer.items()
        ]
    return [(key, entries) for key, entries in answer]


def _started(run: Mapping[str, Any]) -> bool:
    return bool((run.get("status") or {}).get("startTime"))
