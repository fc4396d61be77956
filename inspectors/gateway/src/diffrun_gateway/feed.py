"""One run, followed: its whole history, then every event as it is published, to any number of clients.

1. Load: the files, then the stream from its beginning. What both have counts once.
2. Follow: one blocking read at a time. Each new event becomes bytes once, shared by all clients.
3. Complete: where a pod's numbers have a hole, or a line of the files does not come through Redis, the files are
   read again, beside what is followed. The history has then changed in its middle: a new epoch begins, and clients
   are told to fetch again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable

from diffrun_gateway import telemetry
from diffrun_gateway.channel import Channel, Clock
from diffrun_gateway.completion import Completion
from diffrun_gateway.durable import Durable
from diffrun_gateway.parse import Dropped, Parsed, Reason, parse
from diffrun_gateway.position import ZERO, StreamId
from diffrun_gateway.ring import Item
from diffrun_gateway.store import RunStore
from diffrun_gateway.stream_reader import BLOCK_MS, REDIS_ERRORS, Entry, RunStream

logger = logging.getLogger(__name__)

READ_COUNT = 500
"""Entries of one read."""
THREAD_BYTES = 128 * 1024
"""Batches above this are parsed off the event loop."""
COALESCE = 0.015
"""Seconds that events are gathered before they are sent on: many clients then get few, larger messages."""
MAX_COALESCE = 0.15
"""The same where sending on takes long."""
MAX_BACKOFF = 5.0
"""Seconds between attempts to reach Redis, at most."""


Render = Callable[[Parsed, "Feed", StreamId], bytes]


class Feed(Channel):
    """Call `load` once; then `store` and `position` belong together whenever no coroutine of ours runs."""

    def __init__(
        self,
        uid: str,
        *,
        stream: RunStream | None,
        durable: Durable | None,
        render: Render,
        max_points: int,
        on_change: Callable[["Feed"], None],
        clock: Clock = time.monotonic,
    ) -> None:
        super().__init__(uid, live=stream is not None, clock=clock)
        self.store = RunStore(uid, max_points=max_points)
        self.notices: list[str] = []
        self._stream, self._durable, self._render, self._on_change = stream, durable, render, on_change
        self._completion = Completion(durable, self.store, lambda event: self._apply(event, "file"), self._notice)
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()

    async def load(self) -> None:
        """Reads the whole history. Raises OSError where the files cannot be read."""
        if self._durable is not None:
            await asyncio.to_thread(self._load_files, self._durable)
        if self._stream is not None:
            try:
                await self._load_stream(self._stream)
            except REDIS_ERRORS as error:
                self._lost(error)
        if self.store.gaps():
            await self._completion.wholly()

    def follow(self) -> None:
        """Begins to follow."""
        if self._task is None or self._task.done():
            self.is_drained = False
            self._task = asyncio.create_task(self._run(), name=f"feed {self.uid}")

    def set_over(self, over: bool) -> None:
        """Tells that the run has ended: what is left is sent, then clients hear that it was all."""
        if over == self._over:
            return
        self._over = over
        self._wake.set()
        if not over:
            self.follow()

    async def close(self) -> None:
        """Stops following; whoever comes too late hears that nothing will come."""
        self.is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._completion.close()
        if self._stream is not None:
            await self._stream.close()

    # 1. Load

    def _load_files(self, durable: Durable) -> None:
        for event in durable.fresh(self.store.seen):
            self._apply(event, "file")
        for listed in durable.artifacts():
            self.store.add_artifact(listed.artifact, listed.block, listed.owner, None)

    async def _load_stream(self, stream: RunStream) -> None:
        """Everything in the stream goes into the ring, even what the files had: other gateways' clients resume."""
        first = await stream.first()
        delivered: dict[str, set[int]] = {}
        while entries := await stream.after(self.last, READ_COUNT, None):
            for entry, event in await self._parsed(entries):
                seqs = delivered.setdefault(event.pod, set())
                if event.seq in seqs:
                    continue
                seqs.add(event.seq)
                self._apply(event, "redis")
                self.ring.keep(Item(entry.id, self._render(event, self, entry.id)))
            self.last = entries[-1].id
        telemetry.REDIS_UP.set(1)
        if first is not None and not self._ahead(delivered, first):
            self.ring.serve_other_epochs(first)

    def _ahead(self, delivered: dict[str, set[int]], first: StreamId) -> bool:
        """Whether the files have events that the stream lacks but may still get, or has lost."""
        return any(
            (last > max(delivered[pod]) if pod in delivered else last_ms >= first.ms)
            for pod, (last, last_ms) in self.store.newest().items()
        )

    # 2. Follow

    async def _run(self) -> None:
        try:
            await self._follow()
        except Exception:
            logger.exception("the feed failed and is begun again", extra={"fields": {"run": self.uid}})
            self.tell_failed()

    async def _follow(self) -> None:
        failures = 0
        while not self.is_drained:
            try:
                await self._round()
                failures = 0
            except REDIS_ERRORS as error:
                self._lost(error)
                failures += 1
                delay = min(MAX_BACKOFF, 0.1 * 2**failures) * (0.5 + 0.5 * random.random())  # noqa: S311 - jitter
                await self._complete(whole=self._over)
                self._end_if_over(quiet=True)
                await self._pause(delay)

    async def _round(self) -> None:
        if self._stream is None:
            await self._complete(whole=True)
            self._end_if_over(quiet=True)
            await self._pause(1.0)
            return
        over = self._over
        if not self.live:
            await self._reread(self._stream)
        entries = await self._stream.after(self.last, READ_COUNT, 100 if over else BLOCK_MS // 4)
        began = time.monotonic()
        if entries:
            await self._take(entries)
        await self._complete(whole=over and not entries)
        self._end_if_over(quiet=over and not entries)
        if entries and len(entries) < READ_COUNT:
            await asyncio.sleep(min(MAX_COALESCE, max(COALESCE, time.monotonic() - began)))

    async def _take(self, entries: list[Entry]) -> None:
        items, void = [], False
        for entry, event in await self._parsed(entries):
            try:
                void |= self.store.apply(event)
            except Dropped as dropped:
                telemetry.DROPPED.labels(dropped.reason.value).inc()
                continue
            telemetry.EVENTS.labels("redis").inc()
            items.append(Item(entry.id, self._render(event, self, entry.id)))
        self.last = entries[-1].id
        if self.store.gaps() and await self._completion.fill():
            self.restart("completed")
            return
        for item in items:
            self.ring.keep(item)
        if void:
            self.restart("superseded")
        elif items:
            self.send(items)
            self._on_change(self)

    async def _reread(self, stream: RunStream) -> None:
        """Redis answers again: it may be another one, or an emptied one whose ids begin anew."""
        generated = await stream.last_generated()
        if generated is None or generated < self.last or self.last == ZERO:
            self.last = ZERO
            while entries := await stream.after(self.last, READ_COUNT, None):
                for _, event in await self._parsed(entries):
                    self._apply(event, "redis")
                self.last = entries[-1].id
            if self.store.gaps():
                await self._completion.fill()
            self.restart("completed")
        telemetry.REDIS_UP.set(1)
        self.tell_live(True)

    def _lost(self, error: BaseException) -> None:
        telemetry.REDIS_UP.set(0)
        if self.live:
            logger.warning("Redis does not answer: %s", type(error).__name__, extra={"fields": {"run": self.uid}})
            self.tell_live(False)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _end_if_over(self, *, quiet: bool) -> None:
        if self._over and quiet and not self.is_drained:
            self.tell_drained()

    # 3. Complete

    async def _complete(self, *, whole: bool) -> None:
        """In passing, or wholly where no event comes that would have to wait for it."""
        if await self._completion.wholly() if whole else self._completion.in_passing():
            self.restart("completed")

    def restart(self, reason: str) -> None:
        """As a channel does, and whoever keeps lists of runs hears of it."""
        super().restart(reason)
        self._on_change(self)

    # Parts

    async def _parsed(self, entries: list[Entry]) -> list[tuple[Entry, Parsed]]:
        if sum(len(entry.raw) for entry in entries) > THREAD_BYTES:
            return await asyncio.to_thread(self._parse, entries)
        return self._parse(entries)

    def _parse(self, entries: list[Entry]) -> list[tuple[Entry, Parsed]]:
        parsed = []
        for entry in entries:
            try:
                parsed.append((entry, parse(entry.raw, self.uid)))
            except Dropped as dropped:
                telemetry.DROPPED.labels(dropped.reason.value).inc()
        return parsed

    def _apply(self, event: Parsed, source: str) -> bool:
        try:
            self.store.apply(event)
        except Dropped as dropped:
            if dropped.reason is not Reason.DUPLICATE:
                telemetry.DROPPED.labels(dropped.reason.value).inc()
            return False
        telemetry.EVENTS.labels(source).inc()
        return True

    def _notice(self, text: str) -> None:
        if text not in self.notices:
            self.notices.append(text)
