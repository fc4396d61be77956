"""What counts as an event: the hand-written check of metrics and the models say the same."""

import json
import math
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from diffrun_contracts.events import EVENT_ADAPTER, Event, Metric, MetricPoint
from diffrun_contracts.task import RunRef
from diffrun_gateway.parse import Dropped, Reason, parse
from diffrun_gateway.store import RunStore

UID = "6f455093-8fbe-54f6-b20c-d1491603a3d2"


def event(**changes: Any) -> dict[str, Any]:
    """A valid metric event, changed."""
    point = MetricPoint(name="denoise/snr", value=0.5, step=3, labels={"step": 3, "sample_index": 0})
    made = Event(run=RunRef(namespace="demo", name="cats", uid=UID), block="preview", attempt=1, shard=0, retry=0,
                 pod="p", seq=0, time=datetime(2026, 1, 1, tzinfo=UTC), body=Metric(points=(point,)))  # fmt: skip
    return {**json.loads(made.to_json()), **changes}


def metric(**changes: Any) -> dict[str, Any]:
    """An event whose one point is changed."""
    data = event()
    data["body"]["points"][0].update(changes)
    return data


def reason(raw: bytes | dict[str, Any]) -> Reason:
    """Why it is dropped."""
    with pytest.raises(Dropped) as caught:
        parse(raw if isinstance(raw, bytes) else json.dumps(raw).encode(), UID)
    return caught.value.reason


def test_the_step_label_is_no_label_of_the_series() -> None:
    parsed = parse(json.dumps(event()).encode(), UID)
    (sample,) = parsed.samples
    assert (sample.labels, sample.step, sample.value) == ((("sample_index", 0),), 3, 0.5)
    assert parsed.time_ms == datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(b"x" * 65_537, Reason.TOO_LARGE, id="33 larger than 64 KiB"),
        pytest.param(b"", Reason.NOT_JSON, id="nothing"),
        pytest.param(b'{"run":"\xff"}', Reason.NOT_JSON, id="37 invalid UTF-8"),
        pytest.param(json.dumps(metric(value=math.nan)).encode(), Reason.NOT_JSON, id="37 a bare NaN"),
        pytest.param(event(body={"type": "metric\r\ndata: x"}), Reason.INVALID, id="34 a line break in the type"),
        pytest.param(event(run={"namespace": "a", "name": "b", "uid": "c"}), Reason.FOREIGN_RUN, id="36 another run"),
        pytest.param(event(schemaVersion=2, unheard="of"), Reason.FUTURE_SCHEMA, id="38 a future schema"),
        pytest.param(b"[]", Reason.INVALID, id="no object"),
        pytest.param(event(body={"type": "explosion"}), Reason.INVALID, id="an unknown type"),
        pytest.param(event(time="2026-01-01T00:00:00"), Reason.INVALID, id="a time without a zone"),
        pytest.param(event(time="0001-01-01T00:00:00+14:00"), Reason.INVALID, id="a time before all dates"),
        pytest.param(event(time="9999-12-31T23:59:59-14:00"), Reason.INVALID, id="a time after all dates"),
        pytest.param(
            event(time="9999-12-31T23:59:59-14:00", body={"type": "block_started", "blockType": "x", "device": "cpu"}),
            Reason.INVALID,
            id="a time after all dates, by the model",
        ),
        pytest.param(event(seq=2**43), Reason.INVALID, id="a number that 64 bits cannot order"),
        pytest.param(event(extra=1), Reason.INVALID, id="an unknown key"),
    ],
)
def test_what_is_no_event_of_this_run_is_dropped_with_its_reason(raw: bytes | dict[str, Any], expected: Reason) -> None:
    assert reason(raw) is expected


def test_the_largest_number_that_is_taken_can_be_stored() -> None:
    store = RunStore(UID)
    store.apply(parse(json.dumps(event(seq=2**43 - 1)).encode(), UID))
    assert store.points == 1


def test_a_line_break_between_keys_does_not_reach_a_stream() -> None:
    parsed = parse(json.dumps(event(), indent=1).encode(), UID)
    assert b"\n" not in parsed.raw
    assert json.loads(parsed.raw) == event()


WRONG = st.sampled_from(
    [None, True, -1, 1.5, "x", "NaN", "", [], {}, 2**60, "a b", {"a": 1.5}, {"a": True}, {"a": "b"}]
)


@given(field=st.sampled_from(["name", "value", "step", "labels"]), value=WRONG)
def test_a_points_check_by_hand_agrees_with_the_model(field: str, value: Any) -> None:
    raw = json.dumps(metric(**{field: value})).encode()
    try:
        EVENT_ADAPTER.validate_json(raw, strict=True)
        valid = value != 2**60  # a step that no page can hold is dropped here
    except ValidationError:
        valid = False
    try:
        parse(raw, UID)
        taken = True
    except Dropped:
        taken = False
    assert taken == valid or (field == "value" and value == 2**60)


@given(field=st.sampled_from(["block", "attempt", "shard", "retry", "pod", "seq", "time", "run", "body"]), value=WRONG)
def test_an_envelopes_check_by_hand_is_no_laxer_than_the_model(field: str, value: Any) -> None:
    raw = json.dumps(event(**{field: value})).encode()
    try:
        parse(raw, UID)
    except Dropped:
        return
    EVENT_ADAPTER.validate_json(raw)


@pytest.mark.parametrize(("word", "value"), [("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf)])
def test_the_three_words_are_values(word: str, value: float) -> None:
    (sample,) = parse(json.dumps(metric(value=word)).encode(), UID).samples
    assert sample.value == value or (math.isnan(sample.value) and math.isnan(value))
