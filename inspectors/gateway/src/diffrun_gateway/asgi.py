"""What stands between the socket and the application: limits, the Host header, and a stop that is quick.

LimitedProtocol -> Guard -> Measured -> FastAPI
"""

import asyncio
import http
import logging
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from diffrun_contracts.api import Problem
from diffrun_gateway import telemetry
from diffrun_gateway.sse import ABORT

MAX_BODY = 16 * 1024
"""Bytes of a request's body; a decision's note has at most 1024 characters."""

LINGER_SECONDS = 0.5
"""How long a refused client may go on sending, unheard."""

PROBES = frozenset({"/livez", "/readyz"})
"""The kubelet asks for these by the pod's address, and they tell nothing."""

SECURITY_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
]
PAGE_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    b"img-src 'self' blob: data:; media-src 'self'; connect-src 'self'; font-src 'self'; "
    b"base-uri 'self'; form-action 'none'; frame-ancestors 'none'"
)


class LimitedProtocol(HttpToolsProtocol):
    """Bounds the request's head while it arrives, and lets a stream drop its connection."""

    max_head = 16 * 1024

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0  # bytes since the head began; -1 once it is complete
        self._refused = False

    def data_received(self, data: bytes) -> None:
        """Counts what belongs to a head that is not complete yet."""
        if self._refused:
            return
        if self._head >= 0:
            self._head += len(data)
        super().data_received(data)
        if self._head > self.max_head:
            self._refuse()

    def on_message_begin(self) -> None:
        """A new head begins."""
        super().on_message_begin()
        self._head = 0
        cast("dict[str, Any]", self.scope)[ABORT] = self.transport.abort

    def on_headers_complete(self) -> None:
        """The head is complete; one that came in a single read is measured here."""
        self._head = -1
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.max_head:
            self._head = size
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Of a refused request nothing is taken."""
        if self._head < 0:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The next head begins, on a connection that is kept."""
        if self._head < 0:
            super().on_message_complete()
            self._head = 0

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        self._refused = True
        text = f"the request's head is larger than {self.max_head} bytes"
        body = Problem(code="HeadTooLarge", message=text).to_json().encode()
        phrase = http.HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE.phrase.encode()
        self.transport.write(
            b"HTTP/1.1 431 " + phrase + b"\r\ncontent-type: application/json\r\ncontent-length: "
            + str(len(body)).encode() + b"\r\nconnection: close\r\n\r\n" + body
        )  # fmt: skip
        # Closing with unread data would reset the connection before the answer is read.
        self.loop.call_later(LINGER_SECONDS, self.transport.close)


class Hosts:
    """The names by which the gateway may be asked for."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._exact = {name.lower() for name in names if not name.startswith("*.")}
        self._below = tuple(name[1:].lower() for name in names if name.startswith("*."))

    def __call__(self, header: str) -> bool:
        """Whether a Host header (or an origin's authority) names one of them; the port does not matter."""
        name, _, port = header.rpartition(":") if not header.endswith("]") else (header, "", "")
        if not name:
            name, port = port, ""
        name = name.lower()
        if port and not (port.isascii() and port.isdecimal() and len(port) <= 5):
            return False
        return name in self._exact or (name.endswith(self._below) and _is_name(name) if self._below else False)


def _is_name(name: str) -> bool:
    return all(label and label.isascii() and label.replace("-", "").isalnum() for label in name.split("."))


class Guard:
    """Refuses foreign Host headers, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp, allowed: Callable[[str], bool], prefix: str = "") -> None:
        """`prefix`: removed from paths that have it, for proxies that pass it on."""
        self._app, self._allowed, self._prefix = app, allowed, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if scope["path"] not in PROBES and (len(hosts) != 1 or not self._allowed(hosts[0].decode("latin-1"))):
            await _problem(send, 400, Problem(
                code="UnknownHost", field="Host",
                message="this name is not one of the gateway's; add it to serve.hosts if it should be",
            ))  # fmt: skip
            return

        if self._prefix and scope["path"].startswith(self._prefix + "/"):
            scope = {**scope, "path": scope["path"][len(self._prefix) :]}
            scope.pop("raw_path", None)

        async def secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                present = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in SECURITY_HEADERS if h[0] not in present)]
            await send(message)

        await self._app(scope, receive, secured)


class Measured:
    """Bounds bodies, and times requests by route: by path there would be no bound to their number."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI application."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"0")
        chunked = b"transfer-encoding" in headers
        if chunked or not length.isdigit() or int(length) > MAX_BODY:
            text = f"send a body of at most {MAX_BODY} bytes, with its Content-Length"
            await _problem(send, 413, Problem(code="BodyTooLarge", message=text))
            return
        began, status = time.perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            if not route.endswith("/events"):
                telemetry.REQUESTS.labels(route, str(status)).observe(time.perf_counter() - began)


async def _problem(send: Send, status: int, problem: Problem) -> None:
    body = problem.to_json().encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *SECURITY_HEADERS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Server(uvicorn.Server):
    """Ends open streams as soon as the process is told to stop."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """On SIGTERM and SIGINT."""
        logging.getLogger(__name__).info("stopping")
        asyncio.get_event_loop().call_soon_threadsafe(self._on_stop)
        super().handle_exit(sig, frame)
