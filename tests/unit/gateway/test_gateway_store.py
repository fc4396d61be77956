"""A run in memory: each event once, retries supersede, and the order of arrival does not matter."""

import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffrun_contracts.events import (
    Artifact,
    ArtifactWritten,
    BlockFinished,
    BlockStarted,
    Body,
    Event,
    Metric,
    MetricPoint,
)
from diffrun_contracts.task import RunRef
from diffrun_gateway.parse import Dropped, Parsed, Reason, parse
from diffrun_gateway.runs import from_events
from diffrun_gateway.store import RunStore, SeqSet
from diffrun_gateway.views import statistics

RUN = RunRef(namespace="demo", name="cats", uid="u-1")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Pod:
    """Makes one pod's events."""

    def __init__(self, attempt: int = 1, shard: int = 0, retry: int = 0, block: str = "preview") -> None:
        self.uid, self.seq = str(uuid.uuid4()), 0
        self.attempt, self.shard, self.retry, self.block = attempt, shard, retry, block

    def event(self, body: Body) -> Parsed:
        made = Event(run=RUN, block=self.block, attempt=self.attempt, shard=self.shard, retry=self.retry, pod=self.uid,
                     seq=self.seq, time=START + timedelta(seconds=self.seq), body=body)  # fmt: skip
        self.seq += 1
        return parse(made.to_json().encode(), RUN.uid)

    def metric(self, step: int, value: float, name: str = "loss", **labels: Any) -> Parsed:
        return self.event(Metric(points=(MetricPoint(name=name, value=value, step=step, labels=labels),)))

    def artifact(self, identifier: str, **tags: str) -> Parsed:
        body = Artifact(id=identifier, path=f"runs/u-1/{identifier}.png", schema_type="s", content_type="image/png",
                        tags=tags, sha256="0" * 64, size=1)  # fmt: skip
        return self.event(ArtifactWritten(artifact=body))


def filled(events: list[Parsed]) -> RunStore:
    store = RunStore("u-1")
    for event in events:
        store.apply(event)
    return store


def curve(store: RunStore) -> list[tuple[int, float]]:
    """The only series' points."""
    ((data),) = store.series.values()
    columns = data.columns()
    return list(zip(columns.steps.tolist(), columns.values.tolist(), strict=True))


def test_an_event_counts_once() -> None:
    pod = Pod()
    event = pod.metric(0, 1.0)
    store = filled([event])
    with pytest.raises(Dropped) as caught:
        store.apply(event)
    assert caught.value.reason is Reason.DUPLICATE
    assert curve(store) == [(0, 1.0)]


def test_a_number_that_goes_back_is_a_duplicate() -> None:
    pod = Pod()
    events = [pod.metric(step, step) for step in range(3)]
    store = filled(events)
    with pytest.raises(Dropped):
        store.apply(events[1])  # 35
    assert not store.gaps()


def test_a_hole_in_a_pods_numbers_is_seen_and_filled() -> None:
    pod = Pod()
    events = [pod.metric(step, step) for step in range(4)]
    store = filled([events[0], events[3]])
    assert store.gaps()
    store.apply(events[1])
    assert store.gaps()
    store.apply(events[2])
    assert not store.gaps()
    assert curve(store) == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_retry_replaces_from_its_first_step_on() -> None:
    first, second = Pod(), Pod(retry=1)
    store = filled([first.metric(step, 1.0) for step in range(5)])
    assert store.apply(second.metric(3, 2.0)) is True
    assert store.apply(second.metric(4, 2.0)) is False
    assert curve(store) == [(0, 1.0), (1, 1.0), (2, 1.0), (3, 2.0), (4, 2.0)]


def test_another_shards_retry_replaces_nothing() -> None:
    store = filled([Pod(shard=0).metric(0, 1.0)])
    assert store.apply(Pod(shard=1, retry=3).metric(0, 2.0)) is False
    assert curve(store) == [(0, 1.0), (0, 2.0)]


