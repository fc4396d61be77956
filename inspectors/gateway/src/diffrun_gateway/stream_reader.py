"""One run's Redis stream, over one connection of its own.

A command that failed or was cancelled may leave its reply behind, so the connection is dropped then: a reply can
never be taken for that of another run.
"""

from typing import Any, NamedTuple

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_FIELD
from diffrun_gateway.position import StreamId

SOCKET_TIMEOUT = 8.0
"""Seconds until a silent connection counts as lost; above the longest blocking read."""
BLOCK_MS = 4000
"""How long a read waits for events, in milliseconds."""

REDIS_ERRORS = (RedisError, OSError, TimeoutError)
"""What a Redis that is down, slow or restarting makes of a command."""

_FIELD = EVENT_FIELD.encode()


class Entry(NamedTuple):
    """One entry of the stream."""

    id: StreamId
    raw: bytes
    """The event; empty where the entry has none."""


class RunStream:
    """Reads `events_key(uid)`. Every method raises one of REDIS_ERRORS where Redis does not answer."""

    def __init__(self, url: str, uid: str) -> None:
        self._key = names.events_key(uid)
        self._client: Redis = Redis.from_url(
            url,
            protocol=2,
            socket_timeout=SOCKET_TIMEOUT,
            socket_connect_timeout=3,
            max_connections=1,
            retry=Retry(NoBackoff(), 0),
            client_name="diffrun-gateway",
        )

    async def after(self, position: StreamId, count: int, block_ms: int | None = BLOCK_MS) -> list[Entry]:
        """Entries after `position`, at most `count`; waits for the first one up to `block_ms`, or not at all."""
        try:
            reply: Any = await self._client.xread({self._key: str(position)}, count=count, block=block_ms)
        except BaseException:
            await self.disconnect()
            raise
        return [_entry(item) for _, items in reply for item in items]

    async def first(self) -> StreamId | None:
        """The oldest entry's id; None in an empty stream."""
        reply: Any = await self._client.xrange(self._key, count=1)
        return _entry(reply[0]).id if reply else None

    async def last_generated(self) -> StreamId | None:
        """The largest id that the stream ever gave; None where there is no stream."""
        try:
            info: Any = await self._client.xinfo_stream(self._key)
        except ResponseError as error:
            if "no such key" in str(error):
                return None
            raise
        return StreamId.decode(info["last-generated-id"])

    async def disconnect(self) -> None:
        """Drops the connection; the next command makes a new one."""
        await self._client.connection_pool.disconnect()

    async def close(self) -> None:
        """Drops the connection for good."""
        await self._client.aclose()


def _entry(item: Any) -> Entry:
    identifier, fields = item
    return Entry(StreamId.decode(identifier), (fields or {}).get(_FIELD, b""))
