"""Events from a worker to many browsers: our publisher and gateway beside the plain way, in the same run.

    python benchmarks/events.py                          # everything, 1, 100 and 1000 clients
    python benchmarks/events.py --clients 100 --seconds 10 --repeats 5 --json events.json

A redis-server with its append-only file on, one process each for publisher, gateway and clients. The two ways take
turns within each repeat; medians over the repeats count.

    publish    points a second: the worker's journal (file, batches, pipelines) against one `xadd` a point
    follow     1,000 events a second to N streams: our gateway against one `XREAD` a client, the same server
               otherwise. Latency is from the event's own time stamp to its receipt by a client
    paint      a run of 200,000 points: what the page fetches first against fetching every point

Exit status 1 where a limit is missed and --check was given.
"""

import argparse
import asyncio
import gc
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import redis
import uvicorn
from harness.servers import cpu_seconds, fetch, redis_server, rss, server, wait_for, write_run
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import StreamingResponse
from starlette.routing import Route

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_FIELD, Event, Metric, MetricPoint
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.block import Point
from diffrun_worker.journal import Journal
from diffrun_worker.publisher import Publisher, RedisTransport
from diffrun_worker.workspace import Workspace

SELF = str(Path(__file__).resolve())
RATE = 1000
TICK = 0.005
BURST = 10_000
"""Points that a worker makes before it waits for those to be in its file: what no block ever reaches in a step."""
PATIENCE = 40
"""Seconds after the last event that clients wait for what has not come; the rest counts as missing."""
OBSERVED = 8
"""Clients whose every event is timed; of the others the events are counted."""
_TIME = re.compile(rb'"time": ?"([^"]+)"')
LIMITS = {"p99 at 100 clients, ms": (250.0, True), "publisher, times the plain way": (30.0, False),
          "first answer for 200,000 points, s": (1.0, True)}  # fmt: skip


def main() -> int:
    """Measures, prints, and says whether the limits held."""
    options = parser().parse_args()
    if options.role:
        return ROLES[options.role](options)
    results: dict[str, Any] = {"cores": os.cpu_count(), "rate": RATE, "load": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as directory, redis_server(Path(directory)) as url:
        results["publish"] = publish(url, Path(directory), options.repeats, options.points)
        print(f"publisher: {results['publish']['ratio']} times the plain way", file=sys.stderr, flush=True)
        shutil.rmtree(Path(directory) / "runs")
        results["paint"] = paint(url, Path(directory), options.points)
        empty = Path(directory) / "follow"  # a gateway that starts reads what it finds, which is not what is timed
        empty.mkdir()
        results["follow"] = [follow(url, empty, n, options) for n in options.clients]
    print(json.dumps(results, indent=1))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))
    return check(results) if options.check else 0


def check(results: dict[str, Any]) -> int:
    """0 where every limit held."""
    found = {
        "publisher, times the plain way": results["publish"]["ratio"],
        "first answer for 200,000 points, s": results["paint"]["first_s"],
        **{f"p99 at {line['clients']} clients, ms": line["ours"]["p99_ms"] for line in results["follow"]},
    }
    missed = [
        f"{name}: {found[name]:.3g}, limit {limit}"
        for name, (limit, below) in LIMITS.items()
        if name in found and (found[name] > limit if below else found[name] < limit)
    ]
    print("\n".join(missed) or "all limits held", file=sys.stderr)
    return int(bool(missed))


