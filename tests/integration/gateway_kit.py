"""The gateway as a process would run it, and a browser's EventSource, for the tests."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import uvicorn

from diffrun_contracts.api import SeriesList
from diffrun_gateway.app import Application
from diffrun_gateway.asgi import LimitedProtocol, Server
from diffrun_gateway.services import Services
from diffrun_gateway.settings import Settings
from diffrun_gateway.telemetry import REGISTRY

SECONDS = 15.0
"""How long anything is waited for."""


@dataclass
class Message:
    """What EventSource would dispatch."""

    name: str
    id: str | None
    data: dict[str, Any]


class EventSource:
    """A stream, read message by message."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id: str | None = None

    async def next(self, *names_: str) -> Message:
        """The next message with one of the names (any, without), within SECONDS. Raises EOFError at the end."""
        async with asyncio.timeout(SECONDS):
            while True:
                message = await self._read()
                if not names_ or message.name in names_:
                    return message

    async def until(self, name: str) -> list[Message]:
        """All messages up to and with the first of that name."""
        messages = [await self.next()]
        while messages[-1].name != name:
            messages.append(await self.next())
        return messages

    async def steps(self, count: int) -> list[int]:
        """The steps of the next metric events, until there are `count` of them."""
        found: list[int] = []
        while len(found) < count:
            message = await self.next("event")
            body = message.data["event"]["body"]
            found += [each["step"] for each in body.get("points", ())]
        return found

    async def _read(self) -> Message:
        name, identifier, data = "message", None, ""
        while line := (await self.response.content.readline()).decode():
            text = line.rstrip("\n")
            if not text:
                if data:
                    self.last_id = identifier or self.last_id
                    return Message(name, identifier, json.loads(data))
                continue
            key, _, value = text.partition(": ")
            if key == "event":
                name = value
            elif key == "id":
                identifier = value
            elif key == "data":
                data += value
        raise EOFError


@dataclass
class Gateway:
    """A running gateway."""

    url: str
    http: aiohttp.ClientSession
    services: Services

    async def json(self, path: str, **query: Any) -> Any:
        """The answer to a GET, which must be 200."""
        async with self.http.get(f"{self.url}/{path}", params=_pairs(query)) as response:
            body = await response.json()
            assert response.status == 200, body
            return body

    async def refused(self, path: str, **query: Any) -> tuple[int, dict[str, Any]]:
        """Status and problem of a GET."""
        async with self.http.get(f"{self.url}/{path}", params=_pairs(query)) as response:
            return response.status, await response.json()

    @asynccontextmanager
    async def events(self, *uids: str, path: str = "api/events", last_id: str | None = None,
                     **query: str) -> AsyncIterator[EventSource]:  # fmt: skip
        """An open stream."""
        headers = {"Last-Event-ID": last_id} if last_id else {}
        pairs = [("run", uid) for uid in uids] + list(query.items())
        async with self.http.get(f"{self.url}/{path}", params=pairs, headers=headers) as response:
            assert response.status == 200, await response.text()
            yield EventSource(response)

    async def run(self, uid: str) -> None:
        """Waits until the gateway knows the run."""
        await eventually(lambda: uid in self.services.registry.runs)


async def eventually(condition: Any, what: str = "the condition") -> None:
    """Waits until a condition (a function, or one that gives an awaitable) holds."""
    deadline = asyncio.get_running_loop().time() + SECONDS
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert asyncio.get_running_loop().time() < deadline, f"{what} did not come true"
        await asyncio.sleep(0.02)


async def shown(gate: Gateway, uid: str) -> list[int]:
    """The steps that the chart has after a fetch."""
    answer = SeriesList.model_validate(await gate.json("api/series", run=uid))
    return [step for line in answer.series for step in line.steps]


def sample(name: str, **labels: str) -> float:
    """A figure that the gateway gives Prometheus; 0 where it has not counted yet."""
    return REGISTRY.get_sample_value(name, labels) or 0.0


@asynccontextmanager
async def gateway(
    workspace: Path | None, redis_url: str | None, *, port: int = 0, **settings: Any
) -> AsyncIterator[Gateway]:
    """Serves on a free port until the block is left."""
    settings = {"runs": {"source": "workspace"}, "auth": {"mode": "none"}, **settings}
    application = Application(Settings(workspace=workspace, redis={"url": redis_url}, **settings))
    listener = socket.create_server(("127.0.0.1", port), backlog=2048)
    config = uvicorn.Config(application.asgi, http=LimitedProtocol, ws="none", lifespan="on", log_config=None,
                            access_log=False, timeout_graceful_shutdown=3)  # fmt: skip
    server = Server(config, application.stop_streams)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    timeout = aiohttp.ClientTimeout(total=None, sock_read=SECONDS * 2)
    connector = aiohttp.TCPConnector(limit=0)
    try:
        await eventually(lambda: server.started or task.done(), "the start")
        if task.done():
            task.result()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with aiohttp.ClientSession(timeout=timeout, connector=connector, read_bufsize=1 << 20) as http:
            assert application.services is not None
            await asyncio.wait_for(application.services.registry.ready.wait(), SECONDS)
            yield Gateway(url, http, application.services)
    finally:
        application.stop_streams()
        server.should_exit = True
        await task
        listener.close()


def _pairs(query: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (key.rstrip("_"), str(item))
        for key, value in query.items()
        for item in (value if isinstance(value, list | tuple) else [value])
    ]
