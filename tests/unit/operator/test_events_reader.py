"""The workers' words as they come out of Redis, good and bad."""

import asyncio
from datetime import UTC, datetime

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from diffrun_contracts import names
from diffrun_contracts.events import BlockStarted, Event, Metric, MetricPoint, Paused, ProgressMade, Resumed
from diffrun_contracts.status import BlockStatus, DiffusionRunStatus
from diffrun_contracts.task import RunRef
from diffrun_operator.events_reader import EventsReader
from diffrun_operator.metrics import Metrics
from diffrun_operator.observe import observe_run
from diffrun_operator.queue import Backoff, KeyedQueue
from diffrun_operator.settings import Redis
from diffrun_operator.store import PROGRESS_INTERVAL, Kind, Store

UID = "11111111-2222-3333-4444-555555555555"
KEY = names.events_key(UID)
BLOCK = {"name": "full", "generateFull": {"samples": 8}}


def entry(body, seq=0, uid=UID, **envelope):
    fields = {"block": "full", "attempt": 1, "shard": 0, "retry": 0, "pod": "pod-uid"} | envelope
    run = RunRef(namespace="team", name="cats", uid=uid)
    event = Event(run=run, seq=seq, time=datetime(2026, 1, 1, tzinfo=UTC), body=body, **fields)
    return {b"event": event.to_json().encode()}


class Streams:
    """Redis' streams in a dict; `down` makes every command fail."""

    def __init__(self):
        self.streams, self.added, self.reads, self.down = {}, [], [], False
        self.refused = asyncio.Semaphore(0)

    def fill(self, key, *entries):
        stream = self.streams.setdefault(key, [])
        first = len(stream) + 1
        stream.extend((f"{first + i}-0".encode(), fields) for i, fields in enumerate(entries))

    def _check(self):
        if self.down:
            self.refused.release()
            raise RedisConnectionError("nobody there")

    async def xread(self, streams, count=None, block=None):
        await asyncio.sleep(0)
        self._check()
        self.reads.append(dict(streams))
        answer = []
        for key, last in streams.items():
            after = int(last.split(b"-")[0])
            found = [item for item in self.streams.get(key, []) if int(item[0].split(b"-")[0]) > after]
            if found:
                answer.append([key.encode(), found])
        return answer

    async def xrevrange(self, name, max="+", min="-", count=None):
        self._check()
        return list(reversed(self.streams.get(name, [])))[:count]

    async def xadd(self, name, fields, id="*", maxlen=None, approximate=True):
        self._check()
        self.added.append((name, fields))


class Reading:
    def __init__(self):
        self.now = 0.0
        self.streams, self.store, self.metrics = Streams(), Store(), Metrics()
        self.queue = KeyedQueue(Backoff(1, 1))
        settings = Redis(block_seconds=0.01, backoff_cap=0.01)
        self.reader = EventsReader(
            self.streams, self.store, self.queue, settings, self.metrics, lambda: self.now, lambda: 0.01
        )

    def counted(self, kind):
        return self.metrics.registry.get_sample_value("diffrun_worker_events_total", {"type": kind}) or 0

    def holding(self):
        return self.store.get(UID).control.get("pod-uid", (0, False))[1]


@pytest.fixture
async def reading(raw_run):
    status = DiffusionRunStatus(
        start_time=datetime(2026, 1, 1, tzinfo=UTC), blocks=[BlockStatus(name="full", attempt=1)]
    )
    reading = Reading()
    reading.raw = raw_run(BLOCK, status=status.model_dump(mode="json", by_alias=True, exclude_none=True))
    reading.store.put(Kind.RUN, reading.raw)
    return reading


async def test_a_worker_that_holds_and_goes_on_is_known_at_once(reading):
    reading.streams.fill(KEY, entry(Paused(), 1))
    await reading.reader.once()
    assert reading.holding()
    assert await reading.queue.get() == UID
    reading.queue.done(UID)
    reading.streams.fill(KEY, entry(Resumed(held_seconds=1.5), 2))
    await reading.reader.once()
    assert not reading.holding()
    assert await reading.queue.get() == UID