def publish(url: str, directory: Path, repeats: int, count: int) -> dict[str, Any]:
    """Points a second, until Redis has them all."""
    ours, plain = [], []
    client = redis.Redis.from_url(url)
    gc.freeze()  # as the worker's runner does; it is the same for both ways
    for repeat in range(repeats):
        for way in (("ours", "plain"), ("plain", "ours"))[repeat % 2]:
            run = RunRef(namespace="bench", name="publish", uid=str(uuid.uuid4()))
            (ours if way == "ours" else plain).append(
                _publish_ours(url, directory, run, count) if way == "ours" else _publish_plain(client, run, count // 10)
            )
            client.delete(names.events_key(run.uid))
    ratio = statistics.median(a / b for a, b in zip(ours, plain, strict=True))
    return {"ours_points_s": round(statistics.median(ours)), "plain_points_s": round(statistics.median(plain)),
            "ratio": round(ratio, 1)}  # fmt: skip


def _publish_ours(url: str, directory: Path, run: RunRef, count: int) -> float:
    publisher = Publisher(RedisTransport(url, names.events_key(run.uid)), max_backlog=1 << 30)
    task = BlockTask(run=run, block="b", type="custom")
    journal = Journal(Workspace(str(directory)), task, pod=str(uuid.uuid4()), offer=publisher.offer)
    began = time.perf_counter()
    for step in range(0, count, 100):
        journal.metrics([Point("loss", s / 7, s, {"step": s, "sample_index": 0}) for s in range(step, step + 100)])
        if step % BURST == 0:
            journal.flush()
    journal.close()
    assert publisher.settle(120) == 0, "Redis did not get everything"
    seconds = time.perf_counter() - began
    publisher.close(1)
    return count / seconds


def _publish_plain(client: "redis.Redis", run: RunRef, count: int) -> float:
    began = time.perf_counter()
    for step in range(count):
        client.xadd(names.events_key(run.uid), {EVENT_FIELD: event(run, step, "pod")}, maxlen=100_000, approximate=True)
    return count / (time.perf_counter() - began)


def event(run: RunRef, seq: int, pod: str) -> str:
    """One point, as one event."""
    point = MetricPoint(name="loss", value=seq / 7, step=seq, labels={"step": seq, "sample_index": 0})
    return Event(run=run, block="b", attempt=1, shard=0, retry=0, pod=pod, seq=seq, time=datetime.now(UTC),
                 body=Metric(points=(point,))).to_json()  # fmt: skip


def paint(url: str, directory: Path, count: int) -> dict[str, Any]:
    """The first answers of a page, from a gateway that has not read the run, and then has."""
    run = RunRef(namespace="bench", name="paint", uid=str(uuid.uuid4()))
    _publish_ours(url, directory, run, count)
    with server("gateway", SELF, url, directory) as (port, process):
        base = f"http://127.0.0.1:{port}/api"
        wait_for(f"{base}/runs", run.uid)
        asyncio.run(fetch(f"{base}/metrics?run={run.uid}"))
        thinned = [asyncio.run(fetch(f"{base}/series?run={run.uid}&smoothing=ema")) for _ in range(5)]
        whole = [asyncio.run(fetch(f"{base}/series?run={run.uid}&points=0")) for _ in range(5)]
        memory = rss(process.pid)
    with server("gateway", SELF, url, directory, ready=False) as (port, _):
        began = time.perf_counter()
        wait_for(f"http://127.0.0.1:{port}/api/runs", run.uid)
        asyncio.run(fetch(f"http://127.0.0.1:{port}/api/series?run={run.uid}"))
        cold = time.perf_counter() - began
    first, plain = (statistics.median(each[0] for each in way) for way in (thinned, whole))
    return {"points": count, "first_s": round(first, 3), "first_bytes": thinned[0][1], "every_point_s": round(plain, 3),
            "every_point_bytes": whole[0][1], "bytes_ratio": round(whole[0][1] / thinned[0][1], 1),
            "cold_process_s": round(cold, 2), "gateway_mib": memory}  # fmt: skip


def follow(url: str, directory: Path, clients: int, options: argparse.Namespace) -> dict[str, Any]:
    """RATE events a second to `clients` streams, both ways in turn."""
    found: dict[str, list[dict[str, float]]] = {"gateway": [], "naive": []}
    for repeat in range(options.repeats):
        for way in (("gateway", "naive"), ("naive", "gateway"))[repeat % 2]:
            found[way].append(_follow_once(url, directory, clients, way, options.seconds))
    ours, plain = ({k: _median(runs, k) for k in runs[0]} for runs in found.values())
    told = ", ".join(f"{key} {ours[key]:g} beside {plain[key]:g}" for key in ("delivered_s", "p50_ms", "p99_ms"))
    print(f"{clients} clients: {told}", file=sys.stderr, flush=True)
    return {"clients": clients, "ours": ours, "plain": plain,
            "delivered_ratio": round(ours["delivered_s"] / max(1.0, plain["delivered_s"]), 2),
            "p99_ratio": round(plain["p99_ms"] / ours["p99_ms"], 2)}  # fmt: skip


def _median(runs: list[dict[str, float]], key: str) -> float:
    return round(statistics.median(run[key] for run in runs), 2)


def _follow_once(url: str, directory: Path, clients: int, way: str, seconds: float) -> dict[str, float]:
    run = RunRef(namespace="bench", name="follow", uid=str(uuid.uuid4()))
    write_run(directory, run)
    with server(way, SELF, url, directory) as (port, process):
        if way == "gateway":
            wait_for(f"http://127.0.0.1:{port}/api/runs", run.uid)
        base = [sys.executable, SELF, "--redis", url, "--uid", run.uid, "--seconds", str(seconds)]
        reader = subprocess.Popen([*base, "--role", "clients", "--port", str(port), "--count", str(clients)],
                                  stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == "connected\n"
        cpu = cpu_seconds(process.pid)
        publisher = subprocess.Popen([*base, "--role", "publisher"])
        publisher.wait()
        answer, _ = reader.communicate(timeout=120)
        result: dict[str, float] = json.loads(answer)
        result["gateway_cpu_s"] = round(cpu_seconds(process.pid) - cpu, 2)
        result["gateway_mib"] = rss(process.pid)
    redis.Redis.from_url(url).flushall()
    shutil.rmtree(directory / names.run_dir(run.uid))
    return result


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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, nargs="*", default=[1, 100, 1000])
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--points", type=int, default=200_000)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--check", action="store_true")
    for name, kind in (("role", str), ("redis", str), ("uid", str), ("port", int), ("count", int)):
        arguments.add_argument(f"--{name}", type=kind, help=argparse.SUPPRESS)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
