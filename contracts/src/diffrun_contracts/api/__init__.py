"""The gateway's HTTP API: what its endpoints answer, and what its streams say.

The TypeScript types of the pages are generated from these models. Times are ISO 8601 in UTC, except in the
columns of a series, where they are milliseconds since the epoch.
"""

from diffrun_contracts.api.artifacts import (
    ArtifactEntry,
    ArtifactList,
    Facet,
)
from diffrun_contracts.api.runs import (
    ControlAction,
    ControlRequest,
    Edge,
    GateRequest,
    Permissions,
    Problem,
    RunDetail,
    RunEntry,
    RunList,
    RunPhase,
    Session,
    Sparkline,
)
from diffrun_contracts.api.series import (
    Cursor,
    Labels,
    MetricEntry,
    MetricList,
    NonFinite,
    Point,
    Series,
    SeriesList,
    Statistics,
    StatisticsList,
)
from diffrun_contracts.api.streams import (
    RunChanged,
    RunGone,
    RunsMessage,
    RunsSnapshot,
    StreamCursor,
    StreamDenied,
    StreamEnd,
    StreamEvent,
    StreamHeartbeat,
    StreamLive,
    StreamMessage,
    StreamReset,
    StreamStatus,
)
from diffrun_contracts.base import Model

__all__ = [
    "Api",
    "ArtifactEntry",
    "ArtifactList",
    "ControlAction",
    "ControlRequest",
    "Cursor",
    "Edge",
    "Facet",
    "GateRequest",
    "Labels",
    "MetricEntry",
    "MetricList",
    "NonFinite",
    "Permissions",
    "Point",
    "Problem",
    "RunChanged",
    "RunDetail",
    "RunEntry",
    "RunGone",
    "RunList",
    "RunPhase",
    "RunsMessage",
    "RunsSnapshot",
    "Series",
    "SeriesList",
    "Session",
    "Sparkline",
    "Statistics",
    "StatisticsList",
    "StreamCursor",
    "StreamDenied",
    "StreamEnd",
    "StreamEvent",
    "StreamHeartbeat",
    "StreamLive",
    "StreamMessage",
    "StreamReset",
    "StreamStatus",
]


class Api(Model):
    """All of the API in one model, so that one JSON schema holds all types."""

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