def test_a_new_attempt_replaces_all_shards() -> None:
    store = filled([Pod(shard=0).metric(0, 1.0), Pod(shard=1).metric(0, 2.0)])
    assert store.apply(Pod(attempt=2, shard=0).metric(0, 3.0)) is True
    assert curve(store) == [(0, 3.0)]


@settings(max_examples=50)
@given(
    pods=st.lists(
        st.tuples(st.integers(1, 2), st.integers(0, 1), st.integers(0, 2), st.integers(0, 6), st.integers(1, 5)),
        min_size=1, max_size=5, unique_by=lambda pod: pod[:3],
    ),
    seed=st.integers(0, 1000),
)  # fmt: skip
def test_the_order_of_arrival_does_not_matter(pods: list[tuple[int, int, int, int, int]], seed: int) -> None:
    events = []
    for attempt, shard, retry, first, count in pods:
        pod = Pod(attempt, shard, retry)
        events += [pod.metric(step, attempt * 100 + shard * 10 + retry) for step in range(first, first + count)]
    shuffled = list(events)
    random.Random(seed).shuffle(shuffled)
    assert curve(filled(events)) == curve(filled(shuffled))


def test_figures_are_over_the_whole_history_and_all_series() -> None:
    pod = Pod()
    store = filled([pod.metric(step, float(step), sample_index=step % 3) for step in range(1000)])
    figures = statistics("u-1", "loss", store.by_metric()["loss"])
    assert figures is not None
    assert (figures.count, figures.mean) == (1000, 499.5)
    assert figures.min is not None
    assert figures.max is not None
    assert (figures.min.step, figures.max.step, figures.max.labels) == (0, 999, {"sample_index": 0})
    assert figures.recent == (995, 996, 997, 998, 999)
    assert len(figures.sparkline) == 100
    assert figures.interval_seconds == 1.0


def test_an_image_written_again_replaces_the_one_with_its_tags() -> None:
    first, again = Pod(), Pod(retry=1)
    store = filled([first.artifact("a", i="0"), first.artifact("b", i="1")])
    assert store.apply(again.artifact("c", i="1")) is True
    assert [item.artifact.id for item in store.visible_artifacts()] == ["a", "c"]


def test_without_an_object_a_run_is_what_its_blocks_said() -> None:
    one, two = Pod(shard=0), Pod(shard=1)
    started = BlockStarted(block_type="custom", device="cpu")
    store = filled([one.event(started), two.event(started), one.event(BlockFinished(succeeded=True))])
    run = from_events(store)
    assert run is not None
    assert not run.over
    store.apply(two.event(BlockFinished(succeeded=True)))
    run = from_events(store)
    assert run is not None
    assert run.over
    assert [block.state for block in run.status.blocks] == ["Succeeded"]


@given(st.permutations(range(12)))
def test_a_set_of_numbers_forgets_none(order: list[int]) -> None:
    seqs = SeqSet()
    for number in order:
        assert number not in seqs
        seqs.add(number)
        assert number in seqs
    assert (seqs.next, seqs.beyond) == (12, set())


def test_what_is_given_up_is_only_what_was_missing_at_a_time() -> None:
    pod = Pod()
    events = [pod.metric(step, 0.5) for step in range(6)]
    store = filled([events[0], events[2]])
    then = dict(store.newest())
    store.apply(events[3])
    store.apply(events[5])
    assert store.forgive_gaps(then)
    assert [store.seen(pod.uid, seq) for seq in range(6)] == [True, True, True, True, False, True]
    assert store.gaps()
    assert not store.forgive_gaps(then)
    store.apply(events[4])
    assert not store.gaps()


def test_points_beyond_the_limit_are_left_out_and_said() -> None:
    store = RunStore("u-1", max_points=2)
    pod = Pod()
    store.apply(pod.metric(0, 1.0))
    store.apply(pod.metric(1, 1.0))
    with pytest.raises(Dropped) as caught:
        store.apply(pod.metric(2, 1.0))
    assert caught.value.reason is Reason.NO_ROOM
    assert store.full


def test_every_event_is_json_that_a_page_can_read() -> None:
    assert json.loads(Pod().metric(0, float("nan")).raw)["body"]["points"][0]["value"] == "NaN"