async def test_each_entry_is_read_once(reading):
    reading.streams.fill(KEY, entry(Paused(), 1))
    await reading.reader.once()
    reading.streams.fill(KEY, entry(Resumed(held_seconds=1), 2))
    await reading.reader.once()
    await reading.reader.once()
    assert reading.streams.reads[-1] == {KEY: b"2-0"}
    assert (reading.counted("paused"), reading.counted("resumed")) == (1, 1)


async def test_progress_is_shown_at_most_every_half_minute(reading):
    reading.streams.fill(KEY, entry(ProgressMade(done=1, total=8), 1))
    await reading.reader.once()
    assert await reading.queue.get() == UID
    reading.store.observed(observe_run(reading.raw), reading.now)
    reading.queue.done(UID)
    reading.now = 5.0
    reading.streams.fill(KEY, entry(ProgressMade(done=2, total=8), 2))
    await reading.reader.once()
    assert len(reading.queue) == 0
    due = reading.queue._later[UID].when() - asyncio.get_running_loop().time()
    assert due == pytest.approx(PROGRESS_INTERVAL - 5, abs=1)


@pytest.mark.parametrize(
    ("fields", "malformed"),
    [
        pytest.param(entry(Metric(points=(MetricPoint(name="a", value=1, step=0),))), 0, id="metrics are not ours"),
        pytest.param(entry(BlockStarted(block_type="x", device="cpu")), 0, id="nor is the start of a block"),
        pytest.param({b"event": b'{"type":"paused"'}, 1, id="broken JSON"),
        pytest.param({b"event": b'{"body":{"type":"paused"}}'}, 1, id="half an envelope"),
        pytest.param({b"event": b'\xff"type":"paused"'}, 1, id="no UTF-8"),
        pytest.param({b"other": b"x"}, 0, id="another field"),
        pytest.param(entry(Paused(), 1, uid="another-run"), 1, id="word of another run"),
        pytest.param(
            {b"event": entry(Paused(), 1)[b"event"].replace(b'"schemaVersion":1', b'"schemaVersion":2')}, 1,
            id="a schema of tomorrow",
        ),
    ],
)  # fmt: skip
async def test_what_is_not_for_us_changes_nothing_and_the_broken_is_counted(reading, fields, malformed):
    reading.streams.fill(KEY, fields)
    await reading.reader.once()
    assert not reading.holding()
    assert len(reading.queue) == 0
    assert reading.counted("malformed") == malformed


async def test_after_a_restart_the_end_of_the_stream_tells_who_holds(reading):
    metric = entry(Metric(points=(MetricPoint(name="a", value=1, step=0),)))
    reading.streams.fill(KEY, *([metric] * 1500), entry(Paused(), 1501))
    await reading.reader.once()
    assert reading.holding()
    assert reading.streams.reads == [{KEY: b"1501-0"}], "history is not read from its beginning"


async def test_a_run_that_has_started_is_indexed_once(reading):
    for _ in range(3):
        await reading.reader.once()
    assert reading.streams.added == [
        (names.STREAM_RUNS, {"namespace": "team", "name": "cats", "uid": UID}),
    ]


async def test_a_run_that_has_ended_is_followed_no_more(reading):
    reading.streams.fill(KEY, entry(Paused(), 1))
    await reading.reader.once()
    reading.store.finish(UID)
    await reading.reader.once()
    assert len(reading.streams.reads) == 1
    assert reading.reader._positions == {}


async def test_redis_down_is_told_once_and_what_was_said_meanwhile_is_read_after_it(reading, caplog):
    reading.streams.down = True
    caplog.set_level("INFO")
    task = asyncio.create_task(reading.reader.run())
    up = reading.metrics.registry.get_sample_value
    async with asyncio.timeout(5):
        for _ in range(5):
            await reading.streams.refused.acquire()
        assert caplog.text.count("Redis does not answer") == 1
        assert up("diffrun_redis_up") == 0
        reading.streams.fill(KEY, entry(Paused(), 1))
        reading.streams.down = False
        assert await reading.queue.get() == UID
    task.cancel()
    assert reading.holding()
