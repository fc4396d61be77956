"""A run's store -> what the endpoints answer. Nothing here waits for anything."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import numpy as np

from diffrun_contracts.api import ArtifactEntry, Facet, MetricEntry, Point, Sparkline, Statistics
from diffrun_gateway import images
from diffrun_gateway.numeric import Floats, ema, extremes, time_weighted_ema
from diffrun_gateway.series import Columns, SeriesData
from diffrun_gateway.store import RunStore, StoredArtifact, at

RECENT, SPARK, LIST_SPARK = 5, 100, 40
"""Values for the trend, for a card's sparkline, for a sparkline in the list of runs."""

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


class XAxis(StrEnum):
    """What the points of a series are ordered by."""

    STEP = "step"
    RELATIVE = "relative"
    WALL = "wall"


class Smoothing(StrEnum):
    """How a series is smoothed."""

    NONE = "none"
    EMA = "ema"
    TIME = "time"


@dataclass(frozen=True)
class SeriesQuery:
    """What is asked of every series."""

    x: XAxis = XAxis.STEP
    start: float | None = None
    """From here on: a step, seconds since the series' start, or milliseconds since the epoch."""
    end: float | None = None
    """Up to here, included."""
    points: int = 2000
    """At most this many; 0 for all."""
    smoothing: Smoothing = Smoothing.NONE
    weight: float = 0.6


def metric_entry(uid: str, data: SeriesData) -> MetricEntry | None:
    """The series in the list of metrics; None where none of its points counts."""
    columns = data.columns()
    if not len(columns):
        return None
    return MetricEntry(
        run=uid, block=data.key.block, name=data.key.name, labels=dict(data.key.labels), series=data.id,
        count=len(columns), last=_point(data, columns, _newest(columns)),
    )  # fmt: skip


def series(uid: str, data: SeriesData, columns: Columns, query: SeriesQuery) -> dict[str, Any]:
    """`api.Series` as plain data: a model would take longer over 200,000 numbers than all else."""
    start = float(columns.times.min()) if len(columns) else None
    columns, x = _by_axis(columns, query.x, start or 0.0)
    smoothed = _smoothed(columns.values, x, query)
    chosen = _range(x, query)
    columns, x = _take(columns, chosen), x[chosen]
    finite = np.isfinite(columns.values)
    shown = np.arange(len(columns)) if query.points == 0 else extremes(x, columns.values, query.points)
    kept = _take(columns, shown)
    result: dict[str, Any] = {
        "run": uid,
        "block": data.key.block,
        "name": data.key.name,
        "labels": dict(data.key.labels),
        "series": data.id,
        "total": len(columns),
        "shown": len(kept),
        "nonFinite": int(len(columns) - finite.sum()),
        "hiddenOnLog": int((finite & (columns.values <= 0)).sum()),
        "start": start,
        "steps": kept.steps,
        "times": kept.times,
        "values": kept.values,  # orjson writes what is not finite as null
        "nonFinitePoints": [
            {"index": int(i), "value": _word(kept.values[i])} for i in np.flatnonzero(~np.isfinite(kept.values))
        ],
    }
    if smoothed is not None:
        result["smoothed"] = np.ascontiguousarray(smoothed[chosen][shown])
    return result


def statistics(uid: str, name: str, all_series: Sequence[SeriesData]) -> Statistics | None:
    """A metric in figures, over all points of all its series."""
    parts = [(data, data.columns(), data.figures()) for data in all_series if len(data.columns())]
    if not parts:
        return None
    count = sum(f.count for _, _, f in parts)
    non_finite = sum(f.non_finite for _, _, f in parts)
    lows = [_point(d, c, f.smallest) for d, c, f in parts if f.smallest is not None]
    highs = [_point(d, c, f.largest) for d, c, f in parts if f.largest is not None]
    tail = _tail(parts)
    values = tuple(_finite_or_none(float(c.values[i])) for _, d, c, i in tail)
    data, columns, index = tail[-1][1:]
    gaps = np.diff(np.unique([time for time, *_ in tail]))  # the points of one event share their time
    return Statistics(
        run=uid, name=name, count=count, non_finite=non_finite,
        min=min(lows, key=lambda p: (p.value, p.time)) if lows else None,
        max=min(highs, key=lambda p: (-p.value, p.time)) if highs else None,
        mean=sum(f.total for _, _, f in parts) / (count - non_finite) if count > non_finite else None,
        last=_point(data, columns, index), recent=values[-RECENT:], sparkline=values,
        interval_seconds=float(np.median(gaps)) / 1000 if len(gaps) else None,
    )  # fmt: skip


