"""Turns what a block says into the lines of `events.jsonl`, which are also the entries of the Redis stream.

Metric points are the hot path: their JSON is put together from strings, some ten times faster than through the
models. A test holds every line against the models.
"""

import itertools
import json
import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from json.encoder import encode_basestring as _quoted

from diffrun_contracts import names
from diffrun_contracts.events import METRIC_NAME_PATTERN, Body, Event, Metric, MetricPoint
from diffrun_contracts.task import BlockTask
from diffrun_worker.block import Point
from diffrun_worker.errors import ErrorCode, PermanentError

MAX_POINTS = 200
"""Points in one entry: beyond a hundred, larger batches gain nothing (one entry an event is 54 times slower)."""

_BODY_BYTES = names.MAX_EVENT_BYTES - 1024  # the envelope's own fields take less than 1 KiB
_MAX_LABELS = 4096
_NAME = re.compile(METRIC_NAME_PATTERN)
_POINTS = '{"type":"metric","points":['
_NON_FINITE = {"nan": '"NaN"', "inf": '"Infinity"', "-inf": '"-Infinity"'}
_written = float.__repr__  # the shortest digits that read back as the same number


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
        self._clock = clock
        self._seq = itertools.count()
        self._heads: dict[str, str] = {}  # name -> how the JSON of its points begins
        sample = Event(
            run=task.run,
            block=task.block,
            attempt=task.attempt,
            shard=shard,
            retry=retry,
            pod=pod,
            seq=0,
            time=datetime(2000, 1, 1, tzinfo=UTC),
            body=Metric(points=(MetricPoint(name="x", value=0.0, step=0),)),
        )
        self._head, _, _ = sample.to_json().rpartition('"seq":0,"time":')

    def wrap(self, body: Body) -> bytes:
        """The line of one event, without its newline."""
        return self._line(body.to_json().encode())

    def wrap_points(self, points: Iterable[Point]) -> Iterator[tuple[bytes, int]]:
        """Lines of metric events with the number of their points, each within the limits on size.

        Raises PermanentError `InvalidMetric` for a point that no reader would take.
        """
        batch: list[str] = []
        heads = self._heads
        known: Mapping[str, str | int] | None = None
        labels_text = ""
        for point in points:
            name, value, step, labels = point
            if labels is not known:  # the metrics of one sample and step share theirs
                known, labels_text = labels, _labels(point)
            if type(value) is not float or type(step) is not int or step < 0 or name not in heads:
                value, step = self._checked(point)
            number = _written(value)
            if number in _NON_FINITE:
                number = _NON_FINITE[number]
            batch.append(f'{heads[name]}{number},"step":{step},"labels":{labels_text}}}')
            if len(batch) == MAX_POINTS:
                yield from self._metric_lines(batch)
                batch = []
        if batch:
            yield from self._metric_lines(batch)

    def _checked(self, point: Point) -> tuple[float, int]:
        """A point's value and step, of the types that JSON is made of; its name is learnt.

        Raises PermanentError `InvalidMetric`.
        """
        try:
            value, step = float(point.value), int(operator.index(point.step))
        except (TypeError, ValueError) as error:
            raise _invalid(point, str(error)) from error
        if step < 0:
            raise _invalid(point, "step counts from 0")
        self._learn(point.name)
        return value, step

    def _learn(self, name: str) -> None:
        if not isinstance(name, str) or not _NAME.match(name):
            raise PermanentError(
                ErrorCode.INVALID_METRIC,
                f"metric name {name!r}: use at most 128 letters, digits, '_', '.', '/', '-', no sign first",
            )
        self._heads[name] = f'{{"name":{json.dumps(name)},"value":'

    def _metric_lines(self, points: list[str]) -> Iterator[tuple[bytes, int]]:
        """One line, or as many as the limit on size asks for: only labels of thousands of characters get there."""
        body = f"{_POINTS}{','.join(points)}]}}".encode()
        if len(body) <= _BODY_BYTES or len(points) == 1:
            yield self._line(body), len(points)
            return
        half = len(points) // 2
        yield from self._metric_lines(points[:half])
        yield from self._metric_lines(points[half:])

    def _line(self, body: bytes) -> bytes:
        """Puts the envelope's own fields around the JSON of a body, as the models would."""
        time = self._clock().isoformat().replace("+00:00", "Z")
        return f'{self._head}"seq":{next(self._seq)},"time":"{time}","body":'.encode() + body + b"}"


def _labels(point: Point) -> str:
    """The JSON of a point's labels. Raises PermanentError `InvalidMetric`."""
    parts = []
    try:
        for name, value in point.labels.items():
            if type(value) is int:
                parts.append(f"{_quoted(name)}:{value}")
            elif isinstance(value, str | int):
                parts.append(f"{_quoted(name)}:{json.dumps(value, ensure_ascii=False)}")
            else:
                raise _invalid(point, _WHAT_LABELS_ARE)
        text = f"{{{','.join(parts)}}}"
        if not text.isascii():
            text.encode()  # half a surrogate pair is no text
    except (TypeError, AttributeError, UnicodeEncodeError) as error:
        raise _invalid(point, f"{_WHAT_LABELS_ARE} ({error})") from error
    if len(text) > _MAX_LABELS:
        raise _invalid(point, _WHAT_LABELS_ARE)
    return text


_WHAT_LABELS_ARE = f"labels are strings or integers, together at most {_MAX_LABELS} characters"


def _invalid(point: Point, why: str) -> PermanentError:
    return PermanentError(ErrorCode.INVALID_METRIC, f"metric {point.name!r} at step {point.step!r}: {why}")
