"""The processes of the benchmark of events that are neither a gateway of ours nor Redis.

python benchmarks/harness/roles.py publisher | clients | naive --redis URL …
"""

import argparse
import asyncio
import json
import re
import sys
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import redis
import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_FIELD, Event, Metric, MetricPoint
from diffrun_contracts.task import RunRef

RATE = 1000
"""Events a second."""
TICK = 0.005
PATIENCE = 40
"""Seconds after the last event that clients wait for what has not come; the rest counts as missing."""
OBSERVED = 8
"""Clients whose every event is timed; of the others the events are counted."""
_TIME = re.compile(rb'"time": ?"([^"]+)"')


def event(run: RunRef, seq: int, pod: str) -> str:
    """One point, as one event."""
    point = MetricPoint(name="loss", value=seq / 7, step=seq, labels={"step": seq, "sample_index": 0})
    return Event(run=run, block="b", attempt=1, shard=0, retry=0, pod=pod, seq=seq, time=datetime.now(UTC),
                 body=Metric(points=(point,))).to_json()  # fmt: skip


def publisher_role(options: argparse.Namespace) -> int:
    """RATE events a second, a few at a time, as several pods together would."""
    client = redis.Redis.from_url(options.redis)
    run = RunRef(namespace="bench", name="follow", uid=options.uid)
    pod, seq, began = str(uuid.uuid4()), 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < options.seconds:
        pipeline = client.pipeline(transaction=False)
        while seq < elapsed * RATE:
            pipeline.xadd(names.events_key(run.uid), {EVENT_FIELD: event(run, seq, pod)}, maxlen=100_000)
            seq += 1
        pipeline.execute()
        time.sleep(TICK)
    client.set(f"bench:{run.uid}", seq, ex=600)
    return 0


def clients_role(options: argparse.Namespace) -> int:
    """Opens streams, waits for the last event or until nothing more comes, and says what arrived when."""
    import uvloop

    uvloop.run(_clients(options))
    return 0


async def _clients(options: argparse.Namespace) -> None:
    request = f"GET /api/events?run={options.uid} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    streams = []
    for index in range(options.count):
        _, stream = await loop.create_connection(
            lambda i=index: Stream(request, i < OBSERVED), "127.0.0.1", options.port
        )
        streams.append(stream)
    await asyncio.wait_for(asyncio.gather(*(stream.opened for stream in streams)), 120)
    await asyncio.sleep(1.0)
    print("connected", flush=True)
    began = time.perf_counter()
    redis_client = Redis.from_url(options.redis, socket_timeout=60)
    total: int | None = None
    last, quiet_since = -1, time.perf_counter()
    while True:
        await asyncio.sleep(0.05)
        total = total or int(await redis_client.get(f"bench:{options.uid}") or 0) or None
        count = sum(stream.events for stream in streams)
        if count != last:
            last, quiet_since = count, time.perf_counter()
        if total and (count >= total * len(streams) or time.perf_counter() - quiet_since > 3):
            break
        if time.perf_counter() - began > options.seconds + PATIENCE:
            quiet_since = time.perf_counter()  # what has arrived so far counts
            break
    seconds = quiet_since - began
    lags = sorted(lag for stream in streams for lag in stream.lags)
    await redis_client.aclose()
    print(json.dumps({
        "delivered_s": round(last / seconds), "missing": (total or 0) * len(streams) - last,
        "p50_ms": round(lags[len(lags) // 2] * 1000, 1), "p99_ms": round(lags[int(len(lags) * 0.99)] * 1000, 1),
    }))  # fmt: skip


class Stream(asyncio.Protocol):
    """One client: counts events, and times them where it is observed."""

    def __init__(self, request: bytes, observed: bool) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.events = 0
        self.lags: list[float] = []
        self._request, self._observed, self._rest = request, observed, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks."""
        cast("asyncio.Transport", transport).write(self._request)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        """Counts what is complete."""
        now = time.time()
        if not self.opened.done():
            self.opened.set_result(None)
        data = self._rest + data
        cut = data.rfind(b"\n\n") + 2 if b"\n\n" in data else 0
        done, self._rest = data[:cut], data[cut:]
        self.events += done.count(b"event: event\n")
        if self._observed:
            for match in _TIME.finditer(done):
                stamp = datetime.fromisoformat(match[1].decode()).timestamp()
                if b'"heartbeat"' not in done:
                    self.lags.append(now - stamp)


def naive_role(options: argparse.Namespace) -> int:
    """The plain way: every client's own XREAD, on the same server."""
    client = Redis.from_url(options.redis, max_connections=100_000, socket_timeout=60)

    async def events(request: Request) -> StreamingResponse:
        key = names.events_key(request.query_params["run"])

        async def lines() -> AsyncIterator[bytes]:
            position = "$"
            yield b"event: cursor\ndata: {}\n\n"
            while True:
                reply = await client.xread({key: position}, count=500, block=4000)
                for _, entries in reply or []:
                    for identifier, fields in entries:
                        position = identifier.decode()
                        body = json.dumps(json.loads(fields[EVENT_FIELD.encode()]))
                        yield f"id: {position}\nevent: event\ndata: {body}\n\n".encode()

        return StreamingResponse(lines(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/api/events", events)])
    uvicorn.run(app, host="127.0.0.1", port=options.port, http="httptools", loop="uvloop", log_level="error")
    return 0


ROLES = {"publisher": publisher_role, "clients": clients_role, "naive": naive_role}


def main() -> int:
    """One process in one role."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("role", choices=sorted(ROLES))
    arguments.add_argument("--redis", required=True)
    arguments.add_argument("--uid")
    for name, kind in (("seconds", float), ("port", int), ("count", int)):
        arguments.add_argument(f"--{name}", type=kind)
    options = arguments.parse_args()
    return ROLES[options.role](options)


if __name__ == "__main__":
    sys.exit(main())
