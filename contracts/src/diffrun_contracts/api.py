"""The gateway's HTTP API: what its endpoints answer, and what its streams say.

The TypeScript types of the pages are generated from these models. Times are ISO 8601 in UTC, except in the
columns of a series, where they are milliseconds since the epoch.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from diffrun_contracts.base import Model
from diffrun_contracts.events import Event, MetricValue
from diffrun_contracts.spec import DiffusionRunSpec, Inspector
from diffrun_contracts.status import DiffusionRunStatus, GateDecision

Cursor = Annotated[str, Field(pattern=r"^\d{1,15}-\d{1,20}\.[0-9a-z]{1,12}$")]
"""`<stream id>.<epoch>`: how far a snapshot reaches. Ids of one epoch are ordered; another epoch means: fetch again."""

Labels = dict[str, str | int]


class RunPhase(StrEnum):
    """A run's state in one word, for people; the conditions are the truth."""

    PENDING = "Pending"
    INVALID = "Invalid"
    QUEUED = "Queued"
    RUNNING = "Running"
    WAITING = "Waiting"  # a gate waits for a decision
    PAUSED = "Paused"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    REJECTED = "Rejected"
    CANCELLED = "Cancelled"
    UNKNOWN = "Unknown"


class Problem(Model):
    """Why a request was refused."""

    code: str
    """A stable word, for example `RunNotFound`."""
    message: str
    """What is wrong and what to do about it; where Kubernetes refused, its own words."""
    field: str | None = None
    """The parameter that is wrong."""


class Session(Model):
    """Who looks, and whether one has to say so."""

    auth_required: bool
    """Whether a token has to be exchanged for a session."""
    user: str | None = None
    """The user name that Kubernetes gave the token; null without a session."""
    expires: datetime | None = None
    """When the session ends."""
    version: str
    """The gateway's version."""


class Sparkline(Model):
    """The last values of the metric that a run wrote last."""

    name: str
    """The metric."""
    values: tuple[float | None, ...]
    """At most 40, oldest first; null where a value is not finite."""


class RunEntry(Model):
    """A line of the list of runs."""

    namespace: str
    """The run's namespace."""
    name: str
    """The run's name."""
    uid: str
    """The run's UID, by which everything else asks for it."""
    phase: RunPhase
    """The state in one word."""
    reason: str | None = None
    """Of the condition Succeeded."""
    message: str | None = None
    """Of the condition Succeeded, or what is wrong with the spec."""
    over: bool
    """Whether the run will never change again."""
    archived: bool
    """Whether the object is gone from the cluster and the run is shown from its files."""
    created: datetime | None = None
    """When the run was created."""
    started: datetime | None = None
    """When its first Job was about to be created."""
    completed: datetime | None = None
    """When it ended."""
    block: str | None = None
    """The block that runs, or whose gate waits."""
    blocks_done: int = 0
    """Blocks that have succeeded."""
    blocks_total: int = 0
    """Blocks that there are."""
    done: int | None = None
    """Units of work of the current block that are done."""
    total: int | None = None
    """Units of work of the current block."""
    eta: datetime | None = None
    """When the current block will be done, at the speed seen so far; null where nothing tells."""
    waiting_gates: tuple[str, ...] = ()
    """Blocks whose gates wait for a decision."""
    sparkline: Sparkline | None = None
    """Null until the run's events have been read."""
    thumbnail: str | None = None
    """The newest image's thumbnail, relative to the API's root."""


class RunList(Model):
    """`GET api/runs`, and the first message of `GET api/runs/events`."""

    runs: tuple[RunEntry, ...]
    """Gates that wait first, then the newest first."""
    problems: tuple[str, ...] = ()
    """What is missing and why, for example a namespace that may not be listed."""


class Edge(Model):
    """A dependency between two blocks."""

    source: str
    """The block that must succeed first."""
    target: str
    """The block that waits for it."""


class Permissions(Model):
    """What the viewer may do with this run."""

    approve: bool
    """Decide its gates."""
    edit: bool
    """Pause, resume and cancel it."""
    explanation: str | None = None
    """Which right is missing and who can give it, where one is."""


class RunDetail(Model):
    """`GET api/runs/{namespace}/{name}`, and the message `status` of `GET api/events`."""

    entry: RunEntry
    """As in the list."""
    spec: DiffusionRunSpec | None = None
    """As applied; null for a run that only its events tell of, or that these words cannot express."""
    status: DiffusionRunStatus
    """The ledger, the gates, the conditions."""
    inspectors: tuple[Inspector, ...]
    """Those of the spec, or the three standard ones."""
    edges: tuple[Edge, ...] = ()
    """The blocks' graph."""
    permissions: Permissions
    """What the viewer may do."""


class GateRequest(Model):
    """`POST api/runs/{namespace}/{name}/gates/{block}`."""

    uid: str
    """The run that was looked at; another run of the same name is left alone."""
    decision: GateDecision
    """Approved or Rejected."""
    note: Annotated[str, Field(max_length=1024)] | None = None
    """What is to be remembered."""
    preview_digest: Annotated[str, Field(max_length=71)] | None = None
    """The gate's digest as it was shown; the decision holds for nothing else."""


