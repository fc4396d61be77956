"""Turns what a block says into the lines of `events.jsonl`, which are also the entries of the Redis stream.

Metric points are the hot path: their JSON is put together from strings, some ten times faster than through the
models. A test holds every line against the models.
"""

import itertools
import json
import math
import operator
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from diffrun_contracts import names
from diffrun_contracts.events import METRIC_NAME_PATTERN, Body, Event, Metric, MetricPoint
from diffrun_contracts.task import BlockTask
from diffrun_worker.block import Point
from diffrun_worker.errors import ErrorCode, PermanentError

MAX_POINTS = 200
"""Points in one entry: beyond a hundred, larger batches gain nothing (one entry an event is 54 times slower)."""

_BODY_BYTES = names.MAX_EVENT_BYTES - 1024  # the envelope's own fields take less than 1 KiB
_NAME = re.compile(METRIC_NAME_PATTERN)
_MARK = '"points":['
_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode


def utc_now() -> datetime:
    """The time, UTC."""
    return datetime.now(UTC)


class Envelope:
    """Numbers and wraps one pod's events. Only one thread may use it: the numbers are the order."""

    def __init__(
        self,
        task: BlockTask,
        *,
        shard: int,
        retry: int,
        pod: str,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._fields = {"run": task.run, "block": task.block, "attempt": task.attempt, "shard": shard, "retry": retry}
        self._pod = pod
        self._clock = clock
        self._seq = itertools.count()
        self._known_names: dict[str, str] = {}
        self._metric_head, self._metric_tail = self._metric_frame()

    def wrap(self, body: Body) -> bytes:
        """The line of one event, without its newline."""
        return self._event(body, next(self._seq), self._clock()).to_json().encode()

    def wrap_points(self, points: Iterable[Point]) -> Iterator[tuple[bytes, int]]:
        """Lines of metric events with the number of their points, each within the limits on size.

        Raises PermanentError `InvalidMetric` for a point that no reader would take.
        """
        batch: list[str] = []
        size = 0
        for point in points:
            text = self.point(point)
            length = len(text.encode()) + 1
            if batch and (len(batch) >= MAX_POINTS or size + length > _BODY_BYTES):
                yield self._metric_line(batch), len(batch)
                batch, size = [], 0
            batch.append(text)
            size += length
        if batch:
            yield self._metric_line(batch), len(batch)

    def point(self, point: Point) -> str:
        """One point's JSON. Raises PermanentError `InvalidMetric`."""
        name = self._known_names.get(point.name) or self._learn(point.name)
        try:
            step = operator.index(point.step)
            value = float(point.value)
            labels = _json(dict(point.labels)) if point.labels else "{}"
        except (TypeError, ValueError) as error:
            raise _invalid(point, str(error)) from error
        if step < 0:
            raise _invalid(point, "step counts from 0")
        if len(labels) > 4096 or not all(isinstance(label, str | int) for label in point.labels.values()):
            raise _invalid(point, "labels are strings or integers, together at most 4096 characters")
        return f'{{"name":{name},"value":{_number(value)},"step":{step},"labels":{labels}}}'

    def _learn(self, name: str) -> str:
        if not isinstance(name, str) or not _NAME.match(name):
            raise PermanentError(
                ErrorCode.INVALID_METRIC,
                f"metric name {name!r}: use at most 128 letters, digits, '_', '.', '/', '-', no sign first",
            )
        return self._known_names.setdefault(name, _json(name))

    def _event(self, body: Body, seq: int, time: datetime) -> Event:
        return Event.model_validate({**self._fields, "pod": self._pod, "seq": seq, "time": time, "body": body})

    def _metric_frame(self) -> tuple[str, str]:
        """The parts of a metric event's line before `seq` and after the points, taken from the models."""
        sample = Metric(points=(MetricPoint(name="x", value=0.0, step=0),))
        line = self._event(sample, 0, datetime(2000, 1, 1, tzinfo=UTC)).to_json()
        head, _, rest = line.partition('"seq":0,')
        return head, rest[rest.index("]", rest.index(_MARK)) :]

    def _metric_line(self, points: list[str]) -> bytes:
        time = self._clock().isoformat().replace("+00:00", "Z")
        frame = f'"seq":{next(self._seq)},"time":"{time}","body":{{"type":"metric",{_MARK}'
        return f"{self._metric_head}{frame}{','.join(points)}{self._metric_tail}".encode()


def _number(value: float) -> str:
    if math.isfinite(value):
        return float.__repr__(value)
    return '"NaN"' if math.isnan(value) else ('"Infinity"' if value > 0 else '"-Infinity"')


def _invalid(point: Point, why: str) -> PermanentError:
    return PermanentError(ErrorCode.INVALID_METRIC, f"metric {point.name!r} at step {point.step!r}: {why}")
