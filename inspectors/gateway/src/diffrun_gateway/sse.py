"""Server-sent events: one stream for each open page, with a bounded queue, a heartbeat and an end.

A client that does not keep up, or does not take a write in time, is cut off; its browser comes back with the last
id that it saw, and goes on from there. Nobody waits for anybody.
"""

import asyncio
import logging
from abc import abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from diffrun_contracts.api import StreamCursor, StreamDenied, StreamEnd, StreamHeartbeat, StreamLive, StreamReset
from diffrun_contracts.base import Model
from diffrun_gateway import telemetry
from diffrun_gateway.channel import Channel
from diffrun_gateway.errors import ApiError, Unavailable
from diffrun_gateway.position import Position
from diffrun_gateway.ring import Item
from diffrun_gateway.settings import Limits

logger = logging.getLogger(__name__)

ABORT = "diffrun.abort"
"""In the scope: drops the connection without waiting for what was written to be read."""
RETRY_MS = 1500
"""When a browser comes back after a stream broke."""
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]

Recheck = Callable[[], Awaitable[None]]
"""Raises ApiError where the viewer may no longer look."""


def message(name: str, body: BaseModel | bytes, identifier: bytes | None = None) -> bytes:
    """One message in its wire form. `name` is a constant of ours, `body` a line of JSON."""
    data = body if isinstance(body, bytes) else body.model_dump_json(by_alias=True, exclude_none=True).encode()
    head = b"id: " + identifier + b"\n" if identifier is not None else b""
    return head + b"event: " + name.encode() + b"\ndata: " + data + b"\n\n"


