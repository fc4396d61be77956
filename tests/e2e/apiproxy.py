"""A proxy before the API server that kills the operator at a chosen one of its writes.

It listens on loopback in plain HTTP, forwards everything with the operator's own token, streams watches
through, and counts what is not a GET. Killing after the forwarding and before the answer is the hard case:
the write has happened, and nobody has been told.
"""

import asyncio
import ssl
import threading
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host", "te"}


class Moment(Enum):
    """When the operator dies, as seen from the write that it dies at."""

    BEFORE = "the write never happens"
    AFTER = "the write has happened, the answer is lost"


class KillingProxy:
    """Forwards to `server`; at every `nth` write since the last death it calls `kill`."""

    def __init__(self, server: str, kill: Callable[[], None], nth: int, moment: Moment) -> None:
        self.server, self.kill, self.nth, self.moment = server, kill, nth, moment
        self.writes = 0
        self.deaths = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _start(self) -> None:
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # the development cluster's own, on loopback
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", self._forward)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        await self._client.close()
        await self._runner.cleanup()

    async def _forward(self, request: web.Request) -> web.StreamResponse:
        fatal = request.method != "GET" and self._is_fatal()
        if fatal and self.moment is Moment.BEFORE:
            self._die()
            raise web.HTTPServiceUnavailable
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        body = await request.read()
        async with self._client.request(
            request.method, self.server + request.raw_path, headers=headers, data=body or None
        ) as answer:
            if fatal:
                await answer.read()
                self._die()
                raise web.HTTPServiceUnavailable
            return await self._answer(request, answer)

    async def _answer(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
        encoding = answer.headers.get("Content-Encoding")
        response = web.StreamResponse(
            status=answer.status, headers=kept | ({"Content-Encoding": encoding} if encoding else {})
        )
        await response.prepare(request)
        async for chunk in answer.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response

    def _is_fatal(self) -> bool:
        self.writes += 1
        return self.writes == self.nth

    def _die(self) -> None:
        self.deaths += 1
        self.kill()

    def reset(self) -> None:
        """Begins to count anew, for the operator's next life."""
        self.writes = 0