class ControlAction(StrEnum):
    """What can be done to a run."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


class ControlRequest(Model):
    """`POST api/runs/{namespace}/{name}/control`."""

    uid: str
    """The run that was looked at."""
    action: ControlAction
    """pause, resume or cancel."""


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


class ArtifactEntry(Model):
    """An artifact that may be fetched."""

    run: str
    """The run's UID."""
    block: str
    """The block that wrote it."""
    attempt: int
    """The block's attempt."""
    shard: int
    """Which of the block's pods."""
    id: str
    """Opaque."""
    schema_type: str
    """For example `generated_sample`."""
    content_type: str
    """As the worker said; what is served says what the bytes are."""
    file_name: str
    """The name that a download gets."""
    tags: dict[str, str] = Field(default_factory=dict)
    """For example `{"phase": "preview", "sample_index": "0"}`."""
    sha256: str
    """Of the file's bytes."""
    size: int
    """Bytes."""
    width: int | None = None
    """Pixels."""
    height: int | None = None
    """Pixels."""
    time: datetime | None = None
    """When it was announced; null where only the manifest tells of it."""
    url: str
    """The bytes, relative to the API's root."""
    thumbnail_url: str | None = None
    """A WebP thumbnail, relative to the API's root; null where it is no image. Add `&size=` for another size."""


class Facet(Model):
    """A value that can be filtered by, with the number of artifacts that have it."""

    key: str
    """`schemaType`, `block`, or a tag's key."""
    value: str
    """The value."""
    count: int
    """Artifacts that have it, over the runs asked for."""


class ArtifactList(Model):
    """`GET api/artifacts`."""

    cursors: dict[str, Cursor]
    """By run: how far this reaches."""
    artifacts: tuple[ArtifactEntry, ...]
    """Oldest first; those that a later attempt wrote again are left out."""
    total: int
    """How many match the filter, of which `artifacts` is a page."""
    facets: tuple[Facet, ...] = ()
    """Over all artifacts of the runs, whatever the filter."""
    notices: tuple[str, ...] = ()
    """What is missing and why."""


class StreamCursor(Model):
    """Message `cursor`: the first of a stream. Everything after these positions follows."""

    type: Literal["cursor"] = "cursor"
    cursors: dict[str, Cursor]
    """By run."""
    live: bool
    """False while events come late because Redis does not answer."""


class StreamEvent(Model):
    """Message `event`: something a worker published, exactly once."""

    type: Literal["event"] = "event"
    run: str
    """The run's UID."""
    cursor: Cursor
    """The event's position: a snapshot whose cursor is not before it already holds it."""
    event: Event
    """The event."""
    artifact: ArtifactEntry | None = None
    """With `artifact_written`: as in the list."""


class StreamStatus(Model):
    """Message `status`: the run's object as it is now; at the start and at every change."""

    type: Literal["status"] = "status"
    detail: RunDetail
    """The run."""


class StreamReset(Model):
    """Message `reset`: what was fetched is stale. Fetch it again; the stream goes on from `cursors`."""

    type: Literal["reset"] = "reset"
    run: str
    """The run's UID."""
    reason: Literal["trimmed", "completed", "superseded"]
    """The history was cut off, or completed from the files, or a retry wrote points again."""
    cursors: dict[str, Cursor]
    """By run: the positions from which the stream goes on."""


class StreamLive(Model):
    """Message `live`: whether events arrive as they are published."""

    type: Literal["live"] = "live"
    live: bool
    """False while Redis does not answer."""


class StreamHeartbeat(Model):
    """Message `heartbeat`: nothing happened, and the connection holds."""

    type: Literal["heartbeat"] = "heartbeat"
    time: datetime
    """The gateway's clock."""


class StreamEnd(Model):
    """Message `end`: all runs are over and everything has been sent. Do not reconnect."""

    type: Literal["end"] = "end"
    cursors: dict[str, Cursor]
    """By run: the last positions."""


class StreamDenied(Model):
    """Message `denied`: the viewer may no longer look. Do not reconnect before signing in again."""

    type: Literal["denied"] = "denied"
    problem: Problem
    """Why."""


class RunsSnapshot(Model):
    """Message `runs` of `GET api/runs/events`: the whole list; the first message."""

    type: Literal["runs"] = "runs"
    list: RunList
    """All runs."""


class RunChanged(Model):
    """Message `run` of `GET api/runs/events`: a run is new or has changed."""

    type: Literal["run"] = "run"
    entry: RunEntry
    """The run."""


class RunGone(Model):
    """Message `gone` of `GET api/runs/events`: a run is no longer there, not even its files."""

    type: Literal["gone"] = "gone"
    uid: str
    """The run's UID."""


StreamMessage = Annotated[
    StreamCursor | StreamEvent | StreamStatus | StreamReset | StreamLive | StreamHeartbeat | StreamEnd | StreamDenied,
    Field(discriminator="type"),
]
"""`GET api/events`; the SSE event's name is `type`."""

RunsMessage = Annotated[
    RunsSnapshot | RunChanged | RunGone | StreamHeartbeat | StreamDenied, Field(discriminator="type")
]
"""`GET api/runs/events`."""


class Api(Model):
    """Everything above in one model, so that one JSON schema holds all types."""

    problem: Problem
    """Every answer with a status of 400 or more."""
    session: Session
    """`GET`, `POST` and `DELETE api/session`."""
    runs: RunList
    """`GET api/runs`."""
    run: RunDetail
    """`GET api/runs/{namespace}/{name}`."""
    gate: GateRequest
    """The body of a decision."""
    control: ControlRequest
    """The body of a control."""
    metrics: MetricList
    """`GET api/metrics`."""
    series: SeriesList
    """`GET api/series`."""
    statistics: StatisticsList
    """`GET api/statistics`."""
    artifacts: ArtifactList
    """`GET api/artifacts`."""
    stream: StreamMessage
    """`GET api/events`."""
    runs_stream: RunsMessage
    """`GET api/runs/events`."""
