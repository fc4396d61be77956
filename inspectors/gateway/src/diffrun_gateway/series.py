"""One series in memory: the points of its pods, and which of them still count.

A pod that takes over from another (a newer retry of the shard, or a newer attempt of the block) supersedes the
older points from the first step that it writes on: what was resumed stays, what is computed again is replaced.
The result does not depend on the order in which events arrive.
"""

import hashlib
from array import array
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray

from diffrun_gateway.numeric import Figures, Floats, figures
from diffrun_gateway.parse import LabelItems

POINTS_PER_EVENT_BITS = 20
"""Bits of a point's place within its event; 64 KiB hold far fewer points."""

SegmentKey = tuple[int, int, int]
"""attempt, shard, retry."""


class SeriesKey(NamedTuple):
    """What tells the series of a run apart."""

    name: str
    block: str
    labels: LabelItems

    @property
    def id(self) -> str:
        """A short name for addresses."""
        text = orjson.dumps([self.name, self.block, self.labels])
        return hashlib.sha256(text).hexdigest()[:12]

    @property
    def sort_key(self) -> tuple[str, str, tuple[tuple[str, int, str], ...]]:
        """By name, block and labels; numbers among labels in their own order."""
        return self.name, self.block, tuple((k, v if type(v) is int else -1, str(v)) for k, v in self.labels)


@dataclass(frozen=True)
class Columns:
    """The points that count, ordered by step: arrays of one length."""

    steps: NDArray[np.int64]
    times: Floats
    """Milliseconds since the epoch."""
    values: Floats

    def __len__(self) -> int:
        return len(self.steps)


@dataclass
class _Segment:
    """What one pod wrote to the series."""

    order: "array[int]" = field(default_factory=lambda: array("q"))
    steps: "array[int]" = field(default_factory=lambda: array("q"))
    times: "array[float]" = field(default_factory=lambda: array("d"))
    values: "array[float]" = field(default_factory=lambda: array("d"))
    in_order: bool = True
    first_step: int = 2**62

    def columns(self) -> Columns:
        steps, times, values = (np.array(a) for a in (self.steps, self.times, self.values))
        if not self.in_order:
            by = np.argsort(np.array(self.order), kind="stable")
            steps, times, values = steps[by], times[by], values[by]
        return Columns(steps, times, values)


class SeriesData:
    """The points of one series, appended to by the one who reads the stream."""

    def __init__(self, key: SeriesKey) -> None:
        self.key = key
        self.id = key.id
        self.last_ms = 0.0
        """When the newest point was published."""
        self._segments: dict[SegmentKey, _Segment] = {}
        self._columns: Columns | None = None
        self._figures: Figures | None = None

    def add(self, owner: SegmentKey, order: int, step: int, time_ms: float, value: float) -> bool:
        """Adds a point of the pod `owner`; `order` rises within it. Returns whether that made older points void."""
        segment = self._segments.get(owner)
        fresh = segment is None
        if segment is None:
            segment = self._segments[owner] = _Segment()
        if segment.order and order < segment.order[-1]:
            segment.in_order = False
        lower = step < segment.first_step
        segment.first_step = min(segment.first_step, step)
        segment.order.append(order)
        segment.steps.append(step)
        segment.times.append(time_ms)
        segment.values.append(value)
        self.last_ms = max(self.last_ms, time_ms)
        self._columns = self._figures = None
        return len(self._segments) > 1 and (fresh or lower) and self._voids(owner)

    def columns(self) -> Columns:
        """The points that count. The arrays never change afterwards."""
        if self._columns is None:
            parts = []
            for owner in sorted(self._segments):
                part = self._segments[owner].columns()
                cut = self._cut(owner)
                kept = part.steps < cut
                parts.append(Columns(part.steps[kept], part.times[kept], part.values[kept]))
            self._columns = _ordered(parts)
        return self._columns

    def figures(self) -> Figures:
        """The figures of the points that count."""
        if self._figures is None:
            self._figures = figures(self.columns().values)
        return self._figures

    def _cut(self, owner: SegmentKey) -> int:
        """The first step that a newer pod has written again."""
        return min((s.first_step for o, s in self._segments.items() if _supersedes(o, owner)), default=2**62)

    def _voids(self, owner: SegmentKey) -> bool:
        first = self._segments[owner].first_step
        return any(
            (_supersedes(owner, other) and max(segment.steps) >= first) or _supersedes(other, owner)
            for other, segment in self._segments.items()
            if other != owner
        )


def _supersedes(newer: SegmentKey, older: SegmentKey) -> bool:
    """Across attempts whatever the shard; within one attempt only the same shard's retries."""
    if newer[0] != older[0]:
        return newer[0] > older[0]
    return newer[1] == older[1] and newer[2] > older[2]


def _ordered(parts: list[Columns]) -> Columns:
    """One after the other, by step where they overlap; points of one step keep their order."""
    if len(parts) == 1:
        (joined,) = parts
    else:
        joined = Columns(
            np.concatenate([p.steps for p in parts]),
            np.concatenate([p.times for p in parts]),
            np.concatenate([p.values for p in parts]),
        )
    if len(joined) > 1 and bool(np.any(np.diff(joined.steps) < 0)):
        by = np.argsort(joined.steps, kind="stable")
        joined = Columns(joined.steps[by], joined.times[by], joined.values[by])
    return joined