class Streams:
    """Counts the open streams, and ends them when the process does."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.stopping = asyncio.Event()
        self._open: dict[str, int] = {}

    def enter(self, user: str) -> None:
        """Raises Unavailable where there are too many."""
        if self.stopping.is_set():
            raise Unavailable("the gateway is stopping")
        if sum(self._open.values()) >= self.limits.streams:
            raise Unavailable(f"there are {self.limits.streams} open streams; try again later", code="TooManyStreams")
        if user and self._open.get(user, 0) >= self.limits.streams_per_user:
            raise Unavailable("you have too many open streams; close some pages", code="TooManyStreams")
        self._open[user] = self._open.get(user, 0) + 1
        telemetry.CLIENTS.inc()

    def leave(self, user: str) -> None:
        """The counterpart of `enter`."""
        self._open[user] -= 1
        if not self._open[user]:
            del self._open[user]
        telemetry.CLIENTS.dec()


class EventStream:
    """An ASGI response: what subclasses put into the queue goes out, until `finish` or the client's end."""

    def __init__(self, streams: Streams, user: str, recheck: Recheck, recheck_seconds: float) -> None:
        self._streams, self._user, self._recheck, self._recheck_seconds = streams, user, recheck, recheck_seconds
        self._limits = streams.limits
        self._queue: deque[bytes] = deque()
        self._waiting = 0  # bytes in the queue
        self._wake = asyncio.Event()
        self._begun = self._finished = False
        self._dropped: str | None = None
        self._abort: Callable[[], None] | None = None

    @abstractmethod
    def begin(self) -> None:
        """Subscribes; called once the response has started."""

    @abstractmethod
    def end(self) -> None:
        """Unsubscribes."""

    def push(self, data: bytes) -> None:
        """Queues bytes. A client with too much waiting is dropped."""
        if self._dropped or self._finished:
            return
        keeps_up = not self._queue or not self._begun
        self._queue.append(data)
        self._waiting += len(data)
        if not keeps_up and self._waiting > self._limits.client_bytes:
            self._drop("slow")
        self._wake.set()

    def finish(self) -> None:
        """Ends the stream after what is queued."""
        self._finished = True
        self._wake.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application. Raises Unavailable before anything is sent."""
        self._streams.enter(self._user)
        self._abort = scope.get(ABORT)
        watcher = stopper = None
        try:
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            self.push(f"retry: {RETRY_MS}\n\n".encode())
            self.begin()  # what was missed may be more than may wait later on
            self._begun = True
            watcher = asyncio.create_task(self._disconnected(receive))
            stopper = asyncio.create_task(self._stopped())
            await self._send_all(send)
            if not self._dropped:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            elif self._abort is not None:
                await asyncio.sleep(0.05)  # until the server has noticed that the connection is gone
        finally:
            self.end()
            for task in (watcher, stopper):
                if task is not None:
                    task.cancel()
            self._streams.leave(self._user)

    async def _send_all(self, send: Send) -> None:
        loop = asyncio.get_running_loop()
        recheck_at = loop.time() + self._recheck_seconds
        while not self._dropped:
            if loop.time() >= recheck_at and not self._finished:
                recheck_at = loop.time() + self._recheck_seconds
                await self._check()
            if self._queue:
                data = b"".join(self._queue)
                self._queue.clear()
                self._waiting = 0
                try:
                    async with asyncio.timeout(self._limits.send_seconds):
                        await send({"type": "http.response.body", "body": data, "more_body": True})
                except TimeoutError:
                    self._drop("stuck")
                continue
            if self._finished:
                return
            await self._idle()

    async def _idle(self) -> None:
        """Waits for something to send; after a while that is a heartbeat."""
        self._wake.clear()
        try:
            async with asyncio.timeout(self._limits.heartbeat_seconds):
                await self._wake.wait()
        except TimeoutError:
            self.push(message("heartbeat", StreamHeartbeat(time=datetime.now(UTC))))

    async def _check(self) -> None:
        try:
            await self._recheck()
        except Unavailable:
            return  # Kubernetes does not answer: what it said last holds
        except ApiError as error:
            self.push(message("denied", StreamDenied(problem=error.problem)))
            self.finish()

    async def _disconnected(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._dropped = self._dropped or "gone"
        self._wake.set()

    async def _stopped(self) -> None:
        await self._streams.stopping.wait()
        self.finish()

    def _drop(self, reason: str) -> None:
        self._dropped = reason
        self._queue.clear()
        self._waiting = 0
        telemetry.CLIENTS_DROPPED.labels(reason).inc()
        if self._abort is not None:
            self._abort()  # closing would first wait for the peer to read
        self._wake.set()


class RunStream(EventStream):
    """`GET api/events`: the events of one or more runs."""

    def __init__(
        self, streams: Streams, user: str, recheck: Recheck, recheck_seconds: float, *,
        channels: Sequence[Channel], since: list[Position] | None, statuses: "Statuses",
    ) -> None:  # fmt: skip
        super().__init__(streams, user, recheck, recheck_seconds)
        self._channels, self._statuses = channels, statuses
        self._since: Mapping[str, Position | None] = (
            {channel.uid: position for channel, position in zip(channels, since, strict=True)} if since else {}
        )
        self._sent: dict[str, Position] = {}
        self._drained: set[str] = set()

    def begin(self) -> None:
        """Tells where it begins, how the runs are, and what was missed."""
        self._sent = {channel.uid: self._since.get(channel.uid) or channel.position for channel in self._channels}
        live = all(channel.live for channel in self._channels)
        cursors = {uid: str(position) for uid, position in self._sent.items() if position.epoch}
        self.push(message("cursor", StreamCursor(cursors=cursors, live=live)))
        self._statuses.subscribe(self)
        for channel in self._channels:
            channel.subscribe(self, self._since.get(channel.uid))

    def end(self) -> None:
        """Unsubscribes everywhere."""
        self._statuses.unsubscribe(self)
        for channel in self._channels:
            channel.unsubscribe(self)

    def status(self, detail: Model) -> None:
        """A run's object has changed."""
        self.push(message("status", detail))

    def events(self, channel: Channel, items: list[Item]) -> None:
        """New events. With one run the bytes are the same for all clients, and made once."""
        self._sent[channel.uid] = Position(items[-1].id, channel.epoch)
        if len(self._channels) == 1:
            self.push(channel.shared(items, _chunk))
            return
        parts = []
        for item in items:
            self._sent[channel.uid] = Position(item.id, channel.epoch)
            parts.append(message("event", item.data, self._identifier()))
        self.push(b"".join(parts))

    def reset(self, channel: Channel, reason: str) -> None:
        """The page has to fetch again; the stream goes on from where the channel is."""
        self._sent[channel.uid] = channel.position
        cursors = {other.uid: str(other.position) for other in self._channels}
        body = StreamReset(run=channel.uid, reason=reason, cursors=cursors)
        self.push(message("reset", body, self._identifier()))

    def live(self, channel: Channel) -> None:  # noqa: ARG002 - the protocol's
        """Redis answers again, or does not."""
        self.push(message("live", StreamLive(live=all(each.live for each in self._channels))))

    def drained(self, channel: Channel) -> None:
        """The end comes when it has come for all runs."""
        self._drained.add(channel.uid)
        if len(self._drained) == len(self._channels):
            cursors = {each.uid: str(each.position) for each in self._channels}
            self.push(message("end", StreamEnd(cursors=cursors), self._identifier()))
            self.finish()

    def failed(self, channel: Channel) -> None:  # noqa: ARG002 - the protocol's
        """The browser comes back by itself, and meets a new channel."""
        self.finish()

    def _identifier(self) -> bytes:
        return ",".join(str(self._sent[channel.uid]) for channel in self._channels).encode()


class Statuses:
    """Gives a stream the runs' objects: at once, and whenever one changes."""

    @abstractmethod
    def subscribe(self, stream: RunStream) -> None:
        """Begins."""

    @abstractmethod
    def unsubscribe(self, stream: RunStream) -> None:
        """Ends."""


def _chunk(channel: Channel, items: list[Item]) -> bytes:
    return b"".join(message("event", item.data, str(Position(item.id, channel.epoch)).encode()) for item in items)
