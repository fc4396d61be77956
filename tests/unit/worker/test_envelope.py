"""The hand-made JSON of metric events is what the models would write."""

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrun_contracts import names
from diffrun_contracts.events import (
    EVENT_ADAPTER,
    Artifact,
    ArtifactWritten,
    BlockFinished,
    Body,
    Metric,
    Paused,
)
from diffrun_contracts.task import BlockTask, ErrorInfo, RunRef
from diffrun_worker.block import Point
from diffrun_worker.envelope import MAX_POINTS, Envelope
from diffrun_worker.errors import PermanentError

TASK = BlockTask(run=RunRef(namespace="d", name='r"}],x', uid="u-1"), block="points", type="test.sleep", attempt=2)


def envelope() -> Envelope:
    return Envelope(TASK, shard=3, retry=1, pod="pod-1", clock=lambda: datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC))


values = st.floats() | st.integers(-(10**6), 10**6)
labels = st.dictionaries(st.text(max_size=8), st.text(max_size=8) | st.integers(-(10**12), 10**12), max_size=4)
names_ = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_./-]{0,30}\Z")
points = st.builds(Point, names_, values, st.integers(0, 10**9), labels)


@given(st.lists(points, min_size=1, max_size=5))
def test_a_metric_line_is_what_the_models_write(drawn: list[Point]) -> None:
    ((line, count),) = envelope().wrap_points(drawn)
    event = EVENT_ADAPTER.validate_json(line)
    assert json.loads(event.to_json()) == json.loads(line)
    assert count == len(drawn)
    assert isinstance(event.body, Metric)
    for read, given_point in zip(event.body.points, drawn, strict=True):
        assert (read.name, read.step, read.labels) == (given_point.name, given_point.step, given_point.labels)
        assert read.value == given_point.value or (math.isnan(read.value) and math.isnan(given_point.value))
    assert (event.run, event.block, event.attempt, event.shard, event.retry) == (TASK.run, "points", 2, 3, 1)


def test_events_are_numbered_from_zero_whatever_their_kind() -> None:
    wrapper = envelope()
    lines = [
        wrapper.wrap(Paused()),
        *(line for line, _ in wrapper.wrap_points([Point("a", 1.0, 0)])),
        wrapper.wrap(Paused()),
    ]
    assert [json.loads(line)["seq"] for line in lines] == [0, 1, 2]


def test_labels_that_are_shared_are_told_from_those_that_are_equal_or_not() -> None:
    shared: dict[str, str | int] = {"sample_index": 0}
    drawn = [Point("a", 1.0, 0, shared), Point("b", 2.0, 0, shared), Point("a", 1.0, 1, {"sample_index": 1})]
    ((line, _),) = envelope().wrap_points(drawn)
    assert [point["labels"] for point in json.loads(line)["body"]["points"]] == [point.labels for point in drawn]


def test_labels_changed_between_two_batches_are_read_again() -> None:
    wrapper, labels = envelope(), {"sample_index": 0}
    lines = []
    for index in range(2):
        labels["sample_index"] = index
        lines += [json.loads(line) for line, _ in wrapper.wrap_points([Point("a", 1.0, 0, labels)])]
    assert [line["body"]["points"][0]["labels"]["sample_index"] for line in lines] == [0, 1]


def test_a_flag_as_step_or_label_is_the_number_that_it_is() -> None:
    ((line, _),) = envelope().wrap_points([Point("a", 1, True, {"k": True})])
    event = EVENT_ADAPTER.validate_json(line)
    assert isinstance(event.body, Metric)
    assert (event.body.points[0].value, event.body.points[0].step) == (1.0, 1)


@pytest.mark.parametrize(
    "body",
    [
        Paused(),
        BlockFinished(succeeded=False, outputs={"ä": 1.5}, error=ErrorInfo(code="c", message="m\n", retryable=True)),
        ArtifactWritten(
            artifact=Artifact(id="1", path="p", schema_type="s", content_type="c", sha256="0" * 64, size=1)
        ),
    ],
    ids=lambda body: body.type,
)
def test_any_other_line_is_what_the_models_write(body: Body) -> None:
    line = envelope().wrap(body)
    event = EVENT_ADAPTER.validate_json(line)
    assert event.to_json().encode() == line
    assert event.body == body


def test_many_points_become_several_entries_of_bounded_length() -> None:
    lines = list(envelope().wrap_points(Point("a", 1.0, step) for step in range(2 * MAX_POINTS + 1)))
    assert [count for _, count in lines] == [MAX_POINTS, MAX_POINTS, 1]


def test_no_entry_is_larger_than_readers_take() -> None:
    wide = {"text": "ä" * 1500}
    lines = list(envelope().wrap_points(Point("a", 1.0, step, wide) for step in range(100)))
    assert len(lines) > 1
    assert sum(count for _, count in lines) == 100
    assert max(len(line) for line, _ in lines) <= names.MAX_EVENT_BYTES


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (Point("", 1.0, 0), "metric name ''"),
        (Point("a b", 1.0, 0), "metric name 'a b'"),
        (Point("/a", 1.0, 0), "metric name '/a'"),
        (Point("a", 1.0, -1), "metric 'a' at step -1: step counts from 0"),
        (Point("a", 1.0, 0.5), "metric 'a' at step 0.5: 'float' object cannot be interpreted as an integer"),  # type: ignore[arg-type]
        (Point("a", "x", 0), "metric 'a' at step 0: could not convert string to float"),  # type: ignore[arg-type]
        (Point("a", 1.0, 0, {"k": 0.5}), "labels are strings or integers"),  # type: ignore[dict-item]
        (Point("a", 1.0, 0, {"k": "x" * 5000}), "together at most 4096 characters"),
        (Point("a", 1.0, 0, {1: 2}), "labels are strings or integers"),  # type: ignore[dict-item]
        (Point("a", 1.0, 0, {"k": "\ud800"}), "surrogates not allowed"),
    ],
    ids=[
        "empty",
        "space",
        "slash-first",
        "negative-step",
        "fractional-step",
        "text-value",
        "float-label",
        "huge-label",
        "numbered-label",
        "half-a-surrogate-pair",
    ],
)
def test_a_point_that_no_reader_would_take_is_refused(point: Point, message: str) -> None:
    with pytest.raises(PermanentError, match="InvalidMetric") as caught:
        list(envelope().wrap_points([point]))
    assert message in caught.value.message
