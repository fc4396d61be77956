"""How a training goes on while Redis is away, and what Redis has in the end.

    python benchmarks/endurance/outage.py                            # ten minutes away: 13 minutes in all
    python benchmarks/endurance/outage.py --away 60 --way freeze
    python benchmarks/endurance/outage.py --away 30 --outages 10

One worker trains a small network and tells of every step. Redis is there for --up seconds, then away for --away, as
often as --outages says, and there again at the end.

    kill      the server's process is killed with SIGKILL and started again: connections are refused
    freeze    the process is stopped (SIGSTOP): it takes connections and answers nothing

Steps a second with Redis away are compared with those with Redis there, by the times at which the steps were
measured. At the end Redis must have every event but metrics that had to give way, which are counted.

Exit status 1 where a limit is missed and --check was given.
"""

import argparse
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from diffrun_contracts import names
from diffrun_contracts.events import Event, Metric
from diffrun_testkit.servers import RedisServer

LEAST = 0.95
"""Of the steps a second with Redis there."""
SETTLE = 5.0
"""Seconds after each change that count to neither side."""
UNET = {
    "block_out_channels": [16, 32],
    "norm_num_groups": 8,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "add_attention": False,
}
BLOCK = {
    "name": "work",
    "train": {
        "model": {"name": "unet2d", "config": UNET},
        "data": {"digits": {}},
        "batchSize": 16,
        "steps": 10_000_000,
        "sampleGrid": {"everySteps": 500, "samples": 4, "sampler": {"steps": 2}},
        "checkpoint": {"everySteps": 10_000_000},
    },
}

Span = tuple[float, float]
"""Seconds since the epoch."""


def train(workspace: Path, url: str) -> "subprocess.Popen[bytes]":
    """A worker that trains until it is told to stop."""
    block = workspace / "block.yaml"
    block.write_text(json.dumps(BLOCK))
    command = [sys.executable, "-m", "diffrun_worker", "run", "--file", str(block)]
    return subprocess.Popen([*command, "--workspace", str(workspace), "--redis", url], stdout=subprocess.DEVNULL)


def events(workspace: Path) -> list[Event]:
    """What the worker has written so far."""
    files = list(workspace.rglob(names.EVENTS_FILE))
    return [Event.model_validate_json(line) for file in files for line in file.read_bytes().splitlines()]


def away_and_back(server: RedisServer, way: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """How Redis goes, and how it comes."""
    return (server.kill, server.start) if way == "kill" else (server.freeze, server.thaw)


def spans(options: argparse.Namespace, server: RedisServer) -> Iterator[tuple[bool, Span]]:
    """Lets Redis come and go; gives each stretch of time with whether Redis was there."""
    leave, come = away_and_back(server, options.way)
    for number in range(2 * options.outages + 1):
        there = number % 2 == 0
        seconds = options.up if there else options.away
        print(f"  Redis is {'there' if there else 'away'} for {seconds:g} s", flush=True)
        began = time.time()
        time.sleep(seconds)
        yield there, (began + SETTLE, time.time())
        if number < 2 * options.outages:
            (leave if there else come)()


def steps_per_second(told: list[Event], span: Span) -> float:
    """By the times of the events that carry them; a sample's grid takes the loop's time in every span alike."""
    begin, end = span
    steps = sum(
        sum(point.name == "train/loss" for point in event.body.points)
        for event in told
        if isinstance(event.body, Metric) and begin <= event.time.timestamp() < end
    )
    return steps / (end - begin)


def missing(told: list[Event], server: RedisServer) -> tuple[int, int]:
    """Events that Redis lacks and must have, and points of metrics that it lacks."""
    key = names.events_key(told[0].run.uid)
    there = {(event.pod, event.seq) for event in server.events(key)}
    lacking = [event for event in told if (event.pod, event.seq) not in there]
    points = sum(len(event.body.points) for event in lacking if isinstance(event.body, Metric))
    return sum(not isinstance(event.body, Metric) for event in lacking), points


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--up", type=float, default=90)
    parser.add_argument("--away", type=float, default=600)
    parser.add_argument("--outages", type=int, default=1)
    parser.add_argument("--way", choices=["kill", "freeze"], default="kill")
    parser.add_argument("--check", action="store_true", help="exit with 1 where a limit is missed")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="diffrun-benchmark-") as directory:
        workspace, redis_files = Path(directory) / "workspace", Path(directory) / "redis"
        workspace.mkdir()
        redis_files.mkdir()
        server = RedisServer(redis_files)
        server.start()
        try:
            return measure(options, server, workspace)
        finally:
            server.kill()


def measure(options: argparse.Namespace, server: RedisServer, workspace: Path) -> int:
    """One training through all outages; the exit status."""
    worker = train(workspace, server.url)
    try:
        while not any(isinstance(event.body, Metric) for event in events(workspace)):
            if worker.poll() is not None:
                raise SystemExit(f"the worker ended with {worker.returncode}")
            time.sleep(0.2)
        stretches = list(spans(options, server))
    finally:
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    return report(events(workspace), stretches, server, options.check)


def report(told: list[Event], stretches: list[tuple[bool, Span]], server: RedisServer, check: bool) -> int:
    """Prints what was found; the exit status."""
    there, away = (
        statistics.median(steps_per_second(told, span) for state, span in stretches if state is wanted)
        for wanted in (True, False)
    )
    lost, points = missing(told, server)
    all_points = sum(len(event.body.points) for event in told if isinstance(event.body, Metric))
    print(f"Redis there: {there:.1f} steps/s; away: {away:.1f} steps/s")
    print(f"  away / there                     {away / there:.3f}  at least {LEAST}")
    print(f"  events but metrics that Redis lacks  {lost} of {sum(not isinstance(e.body, Metric) for e in told)}")
    print(f"  points of metrics that gave way      {points} of {all_points}, all of them in events.jsonl")
    return 1 if check and (lost or away / there < LEAST) else 0


if __name__ == "__main__":
    sys.exit(main())
