"""Runs to look at without a cluster and without computing anything: `python -m diffrun_testkit.demo`.

It writes what workers and operator would have written: events to files and Redis, pictures, `run.json`. Some runs are
over, one waits at its gate until somebody decides on the page, one goes on publishing.
"""

import argparse
import math
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import redis

from diffrun_contracts.events import BlockFinished, BlockStarted, Metric, MetricPoint
from diffrun_contracts.task import RunRef
from diffrun_testkit.demo_pod import Clock, Pod
from diffrun_testkit.demo_run import DemoRun


def long_series(workspace: Path, client: "redis.Redis | None", count: int) -> None:
    """A run with one long, noisy curve, a few values that are not finite among its points."""
    run = RunRef(namespace="demo", name="long-training", uid=str(uuid.uuid4()))
    clock = Clock(datetime.now(UTC) - timedelta(hours=5), live=False)
    pod = Pod(workspace, client, run, "train", clock)
    pod.emit(BlockStarted(block_type="custom", device="cpu", versions={}))
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, count)
    for first in range(0, count, 500):
        batch = []
        for step in range(first, min(first + 500, count)):
            value = math.nan if step % 50_021 == 50_020 else 0.02 + math.exp(-step / count * 6) * (1 + noise[step])
            batch.append(MetricPoint(name="train/loss", value=value, step=step))
        pod.emit(Metric(points=tuple(batch)))
        clock.pass_(18000 * 500 / count)
    pod.emit(BlockFinished(succeeded=True))


def scenes(workspace: Path, client: "redis.Redis | None", count: int) -> Iterator[str]:
    """Writes the finished runs and the one that waits; then plays live ones for ever, saying what it does."""
    for number in range(2):
        DemoRun(workspace, client, f"ddpm-cat-{number}", live=False, age=7200 - 1800 * number, seed=number).play()
    rejected = DemoRun(workspace, client, "ddpm-cat-rejected", live=False, age=5000, seed=9)
    rejected.play(until="gate")
    rejected.decide("Rejected", "bob")
    if count:
        long_series(workspace, client, count)
    waiting = DemoRun(workspace, client, "ddpm-cat-waiting", live=False, age=600, seed=4)
    waiting.play(until="gate")
    waiting.clock = Clock(datetime.now(UTC), live=True)
    yield "demo/ddpm-cat-waiting waits for a decision on the page"
    for round_ in range(1, 1000):
        live = DemoRun(workspace, client, f"ddpm-cat-live-{round_}", live=True, age=0, seed=20 + round_)
        yield f"demo/{live.ref.name} is live"
        live.play()
        if waiting.decided():
            yield "demo/ddpm-cat-waiting has been decided and goes on"
            waiting.decide()


def main() -> None:
    """Plays until it is interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--redis", metavar="URL")
    parser.add_argument("--points", type=int, default=200_000, help="points of the long curve; 0 for none")
    parser.add_argument("--once", action="store_true", help="write what is over and what waits, then end")
    options = parser.parse_args()
    options.workspace.mkdir(parents=True, exist_ok=True)
    client = redis.Redis.from_url(options.redis) if options.redis else None
    for said in scenes(options.workspace, client, options.points):
        print(said, flush=True)
        if options.once:
            break


if __name__ == "__main__":
    main()
