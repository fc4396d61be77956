"""A worker's events against a real Redis that is there, absent, killed, emptied, or does not answer."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts import names
from diffrun_contracts.events import Event, Metric
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_testkit.servers import RedisServer
from diffrun_worker import publisher, runner
from diffrun_worker.assignment import Assignment
from diffrun_worker.runner import Outcome, run_assignment

pytestmark = pytest.mark.redis
KEY = names.events_key("u-1")
LIFECYCLE = {"block_started", "artifact_written", "paused", "resumed", "block_finished"}


class Worker:
    """A worker in this process, on a thread, with a test block."""

    def __init__(self, root: Path, url: str, **params: Any) -> None:
        self.root = root
        root.mkdir(exist_ok=True)
        task = BlockTask(run=RunRef(namespace="d", name="r", uid="u-1"), block="work", type="test.sleep", params=params)
        self.pause_file = root.parent / "pause"
        self.assignment = Assignment(
            task=task, workspace=str(root), pod="pod-1", redis_url=url, pause_file=self.pause_file
        )
        self.outcome: Outcome | None = None
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        self.outcome = run_assignment(self.assignment, signals=False)

    def start(self) -> "Worker":
        self.thread.start()
        return self

    def finish(self) -> Outcome:
        self.thread.join(60)
        assert self.outcome is not None
        return self.outcome

    @property
    def events_file(self) -> Path:
        return self.root / names.retry_dir("u-1", "work", 1, 0, 0) / names.EVENTS_FILE

    def file_events(self) -> list[Event]:
        return [Event.model_validate_json(line) for line in self.events_file.read_bytes().splitlines()]

    def until_in_file(self, met: Callable[[list[Event]], bool]) -> None:
        until(lambda: self.events_file.exists() and met(self.file_events()))


def until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def lifecycle(events: list[Event]) -> list[int]:
    """The sequence numbers of the events that must not be lost, each once, in the order of their first arrival."""
    return list(dict.fromkeys(event.seq for event in events if event.body.type in LIFECYCLE))


def points(events: list[Event]) -> int:
    by_seq = {event.seq: event for event in events}
    return sum(len(event.body.points) for event in by_seq.values() if isinstance(event.body, Metric))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "LONGEST_DELAY", 0.2)
    monkeypatch.setattr(runner, "SETTLE_SECONDS", 5.0)


@pytest.fixture
def start(tmp_path: Path, redis_server: RedisServer) -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def build(**params: Any) -> Worker:
        made.append(Worker(tmp_path / "workspace", redis_server.url, **params).start())
        return made[-1]

    yield build
    redis_server.thaw() if redis_server.process else None
    for worker in made:
        worker.thread.join(60)


def test_redis_gets_exactly_what_the_file_has(redis_server: RedisServer, start: Callable[..., Worker]) -> None:
    redis_server.start()
    worker = start(steps=50, artifacts=5, stepSeconds=0.005)
    assert worker.finish().exit_code == 0
    assert redis_server.events(KEY) == worker.file_events()
    assert points(worker.file_events()) == 50


def test_a_redis_absent_at_the_start_gets_everything_once_it_is_there(
    redis_server: RedisServer, start: Callable[..., Worker]
) -> None:
    worker = start(steps=100, artifacts=5, stepSeconds=0.01)
    worker.until_in_file(lambda events: points(events) >= 20)
    redis_server.start()
    outcome = worker.finish()
    assert outcome.exit_code == 0
    assert outcome.result.dropped_metrics == 0
    assert redis_server.events(KEY) == worker.file_events()


def test_a_redis_killed_in_the_middle_loses_no_lifecycle_event_and_stops_no_run(
    redis_server: RedisServer, start: Callable[..., Worker]
) -> None:
    redis_server.start()
    worker = start(steps=200, artifacts=40, stepSeconds=0.01)
    until(lambda: redis_server.client.xlen(KEY) > 5)
    redis_server.stop()
    before = points(worker.file_events())
    worker.until_in_file(lambda events: points(events) >= before + 20)
    redis_server.start()
    assert worker.finish().exit_code == 0
    arrived = redis_server.events(KEY)
    assert lifecycle(arrived) == lifecycle(worker.file_events())
    assert points(arrived) == points(worker.file_events()) == 200


def test_a_redis_that_lost_its_memory_leaves_the_file_complete(
    redis_server: RedisServer, start: Callable[..., Worker]
) -> None:
    redis_server.start()
    worker = start(steps=60, artifacts=10, stepSeconds=0.01)
    until(lambda: redis_server.client.xlen(KEY) > 5)
    redis_server.client.flushall()
    assert worker.finish().exit_code == 0
    events = worker.file_events()
    assert [event.seq for event in events] == list(range(len(events)))
    assert points(events) == 60
    assert redis_server.events(KEY)[-1] == events[-1]


def test_a_redis_that_becomes_a_replica_gets_everything_once_it_takes_writes_again(
    redis_server: RedisServer, start: Callable[..., Worker]
) -> None:
    redis_server.start()
    worker = start(steps=200, artifacts=20, stepSeconds=0.01)
    until(lambda: redis_server.client.xlen(KEY) > 5)
    redis_server.demote()
    before, held = points(worker.file_events()), redis_server.client.xlen(KEY)
    worker.until_in_file(lambda events: points(events) >= before + 20)
    assert redis_server.client.xlen(KEY) == held
    redis_server.promote()
    assert worker.finish().exit_code == 0
    assert redis_server.events(KEY) == worker.file_events()


def test_a_redis_that_never_comes_stops_no_run_and_what_it_missed_is_told(
    redis_server: RedisServer, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "SETTLE_SECONDS", 0.2)
    monkeypatch.setattr(runner, "FAREWELL_SECONDS", 0.1)
    worker = start(steps=30, artifacts=2, stepSeconds=0.001)
    outcome = worker.finish()
    assert outcome.exit_code == 0
    assert outcome.result.dropped_metrics == 30
    last = worker.file_events()[-1].body
    assert last.type == "block_finished"
    assert last.dropped_metrics == 30
    result = json.loads((worker.root / names.shard_dir("u-1", "work", 1, 0) / names.RESULT_FILE).read_bytes())
    assert result["droppedMetrics"] == 30


def test_a_redis_that_takes_connections_and_answers_nothing_does_not_slow_the_block(
    redis_server: RedisServer, start: Callable[..., Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "SOCKET_TIMEOUT", 3600)  # a block that waited for an answer would wait for ever
    redis_server.start()
    redis_server.freeze()
    worker = start(steps=100, artifacts=5, stepSeconds=0.005)
    worker.until_in_file(lambda events: points(events) == 100)
    redis_server.thaw()
    assert worker.finish().exit_code == 0
    arrived = redis_server.events(KEY)
    assert lifecycle(arrived) == lifecycle(worker.file_events())


def test_a_reply_that_got_lost_brings_duplicates_that_pod_and_seq_tell(
    redis_server: RedisServer, start: Callable[..., Worker]
) -> None:
    redis_server.start()
    # Redis runs the commands and then cuts the connection: the worker cannot know.
    worker = start(steps=200, artifacts=10, stepSeconds=0.005)
    until(lambda: redis_server.client.xlen(KEY) > 2)
    for _ in range(10):
        redis_server.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        time.sleep(0.02)
    assert worker.finish().exit_code == 0
    arrived = {(event.pod, event.seq): event for event in redis_server.events(KEY)}
    assert [arrived[key] for key in sorted(arrived)] == worker.file_events()


def test_a_pause_holds_the_block_whatever_redis_does(redis_server: RedisServer, start: Callable[..., Worker]) -> None:
    worker = start(steps=2000, stepSeconds=0.002)
    worker.until_in_file(lambda events: points(events) > 10)
    worker.pause_file.write_text("true")
    worker.until_in_file(lambda events: events[-1].body.type == "paused")
    held = points(worker.file_events())
    redis_server.start()
    until(lambda: any(event.body.type == "paused" for event in redis_server.events(KEY)))
    assert points(worker.file_events()) == held
    worker.pause_file.write_text("")
    worker.until_in_file(lambda events: any(event.body.type == "resumed" for event in events))
    assert worker.finish().exit_code == 0
    assert points(worker.file_events()) == 2000
