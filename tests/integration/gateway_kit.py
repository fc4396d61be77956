"""The gateway as a process would run it, pods that publish, and a browser's EventSource, for the tests."""

import asyncio
import hashlib
import json
import socket
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import redis
import uvicorn

from diffrun_contracts import names
from diffrun_contracts.events import (
    EVENT_FIELD,
    Artifact,
    ArtifactWritten,
    BlockFinished,
    BlockStarted,
    Body,
    Event,
    Manifest,
    Metric,
    MetricPoint,
)
from diffrun_contracts.task import RunRef
from diffrun_gateway.app import Application
from diffrun_gateway.asgi import LimitedProtocol, Server
from diffrun_gateway.services import Services
from diffrun_gateway.settings import Settings
from diffrun_gateway.telemetry import REGISTRY
from diffrun_testkit.servers import RedisServer

SECONDS = 15.0
"""How long anything is waited for."""


def a_run(name: str = "cats", namespace: str = "demo") -> RunRef:
    """A run that nobody has met before."""
    return RunRef(namespace=namespace, name=name, uid=str(uuid.uuid4()))


def point(value: float, step: int, name: str = "denoise/snr", **labels: str | int) -> MetricPoint:
    """One point; `step` is a label too, as workers do it."""
    return MetricPoint(name=name, value=value, step=step, labels={"step": step, **labels})


@dataclass
class Pod:
    """Writes and publishes one pod's events; either path can be broken."""

    run: RunRef
    workspace: Path | None = None
    client: "redis.Redis | None" = None
    block: str = "preview"
    attempt: int = 1
    shard: int = 0
    retry: int = 0
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    seq: int = 0
    time: datetime = field(default_factory=lambda: datetime.now(UTC))
    artifacts: list[Artifact] = field(default_factory=list)

    @property
    def relative(self) -> str:
        """The pod's directory in the workspace."""
        return names.retry_dir(self.run.uid, self.block, self.attempt, self.shard, self.retry)

    def line(self, body: Body) -> str:
        """The next event."""
        self.time += timedelta(milliseconds=10)
        event = Event(
            run=self.run, block=self.block, attempt=self.attempt, shard=self.shard, retry=self.retry, pod=self.uid,
            seq=self.seq, time=self.time, body=body,
        )  # fmt: skip
        self.seq += 1
        return event.to_json()

    def emit(self, *bodies: Body, live: bool = True, durable: bool = True) -> None:
        """File first, then Redis."""
        lines = [self.line(body) for body in bodies]
        if durable:
            self.write(lines)
        if live:
            self.publish(lines)

    def write(self, lines: Iterable[str]) -> None:
        """Appends lines to events.jsonl."""
        if self.workspace is not None:
            path = self.workspace / self.relative / names.EVENTS_FILE
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.writelines(line + "\n" for line in lines)

    def publish(self, lines: Iterable[str | bytes]) -> None:
        """Appends lines to the stream."""
        if self.client is not None:
            for line in lines:
                self.client.xadd(names.events_key(self.run.uid), {EVENT_FIELD: line})

    def metric(self, *values: float, start: int = 0, name: str = "denoise/snr", **kw: Any) -> None:
        """Points of consecutive steps, one event each."""
        for offset, value in enumerate(values):
            self.emit(Metric(points=(point(value, start + offset, name),)), **kw)

    def started(self) -> None:
        """The first event."""
        self.emit(BlockStarted(block_type="generatePreview", device="cpu"))

    def finished(self) -> None:
        """The last event."""
        self.emit(BlockFinished(succeeded=True))

    def artifact(self, data: bytes, *, name: str = "sample.png", content_type: str = "image/png",
                 schema_type: str = "generated_sample", path: str | None = None, identifier: str | None = None,
                 **tags: str) -> Artifact:  # fmt: skip
        """Writes a file, lists it and announces it."""
        assert self.workspace is not None
        relative = path or f"{self.relative}/artifacts/{len(self.artifacts):06d}-{name}"
        if path is None:
            target = self.workspace / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        artifact = Artifact(
            id=identifier or uuid.uuid4().hex, path=relative, schema_type=schema_type, content_type=content_type,
            tags=tags, sha256=hashlib.sha256(data).hexdigest(), size=len(data),
        )  # fmt: skip
        self.artifacts.append(artifact)
        manifest = Manifest(run=self.run, block=self.block, attempt=self.attempt, shard=self.shard, retry=self.retry,
                            artifacts=tuple(self.artifacts))  # fmt: skip
        directory = self.workspace / self.relative
        directory.mkdir(parents=True, exist_ok=True)
        (directory / names.MANIFEST_FILE).write_text(manifest.to_json())
        self.emit(ArtifactWritten(artifact=artifact))
        return artifact


def run_object(run: RunRef, *, over: bool = False, gates: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    """The object of a run of two blocks, the first with a gate."""
    now = "2026-01-01T00:00:00Z"
    states = {"Finished": "True" if over else "False", "Succeeded": "True" if over else "Unknown"}
    reason = "AllBlocksSucceeded" if over else "Running"
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"namespace": run.namespace, "name": run.name, "uid": run.uid, "creationTimestamp": now,
                     "generation": 1, "resourceVersion": "1"},
        "spec": {"blocks": [{"name": "preview", "generatePreview": {}, "gate": {"prompt": "Good?"}},
                            {"name": "full", "generateFull": {}}], **spec},
        "status": {
            "startTime": now, "gates": gates or {},
            "blocks": [{"name": "preview", "state": "Succeeded" if over else "Running", "attempt": 1},
                       {"name": "full", "state": "Succeeded" if over else "Pending"}],
            "conditions": [{"type": kind, "status": status, "reason": reason, "lastTransitionTime": now,
                            "observedGeneration": 1} for kind, status in states.items()],
        },
    }  # fmt: skip


def write_object(workspace: Path, raw: dict[str, Any]) -> None:
    """Puts `run.json` into the run's directory."""
    path = workspace / names.run_dir(raw["metadata"]["uid"]) / names.RUN_FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(raw))
    temporary.replace(path)


def a_pod(workspace: Path, redis_server: RedisServer, name: str = "cats") -> Pod:
    """A pod of a run of that name, whose events go to the files and to Redis."""
    run = a_run(name)
    write_object(workspace, run_object(run))
    return Pod(run, workspace, redis_server.client)


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
