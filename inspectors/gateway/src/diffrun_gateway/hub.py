"""The feeds of all runs that somebody looks at: one for each run, shared, and let go when nobody looks any more."""

import asyncio
import logging
import time
from collections.abc import Callable

from diffrun_contracts.api import Sparkline
from diffrun_gateway import telemetry, views
from diffrun_gateway.channel import Clock
from diffrun_gateway.durable import Durable
from diffrun_gateway.errors import Unavailable
from diffrun_gateway.feed import Feed
from diffrun_gateway.files import Files
from diffrun_gateway.parse import Parsed, Reason
from diffrun_gateway.position import Position, StreamId
from diffrun_gateway.registry import Registry
from diffrun_gateway.runs import Run
from diffrun_gateway.settings import Limits
from diffrun_gateway.stream_reader import RunStream

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 10.0
"""How often it is looked for feeds that nobody needs."""
SUMMARIES_AT_ONCE = 2
"""Runs that are read at once for the list."""

RETRY_SECONDS = 60.0
"""How soon a run is read for the list again: one that cannot be read is not asked for all the time."""
ROOM_SECONDS = 60.0
"""For how long a feed is kept for whoever asked for it, though there be too many points."""

Summary = tuple[Sparkline | None, str | None]
"""A run's sparkline and its newest thumbnail's address."""


