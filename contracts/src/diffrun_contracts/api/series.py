"""What the gateway says of metrics: which there are, their series and their statistics."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from diffrun_contracts.base import Model
from diffrun_contracts.events import MetricValue

Cursor = Annotated[str, Field(pattern=r"^\d{1,15}-\d{1,20}\.[0-9a-z]{1,12}$")]
"""`<stream id>.<epoch>`: how far a snapshot reaches. Ids of one epoch are ordered; another epoch means: fetch again."""

Labels = dict[str, str | int]


class Point(Model):
    """A point of a series, with where it comes from."""

    value: MetricValue
    """The value."""
    step: int
    """The x axis."""
    time: datetime
    """When it was published."""
    block: str
    """The block."""
    labels: Labels = Field(default_factory=dict)
    """The series' labels."""


class MetricEntry(Model):
    """A series that there is."""

    run: str
    """The run's UID."""
    block: str
    """The block."""
    name: str
    """The metric."""
    labels: Labels = Field(default_factory=dict)
    """What tells the series of a metric apart; never `step`."""
    series: str
    """Names the series within the run, for `GET api/series?series=`."""
    count: int
    """Points that there are."""
    last: Point
    """The newest point."""


class MetricList(Model):
    """`GET api/metrics`."""

    cursors: dict[str, Cursor]
    """By run: how far this reaches."""
    metrics: tuple[MetricEntry, ...]
    """Ordered by name, block and labels."""
    notices: tuple[str, ...] = ()
    """What is missing and why."""


class NonFinite(Model):
    """A point that has no place on the y axis."""

    index: int
    """Its place in the columns, where `values` holds null."""
    value: Literal["NaN", "Infinity", "-Infinity"]
    """What was published."""


class Series(Model):
    """One line: columns of equal length, ordered by the x axis that was asked for."""

    run: str
    """The run's UID."""
    block: str
    """The block."""
    name: str
    """The metric."""
    labels: Labels = Field(default_factory=dict)
    """The series' labels."""
    series: str
    """Names the series within the run."""
    total: int
    """Points in the asked range."""
    shown: int
    """Points in the columns; fewer than `total` where they are the smallest and largest of each bucket."""
    non_finite: int
    """How many of `total` are not finite."""
    hidden_on_log: int
    """How many of `total` are finite and not above 0."""
    start: float | None = None
    """Milliseconds since the epoch of the series' first point of all: where relative time counts from."""
    steps: list[int]
    """Steps."""
    times: list[float]
    """Milliseconds since the epoch."""
    values: list[float | None]
    """Values; null where not finite."""
    smoothed: list[float | None] | None = None
    """The smoothed line at the same places, made from all points; null without smoothing."""
    non_finite_points: list[NonFinite] = Field(default_factory=list)
    """The shown points that are not finite."""


class SeriesList(Model):
    """`GET api/series`."""

    cursors: dict[str, Cursor]
    """By run: how far this reaches."""
    series: list[Series]
    """Ordered by name, run, block and labels."""
    notices: tuple[str, ...] = ()
    """What is missing and why."""


class Statistics(Model):
    """A metric of a run in figures, over all of its points."""

    run: str
    """The run's UID."""
    name: str
    """The metric."""
    count: int
    """Points that there are, the non-finite ones included."""
    non_finite: int
    """Points that no figure but `last` takes into account."""
    min: Point | None = None
    """The smallest finite point, the earliest of equals; null where none is finite."""
    max: Point | None = None
    """The largest finite point, the earliest of equals."""
    mean: float | None = None
    """Of the finite points."""
    last: Point
    """The newest point."""
    recent: tuple[float | None, ...]
    """The last 5 values in the order of their time, for the trend."""
    sparkline: tuple[float | None, ...]
    """The last 100 values in the order of their time."""
    interval_seconds: float | None = None
    """The median time between the last 100 points: what makes a silence a long one."""


class StatisticsList(Model):
    """`GET api/statistics`."""

    cursors: dict[str, Cursor]
    """By run: how far this reaches."""
    statistics: tuple[Statistics, ...]
    """Ordered by name and run."""
    notices: tuple[str, ...] = ()
    """What is missing and why."""
