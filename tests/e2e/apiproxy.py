"""Proxies before the API server: one kills the operator at chosen calls, one refuses requests, one falls silent.

They listen on loopback in plain HTTP, forward everything with the operator's own token and stream watches through.
"""

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

import aiohttp
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "host", "te"}


class ApiProxy:
    """Forwards to `server`. What is done beside that is a subclass' to say, in `handle`."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.url = ""
        self.loop = asyncio.new_event_loop()
        self._sockets: list[socket.socket] = []  # towards the API server, the closed ones too
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self.loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _start(self) -> None:
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE  # the development cluster's own, on loopback
        self._client = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=trust, limit=0, socket_factory=self._socket),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )
        app = web.Application(client_max_size=2**22)
        app.router.add_route("*", "/{path:.*}", self.handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        await self._runner.cleanup()
        # The handlers of an operator that was killed wait for requests that never come.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._client.close()
        async with asyncio.timeout(10):
            while any(each.fileno() != -1 for each in self._sockets):  # noqa: ASYNC110 - TLS takes its leave first
                await asyncio.sleep(0.01)

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, proto, _, _ = address
        self._sockets.append(socket.socket(family, kind, proto))
        return self._sockets[-1]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One request of the operator."""
        async with self.forwarded(request) as answer:
            return await self.pass_on(request, answer)

    @asynccontextmanager
    async def forwarded(self, request: web.Request) -> AsyncIterator[aiohttp.ClientResponse]:
        """The API server's answer; the request has happened by then."""
        headers = {key: value for key, value in request.headers.items() if key.lower() not in HOP_BY_HOP}
        body = await request.read()
        async with self._client.request(
            request.method, self.server + request.raw_path, headers=headers, data=body or None
        ) as answer:
            yield answer

    async def pass_on(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """Gives the answer to the operator, as it comes."""
        kept = {key: value for key, value in answer.headers.items() if key.lower() not in HOP_BY_HOP}
        encoding = answer.headers.get("Content-Encoding")
        response = web.StreamResponse(
            status=answer.status, headers=kept | ({"Content-Encoding": encoding} if encoding else {})
        )
        await response.prepare(request)
        async for chunk in self.chunks(request, answer):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def chunks(self, _request: web.Request, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The answer's bytes."""
        async for chunk in answer.content.iter_any():
            yield chunk


class Moment(Enum):
    """When the operator dies, as seen from the write that it dies at."""

    BEFORE = "the write never happens"
    AFTER = "the write has happened, the answer is lost"


def nth_write(nth: int) -> "Last":
    """Each life ends at its `nth` write; what is not a GET is a write."""
    return lambda _life, _calls, writes, method: method != "GET" and writes == nth


def each_call_in_its_turn(life: int, calls: int, _writes: int, _method: str) -> bool:
    """The first life ends at its first call of any kind, the second at its second, and so on."""
    return calls == life


Last = Callable[[int, int, int, str], bool]
"""Whether a call is a life's last: the life's number from 1, its calls and writes so far with this one, the method."""


class KillingProxy(ApiProxy):
    """Calls `kill` at the last call of each life, as `last` says.

    Killing after the forwarding and before the answer is the hard case: the write has happened, and nobody has
    been told.
    """

    def __init__(self, server: str, kill: Callable[[], None], last: Last, moment: Moment) -> None:
        super().__init__(server)
        self.kill, self.last, self.moment = kill, last, moment
        self.life = 1
        self.calls = self.writes = 0
        self.deaths = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forwards, or kills before or after it."""
        self.calls += 1
        self.writes += request.method != "GET"
        fatal = self.last(self.life, self.calls, self.writes, request.method)
        if fatal and self.moment is Moment.BEFORE:
            self._die()
            raise web.HTTPServiceUnavailable
        async with self.forwarded(request) as answer:
            if fatal:
                if "watch" not in request.query:  # a watch's answer has no end
                    await answer.read()
                self._die()
                raise web.HTTPServiceUnavailable
            return await self.pass_on(request, answer)

    def _die(self) -> None:
        self.deaths += 1
        self.kill()

    def reset(self) -> None:
        """Begins to count anew, for the operator's next life."""
        self.life += 1
        self.calls = self.writes = 0


@dataclass(frozen=True)
class Refusal:
    """One request that is refused once: 429 asks for a second's patience; 410 (a watch is too far behind) and 500 come
    in the midst of a watch."""

    verb: str
    """list, watch or create."""
    plural: str
    code: int

    def concerns(self, request: web.Request) -> bool:
        """Whether it is such a request."""
        verb = "create" if request.method == "POST" else "watch" if "watch" in request.query else "list"
        return verb == self.verb and request.path.endswith(f"/{self.plural}")

    def answer(self) -> web.Response:
        """As the API server says it: 410 and 500 as the first event of a watch, 429 as a status of its own."""
        status = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.code, "message": "not now"}
        if self.code != 429:
            reason = "Expired" if self.code == 410 else "InternalError"
            event = {"type": "ERROR", "object": {**status, "reason": reason}}
            return web.Response(text=json.dumps(event) + "\n", content_type="application/json")
        body = {**status, "details": {"retryAfterSeconds": 1}}
        return web.json_response(body, status=self.code, headers={"Retry-After": "1"})


class RefusingProxy(ApiProxy):
    """Refuses each of `due` once."""

    def __init__(self, server: str, *due: Refusal) -> None:
        super().__init__(server)
        self.due = list(due)
        self._watches: set[asyncio.Transport] = set()

    def refuse(self, *more: Refusal) -> None:
        """Further refusals. The watches under way are cut, so that they begin again."""
        self.loop.call_soon_threadsafe(self._refuse, more)

    def _refuse(self, more: tuple[Refusal, ...]) -> None:
        self.due += more
        for watch in self._watches:
            watch.close()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forwards, or refuses."""
        refusal = next((each for each in self.due if each.concerns(request)), None)
        if refusal is not None:
            self.due.remove(refusal)
            return refusal.answer()
        transport = request.transport
        if "watch" not in request.query or transport is None:
            return await super().handle(request)
        self._watches.add(transport)
        try:
            return await super().handle(request)
        finally:
            self._watches.discard(transport)


class SilencingProxy(ApiProxy):
    """A network that swallows everything from `silence` to `heal`; what was under way by then is never heard of."""

    def __init__(self, server: str) -> None:
        super().__init__(server)
        self._open = asyncio.Event()
        self._open.set()
        self._swallowed: list[str] = []

    def silence(self) -> None:
        """From now on nothing comes through, and nothing is closed either."""
        self.loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """What is asked from now on is answered."""
        self.loop.call_soon_threadsafe(self._open.set)

    @property
    def swallowed(self) -> list[str]:
        """The plurals of the watches that something was withheld from."""
        return self._swallowed.copy()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Forwards while the network is whole."""
        if not self._open.is_set():
            await asyncio.Event().wait()
        return await super().handle(request)

    async def chunks(self, request: web.Request, answer: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
        """The answer's bytes, up to the silence."""
        async for chunk in super().chunks(request, answer):
            if not self._open.is_set():
                self._swallowed.append(request.path.rpartition("/")[2])
                await asyncio.Event().wait()
            yield chunk
