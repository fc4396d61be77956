"""Bytes from Redis or a file -> an event, or a word that says why it is none.

Metrics, nearly all of what a run publishes, are checked by hand: the models would take five times as long. What the
two agree on is pinned by a test. Nothing here raises anything but `Dropped`.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.events import EVENT_ADAPTER, METRIC_NAME_PATTERN, SCHEMA_VERSION, Event

LabelItems = tuple[tuple[str, str | int], ...]
MAX_STEP = 2**53 - 1
"""The largest integer that a page can tell from its neighbours."""
MAX_SEQ = 2**43 - 1
"""The largest number of an event: the store orders a pod's points by it in 64 bits."""
MAX_TIME_MS = datetime(9999, 1, 1, tzinfo=UTC).timestamp() * 1000
"""The latest time of an event: one that no date can hold would end the gateway where it is shown."""
MAX_LABELS = 32
"""Labels of one point."""

_NONE: dict[str, str | int] = {}
_NAME = re.compile(METRIC_NAME_PATTERN)
_VALUES = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_KEYS = frozenset(
    {"schemaVersion", "run", "block", "attempt", "shard", "retry", "pod", "seq", "time", "body"}
)  # fmt: skip
_NUMBERS = (("attempt", 1, MAX_STEP), ("shard", 0, MAX_STEP), ("retry", 0, MAX_STEP), ("seq", 0, MAX_SEQ))
_POINT_KEYS = frozenset({"name", "value", "step", "labels"})


class Reason(StrEnum):
    """Why an entry is no event of this run."""

    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    FUTURE_SCHEMA = "future_schema"
    FOREIGN_RUN = "foreign_run"
    INVALID = "invalid"
    DUPLICATE = "duplicate"
    NO_ROOM = "no_room"


class Dropped(Exception):  # noqa: N818 - what happened to the entry, not to us
    """The entry is dropped and counted."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.value}: {detail}" if detail else reason.value)
        self.reason = reason


class MetricSample(NamedTuple):
    """One point as it is stored; a tuple because there are very many."""

    name: str
    labels: LabelItems
    step: int
    value: float


@dataclass(frozen=True, slots=True)
class Parsed:
    """An event that may be applied."""

    run: tuple[str, str]
    """Namespace and name."""
    block: str
    attempt: int
    shard: int
    retry: int
    pod: str
    seq: int
    time_ms: float
    """Milliseconds since the epoch."""
    type: str
    """The body's type."""
    samples: tuple[MetricSample, ...]
    """Of a metric event."""
    event: Event | None
    """The whole event, where it is no metric event."""
    raw: bytes
    """One line of JSON without line breaks, as it is sent on."""


def parse(raw: bytes, uid: str) -> Parsed:
    """Checks one entry of the run `uid`. Raises Dropped."""
    if len(raw) > names.MAX_EVENT_BYTES:
        raise Dropped(Reason.TOO_LARGE, f"{len(raw)} bytes")
    try:
        data: Any = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Dropped(Reason.NOT_JSON, str(error)) from error
    if not isinstance(data, dict) or type(data.get("schemaVersion", SCHEMA_VERSION)) is not int:
        raise Dropped(Reason.INVALID, "no envelope")
    if data.get("schemaVersion", SCHEMA_VERSION) > SCHEMA_VERSION:
        raise Dropped(Reason.FUTURE_SCHEMA, str(data["schemaVersion"]))
    run, body = data.get("run"), data.get("body")
    if not isinstance(run, dict) or run.get("uid") != uid:
        raise Dropped(Reason.FOREIGN_RUN)
    if not isinstance(body, dict):
        raise Dropped(Reason.INVALID, "no body")
    # A raw line break would end the message inside a stream of server-sent events.
    line = raw if b"\n" not in raw and b"\r" not in raw else orjson.dumps(data)
    return _metric(data, body, line) if body.get("type") == "metric" else _other(raw, line)


def _other(raw: bytes, line: bytes) -> Parsed:
    try:
        event = EVENT_ADAPTER.validate_json(raw)
    except ValidationError as error:
        raise Dropped(Reason.INVALID, _first(error)) from error
    _require(event.seq <= MAX_SEQ, "seq")
    return Parsed(
        (event.run.namespace, event.run.name),
        event.block, event.attempt, event.shard, event.retry, event.pod, event.seq,
        _milliseconds(event.time), event.body.type, (), event, line,
    )  # fmt: skip


def _metric(data: dict[str, Any], body: dict[str, Any], line: bytes) -> Parsed:
    run = data["run"]
    _require(data.keys() <= _KEYS, "unknown key")
    _require(run.keys() == {"namespace", "name", "uid"} and all(type(v) is str for v in run.values()), "run")
    _require(body.keys() == {"type", "points"} and isinstance(body["points"], list) and body["points"], "points")
    _require(type(data.get("block")) is str, "block")
    _require(type(data.get("pod")) is str, "pod")
    for key, least, most in _NUMBERS:
        value = data.get(key)
        _require(type(value) is int and least <= value <= most, key)
    return Parsed(
        (run["namespace"], run["name"]),
        data["block"], data["attempt"], data["shard"], data["retry"], data["pod"], data["seq"],
        _time(data.get("time")), "metric", tuple(_sample(point) for point in body["points"]), None, line,
    )  # fmt: skip


def _sample(point: Any) -> MetricSample:
    if type(point) is not dict or not point.keys() <= _POINT_KEYS:
        raise Dropped(Reason.INVALID, "point")
    name, step, value, labels = point.get("name"), point.get("step"), point.get("value"), point.get("labels", _NONE)
    if type(name) is not str or _NAME.fullmatch(name) is None:
        raise Dropped(Reason.INVALID, "point.name")
    if type(step) is not int or not 0 <= step <= MAX_STEP:
        raise Dropped(Reason.INVALID, "point.step")
    if type(value) is str:
        value = _VALUES.get(value)
    if type(value) is not float and type(value) is not int:
        raise Dropped(Reason.INVALID, "point.value")
    if type(labels) is not dict or len(labels) > MAX_LABELS:
        raise Dropped(Reason.INVALID, "point.labels")
    items = [item for item in labels.items() if item[0] != "step"]
    for _, label in items:
        if type(label) is not str and type(label) is not int:
            raise Dropped(Reason.INVALID, "point.labels")
    if len(items) > 1:
        items.sort()
    return MetricSample(name, tuple(items), step, float(value))


def _time(text: Any) -> float:
    _require(type(text) is str, "time")
    try:
        time = datetime.fromisoformat(text)
    except ValueError as error:
        raise Dropped(Reason.INVALID, "time") from error
    return _milliseconds(time)


def _milliseconds(time: datetime) -> float:
    _require(time.tzinfo is not None, "time: no time zone")
    found = time.timestamp() * 1000
    _require(0 <= found <= MAX_TIME_MS, "time: out of range")
    return found


def _require(condition: Any, what: str) -> None:
    if not condition:
        raise Dropped(Reason.INVALID, what)


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