def artifact_entry(store: RunStore, item: StoredArtifact) -> ArtifactEntry:
    """An artifact in the list."""
    artifact = item.artifact
    address = f"api/artifacts/{quote(artifact.id, safe='')}"
    query = f"?run={store.uid}"
    run = store.ref.name if store.ref else store.uid
    return ArtifactEntry(
        run=store.uid, block=item.block, attempt=item.owner[0], shard=item.owner[1], id=artifact.id,
        schema_type=artifact.schema_type, content_type=artifact.content_type,
        file_name=file_name(run, item),
        tags=artifact.tags, sha256=artifact.sha256, size=artifact.size, width=artifact.width, height=artifact.height,
        time=at(item.time_ms) if item.time_ms is not None else None,
        url=address + query, thumbnail_url=f"{address}/thumbnail{query}" if is_image(item) else None,
    )  # fmt: skip


def file_name(run: str, item: StoredArtifact) -> str:
    """The name that a download gets: plain characters that say run, block and file."""
    return _UNSAFE.sub("_", f"{run}-{item.block}-{PurePosixPath(item.artifact.path).name}")[:200]


def is_image(item: StoredArtifact) -> bool:
    """Whether it says that it is one, and so has a thumbnail."""
    artifact = item.artifact
    return images.is_image(artifact.content_type, artifact.path, artifact.schema_type)


def facets(entries: Iterable[StoredArtifact]) -> tuple[Facet, ...]:
    """Every value that the artifacts can be filtered by, with its count, in order."""
    counts: dict[tuple[str, str], int] = {}
    for item in entries:
        pairs = [("schemaType", item.artifact.schema_type), ("block", item.block), *item.artifact.tags.items()]
        for pair in pairs:
            counts[pair] = counts.get(pair, 0) + 1
    ordered = sorted(counts, key=lambda pair: (pair[0], len(pair[1]) if pair[1].isdecimal() else 0, pair[1]))
    return tuple(Facet(key=key, value=value, count=counts[key, value]) for key, value in ordered)


def matches(item: StoredArtifact, schema_types: Sequence[str], tags: Sequence[str], blocks: Sequence[str]) -> bool:
    """Whether an artifact passes a filter; a tag is `key`, `value` or `key=value`, and all of them must be there."""
    if schema_types and item.artifact.schema_type not in schema_types:
        return False
    if blocks and item.block not in blocks:
        return False
    own = item.artifact.tags
    return all(_has_tag(own, tag) for tag in tags)


def sparkline(store: RunStore) -> Sparkline | None:
    """The last values of the metric that was written last."""
    if store.last_metric is None:
        return None
    chosen = [data for key, data in store.series.items() if key.name == store.last_metric]
    newest = max(chosen, key=lambda data: data.last_ms)
    values = newest.columns().values[-LIST_SPARK:]
    return Sparkline(name=store.last_metric, values=tuple(_finite_or_none(value) for value in values.tolist()))


def _has_tag(own: dict[str, str], tag: str) -> bool:
    key, equals, value = tag.partition("=")
    return own.get(key) == value if equals else (tag in own or tag in own.values())


def _tail(parts: Sequence[tuple[SeriesData, Columns, Any]]) -> list[tuple[float, SeriesData, Columns, int]]:
    """The last SPARK points of all series by time."""
    newest = []
    for data, columns, _ in parts:
        by = np.argsort(columns.times, kind="stable")[-SPARK:]
        newest += [(float(columns.times[i]), data, columns, int(i)) for i in by]
    newest.sort(key=lambda point: point[0])
    return newest[-SPARK:]


def _newest(columns: Columns) -> int:
    """The last of the points with the latest time: the points of one event share theirs."""
    return len(columns) - 1 - int(np.argmax(columns.times[::-1]))


def _point(data: SeriesData, columns: Columns, index: int) -> Point:
    return Point(
        value=float(columns.values[index]), step=int(columns.steps[index]), time=at(float(columns.times[index])),
        block=data.key.block, labels=dict(data.key.labels),
    )  # fmt: skip


def _by_axis(columns: Columns, axis: XAxis, start: float) -> tuple[Columns, Floats]:
    if axis is XAxis.STEP:
        return columns, columns.steps.astype(np.float64)
    if len(columns) > 1 and bool(np.any(np.diff(columns.times) < 0)):
        columns = _take(columns, np.argsort(columns.times, kind="stable"))
    return columns, (columns.times if axis is XAxis.WALL else (columns.times - start) / 1000)


def _smoothed(values: Floats, x: Floats, query: SeriesQuery) -> Floats | None:
    if query.smoothing is Smoothing.NONE:
        return None
    if query.smoothing is Smoothing.EMA:
        return ema(values, query.weight)
    return time_weighted_ema(values, x, query.weight)


def _range(x: Floats, query: SeriesQuery) -> slice:
    """The asked range and one point to each side, so that lines run to the edge."""
    first = 0 if query.start is None else max(0, int(np.searchsorted(x, query.start, "left")) - 1)
    last = len(x) if query.end is None else min(len(x), int(np.searchsorted(x, query.end, "right")) + 1)
    return slice(first, last)


def _take(columns: Columns, which: Any) -> Columns:
    return Columns(
        np.ascontiguousarray(columns.steps[which]),
        np.ascontiguousarray(columns.times[which]),
        np.ascontiguousarray(columns.values[which]),
    )


def _word(value: float) -> str:
    if np.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _finite_or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
