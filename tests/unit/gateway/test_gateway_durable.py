"""The files of a run's events: everything is found, and no more is held than is being taken."""

import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from run_kit import Pod, a_run, point

from diffrun_contracts.events import Metric
from diffrun_gateway import durable
from diffrun_gateway.durable import Durable
from diffrun_gateway.feed import Feed
from diffrun_gateway.files import VolumeFiles

POINTS = 50


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(a_run(), tmp_path)


def reader(pod: Pod) -> Durable:
    assert pod.workspace is not None
    return Durable(VolumeFiles(pod.workspace), pod.run.uid, lambda _: None)


def write(pod: Pod, events: int) -> int:
    """Events of many points each; the bytes of their lines."""
    bodies = [Metric(points=tuple(point(0.5, step) for step in range(POINTS))) for _ in range(events)]
    lines = [pod.line(body) for body in bodies]
    pod.write(lines)
    return sum(map(len, lines))


async def test_a_long_history_is_loaded_in_the_memory_of_its_points(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "CHUNK", 64 << 10)
    size = write(pod, 1000)
    feed = Feed(pod.run.uid, stream=None, durable=reader(pod), render=lambda *_: b"", max_points=10**6,
                on_change=lambda _: None)  # fmt: skip
    tracemalloc.start()
    try:
        await feed.load()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert feed.store.points == 1000 * POINTS
    assert peak < 1000 * POINTS * 32 * 1.5 + (1 << 20) < size


def test_a_line_cut_by_the_end_of_a_chunk_is_whole(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(durable, "CHUNK", 1000)
    write(pod, 20)
    assert [event.seq for event in reader(pod).fresh(lambda *_: False)] == list(range(20))


def test_a_line_waits_for_redis_once_and_then_comes_once(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    files, now = reader(pod), [100.0]
    monkeypatch.setattr(durable.time, "monotonic", lambda: now[0])
    write(pod, 2)

    def seqs(known: Any, grace: float) -> list[int]:
        return [event.seq for event in files.events(known, grace)]

    assert seqs(lambda *_: False, 5.0) == []
    now[0] += 5.0
    assert seqs(lambda _pod, seq: seq == 0, 5.0) == [1], "Redis has delivered the first one"
    assert seqs(lambda *_: False, 0.0) == []
