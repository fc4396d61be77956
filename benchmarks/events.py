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
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import redis
from harness.roles import RATE, event
from harness.servers import cpu_seconds, fetch, redis_server, role, rss, server, wait_for, write_run

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_FIELD
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.block import Point
from diffrun_worker.journal import Journal
from diffrun_worker.publisher import Publisher, RedisTransport
from diffrun_worker.workspace import Workspace

BURST = 10_000
"""Points that a worker makes before it waits for those to be in its file: what no block ever reaches in a step."""
LIMITS = {"p99 at 100 clients, ms": (250.0, True), "publisher, times the plain way": (30.0, False),
          "first answer for 200,000 points, s": (1.0, True)}  # fmt: skip


def main() -> int:
    """Measures, prints, and says whether the limits held."""
    options = parser().parse_args()
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


def paint(url: str, directory: Path, count: int) -> dict[str, Any]:
    """The first answers of a page, from a gateway that has not read the run, and then has."""
    run = RunRef(namespace="bench", name="paint", uid=str(uuid.uuid4()))
    _publish_ours(url, directory, run, count)
    with server("gateway", url, directory) as (port, process):
        base = f"http://127.0.0.1:{port}/api"
        wait_for(f"{base}/runs", run.uid)
        asyncio.run(fetch(f"{base}/metrics?run={run.uid}"))
        thinned = [asyncio.run(fetch(f"{base}/series?run={run.uid}&smoothing=ema")) for _ in range(5)]
        whole = [asyncio.run(fetch(f"{base}/series?run={run.uid}&points=0")) for _ in range(5)]
        memory = rss(process.pid)
    with server("gateway", url, directory, ready=False) as (port, _):
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
    with server(way, url, directory) as (port, process):
        if way == "gateway":
            wait_for(f"http://127.0.0.1:{port}/api/runs", run.uid)
        told = ["--redis", url, "--uid", run.uid, "--seconds", str(seconds)]
        reader = subprocess.Popen([*role("clients"), *told, "--port", str(port), "--count", str(clients)],
                                  stdout=subprocess.PIPE, text=True)  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == "connected\n"
        cpu = cpu_seconds(process.pid)
        publisher = subprocess.Popen([*role("publisher"), *told])
        publisher.wait()
        answer, _ = reader.communicate(timeout=120)
        result: dict[str, float] = json.loads(answer)
        result["gateway_cpu_s"] = round(cpu_seconds(process.pid) - cpu, 2)
        result["gateway_mib"] = rss(process.pid)
    redis.Redis.from_url(url).flushall()
    shutil.rmtree(directory / names.run_dir(run.uid))
    return result


def parser() -> argparse.ArgumentParser:
    """The command line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--clients", type=int, nargs="*", default=[1, 100, 1000])
    arguments.add_argument("--seconds", type=float, default=8)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--points", type=int, default=200_000)
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--check", action="store_true")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
