"""What Redis lost is in the files, and is found without holding up what comes through Redis."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import Gateway, eventually, gateway, shown
from run_kit import Pod, a_pod

from diffrun_testkit.servers import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def pod(workspace: Path, live: RedisServer) -> Pod:
    return a_pod(workspace, live)


async def test_a_last_line_that_redis_lost_is_found_by_itself(
    workspace: Path, live: RedisServer, pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffrun_gateway.completion.TAIL_SECONDS", 0.2)
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        pod.metric(*range(2))
        assert await stream.steps(2) == [0, 1]
        pod.metric(2.0, start=2, live=False)
        assert (await stream.next("reset")).data["reason"] == "completed"
        assert await shown(gate, pod.run.uid) == [0, 1, 2]


async def test_events_do_not_wait_for_a_volume_that_hangs(
    workspace: Path, live: RedisServer, pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffrun_gateway.completion.TAIL_SECONDS", 0.1)
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        await stream.next("cursor")
        with hung(gate, monkeypatch) as reached:
            await eventually(reached.is_set)
            pod.metric(*range(5))
            assert await stream.steps(5) == list(range(5))


async def test_what_redis_lost_is_filled_in_once_the_volume_answers(
    workspace: Path, live: RedisServer, pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diffrun_gateway.completion.TAIL_SECONDS", 0.1)
    monkeypatch.setattr("diffrun_gateway.completion.GAP_SECONDS", 0.1)
    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stream:
        await stream.next("cursor")
        with hung(gate, monkeypatch) as reached:
            await eventually(reached.is_set)
            pod.metric(0.0)
            pod.metric(1.0, start=1, live=False)
            pod.metric(*range(3), start=2)
            assert await stream.steps(4) == [0, 2, 3, 4]
        assert (await stream.next("reset")).data["reason"] == "completed"
        await eventually(lambda: _has(gate, pod.run.uid, list(range(5))))
        pod.metric(5.0, start=5)
        assert await stream.steps(1) == [5]


@contextmanager
def hung(gate: Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """While the block is in, no reading of the runs' files ends; the event tells that one has begun."""
    reached, goes_on = threading.Event(), threading.Event()
    assert gate.services.files is not None
    look = gate.services.files.pods

    def hangs(uid: str) -> Any:
        reached.set()
        goes_on.wait()
        return look(uid)

    with monkeypatch.context() as patched:
        patched.setattr(gate.services.files, "pods", hangs)
        try:
            yield reached
        finally:
            goes_on.set()


async def _has(gate: Gateway, uid: str, steps: list[int]) -> bool:
    return await shown(gate, uid) == steps
