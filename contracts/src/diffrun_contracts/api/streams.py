"""The messages of the gateway's streams."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from diffrun_contracts.api.artifacts import ArtifactEntry
from diffrun_contracts.api.runs import Problem, RunDetail, RunEntry, RunList
from diffrun_contracts.api.series import Cursor
from diffrun_contracts.base import Model
from diffrun_contracts.events import Event


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
    """Message `runs` of `GET api/runs/events`: the whole list; first, and where its problems have changed."""

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