class Hub:
    """Used from the event loop alone."""

    def __init__(
        self, registry: Registry, files: Files | None, redis_url: str | None, limits: Limits,
        clock: Clock = time.monotonic,
    ) -> None:  # fmt: skip
        self._registry, self._files, self._redis_url, self._limits = registry, files, redis_url, limits
        self._clock = clock
        self._feeds: dict[str, asyncio.Task[Feed]] = {}
        self._summaries: dict[str, tuple[int, Summary]] = {}
        self._final: set[str] = set()  # runs of whose events nothing is missing in the summary
        self._later: dict[str, float] = {}  # when a run may be read for the list again
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(SUMMARIES_AT_ONCE)
        self.on_change: set[Callable[[str], None]] = set()
        """Who wants to hear of runs with new events."""
        registry.listeners.add(self._on_run)

    async def feed(self, uid: str) -> Feed:
        """The run's feed with its whole history, for somebody. Raises Unavailable where that cannot be read."""
        feed = await self._opened(uid)
        feed.used = self._clock()
        return feed

    async def _opened(self, uid: str) -> Feed:
        task = self._feeds.get(uid)
        known = self.loaded(uid)
        if known is not None and known.has_failed:
            del self._feeds[uid]
            await known.close()
            task = self._feeds.get(uid)
        if task is None:
            task = self._feeds[uid] = asyncio.create_task(self._load(uid), name=f"load {uid}")
        try:
            return await asyncio.shield(task)
        except OSError as error:
            self._feeds.pop(uid, None)
            raise Unavailable(f"the run's files cannot be read: {error.strerror}") from error
        except BaseException:
            if task.done():
                self._feeds.pop(uid, None)
            raise

    def loaded(self, uid: str) -> Feed | None:
        """The run's feed, where it has been read already."""
        task = self._feeds.get(uid)
        return task.result() if task and task.done() and not task.cancelled() and not task.exception() else None

    def summary(self, uid: str) -> Summary:
        """What the list shows of the run's events; nothing until they have been read."""
        feed = self.loaded(uid)
        known = self._summaries.get(uid)
        if feed is None or (known is not None and known[0] == feed.store.version):
            return known[1] if known else (None, None)
        images = [item for item in feed.store.visible_artifacts() if views.is_image(item)]
        thumbnail = views.artifact_entry(feed.store, images[-1]).thumbnail_url if images else None
        self._summaries[uid] = feed.store.version, (views.sparkline(feed.store), thumbnail)
        return self._summaries[uid][1]

    def want_summaries(self, uids: list[str]) -> None:
        """Reads the first of these runs in the background, and goes on following them while they are listed."""
        now = self._clock()
        for uid in uids[: self._limits.listed_summaries]:
            feed = self.loaded(uid)
            if feed is not None and not feed.has_failed:
                if not feed.is_drained:
                    feed.listed = now
            elif uid not in self._final and uid not in self._reading and self._later.get(uid, now) <= now:
                self._later[uid] = now + RETRY_SECONDS
                self._reading[uid] = asyncio.create_task(self._read(uid), name=f"summary {uid}")

    async def sweep(self) -> None:
        """Lets go of what nobody needs, for ever."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            await self.make_room()

    async def make_room(self) -> None:
        """Closes feeds that have been idle, and the longest idle ones while there are too many points."""
        feeds = [feed for uid in self._feeds if (feed := self.loaded(uid)) is not None]
        total = sum(feed.store.points for feed in feeds)
        for feed in sorted(feeds, key=_last_needed):
            crowded = total > self._limits.points
            if self._is_needed(feed, crowded):  # somebody may have come while others were closed
                continue
            total -= feed.store.points
            if crowded:
                self._later[feed.uid] = self._clock() + self._limits.idle_seconds
            self._keep_summary(feed)
            del self._feeds[feed.uid]
            await feed.close()
        telemetry.FEEDS.set(len(self._feeds))
        telemetry.POINTS.set(total)

    async def close(self) -> None:
        """Stops everything."""
        self._registry.listeners.discard(self._on_run)
        tasks = [*self._reading.values(), *self._feeds.values()]
        feeds = [feed for uid in self._feeds if (feed := self.loaded(uid)) is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(feed.close() for feed in feeds))

    async def _load(self, uid: str) -> Feed:
        stream = RunStream(self._redis_url, uid) if self._redis_url else None
        durable = Durable(self._files, uid, _count) if self._files else None
        feed = Feed(
            uid, stream=stream, durable=durable, render=render,
            max_points=self._limits.points_per_run, on_change=self._changed, clock=self._clock,
        )  # fmt: skip
        try:
            await feed.load()
        except BaseException:
            await feed.close()
            raise
        feed.follow()
        run = self._registry.runs.get(uid)
        feed.set_over(run is not None and run.over)
        self._changed(feed)
        return feed

    async def _read(self, uid: str) -> None:
        try:
            async with self._slots:
                feed = await self._opened(uid)
                feed.listed = self._clock()
        except Unavailable as error:
            logger.warning("%s", error, extra={"fields": {"run": uid}})
        finally:
            del self._reading[uid]

    def _is_needed(self, feed: Feed, crowded: bool) -> bool:
        now = self._clock()
        if feed.clients or self.loaded(feed.uid) is not feed:
            return True
        if crowded:
            return now - feed.used < ROOM_SECONDS
        return now - _last_needed(feed) <= self._limits.idle_seconds

    def _keep_summary(self, feed: Feed) -> None:
        if feed.uid not in self._registry.runs:
            return
        self.summary(feed.uid)
        if feed.is_drained:
            self._final.add(feed.uid)

    def _on_run(self, uid: str, run: Run | None) -> None:
        if run is None:
            self._summaries.pop(uid, None)
            self._later.pop(uid, None)
        if run is None or not run.over:
            self._final.discard(uid)
        feed = self.loaded(uid)
        if feed is not None:
            feed.set_over(run is None or run.over)

    def _changed(self, feed: Feed) -> None:
        for listener in tuple(self.on_change):
            listener(feed.uid)


def _last_needed(feed: Feed) -> float:
    return max(feed.used, feed.listed)


def render(event: Parsed, feed: Feed, identifier: StreamId) -> bytes:
    """`api.StreamEvent`; the worker's own JSON is taken over as it is."""
    position = Position(identifier, feed.epoch)
    parts = [
        b'{"type":"event","run":"', feed.uid.encode(), b'","cursor":"', str(position).encode(), b'","event":', event.raw
    ]  # fmt: skip
    if event.type == "artifact_written" and event.event is not None:
        artifact = getattr(event.event.body, "artifact", None)
        stored = feed.store.artifacts.get(artifact.id) if artifact else None
        if stored is not None:
            parts += [b',"artifact":', views.artifact_entry(feed.store, stored).to_json().encode()]
    return b"".join([*parts, b"}"])


def _count(reason: Reason) -> None:
    telemetry.DROPPED.labels(reason.value).inc()
