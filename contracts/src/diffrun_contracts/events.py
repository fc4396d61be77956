"""What workers publish: one envelope, one model for each type of body.

A stream entry has the single field `event` with the envelope's JSON. (pod, seq) names an event
for ever, so that whoever reads it twice counts it once.
"""

import math
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter

from diffrun_contracts.base import Model
from diffrun_contracts.status import Scalar
from diffrun_contracts.task import ErrorInfo, RunRef

SCHEMA_VERSION = 1
EVENT_FIELD = "event"
METRIC_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$"

_NON_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _parse_value(value: Any) -> Any:
    if isinstance(value, str):
        if value not in _NON_FINITE:
            raise ValueError(f"a metric's value is a number or one of {', '.join(_NON_FINITE)}; got {value!r}")
        return _NON_FINITE[value]
    return value


def number_or_word(value: float) -> float | str:
    """The wire form of a float: JSON has no number for NaN and the infinities, so they travel as words."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value


MetricValue = Annotated[
    float,
    BeforeValidator(_parse_value, json_schema_input_type=float | Literal["NaN", "Infinity", "-Infinity"]),
    PlainSerializer(number_or_word, return_type=float | str, when_used="json"),
]
"""A float; the three values that JSON has no number for travel as strings."""


class BlockStarted(Model):
    """A pod has begun its block."""

    type: Literal["block_started"] = "block_started"
    block_type: str
    """The block type."""
    device: str
    """`cpu` or `cuda:N`."""
    versions: dict[str, str] = Field(default_factory=dict)
    """Versions of what computes: python, torch, diffusers, diffrun."""


class MetricPoint(Model):
    """One value of one series."""

    name: str = Field(pattern=METRIC_NAME_PATTERN)
    """For example `denoise/snr`."""
    value: MetricValue
    """The value."""
    step: int = Field(ge=0)
    """The x axis."""
    labels: dict[str, str | int] = Field(default_factory=dict)
    """What tells series of one metric apart; `step` is repeated here where a document asks for it as a label."""


class Metric(Model):
    """Points that a pod measured, batched."""

    type: Literal["metric"] = "metric"
    points: tuple[MetricPoint, ...] = Field(min_length=1)
    """In the order in which they were measured."""


class Artifact(Model):
    """A file that a block wrote. Its bytes never change once it is announced."""

    id: str
    """Opaque, unique over all runs."""
    path: str
    """Relative to the workspace."""
    schema_type: str
    """What it is, for example `generated_sample`."""
    content_type: str
    """For example `image/png`."""
    tags: dict[str, str] = Field(default_factory=dict)
    """For example `{"phase": "preview", "sample_index": "0"}`."""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    """Of the file's bytes."""
    size: int = Field(ge=0)
    """Bytes."""
    width: int | None = None
    """Pixels, of an image."""
    height: int | None = None
    """Pixels, of an image."""


class ArtifactWritten(Model):
    """An artifact is durable and may be read."""

    type: Literal["artifact_written"] = "artifact_written"
    artifact: Artifact
    """The artifact."""


class ProgressMade(Model):
    """How far a pod has come."""

    type: Literal["progress"] = "progress"
    done: int = Field(ge=0)
    """Units of work done by this shard."""
    total: int = Field(ge=0)
    """Units of work of this shard."""


class Paused(Model):
    """The pod holds between two steps."""

    type: Literal["paused"] = "paused"


class Resumed(Model):
    """The pod goes on."""

    type: Literal["resumed"] = "resumed"
    held_seconds: float = Field(ge=0)
    """How long it held."""


class BlockFinished(Model):
    """The pod is done, one way or the other."""

    type: Literal["block_finished"] = "block_finished"
    succeeded: bool
    """Whether the block's work is complete."""
    outputs: dict[str, Scalar] = Field(default_factory=dict)
    """The block's outputs."""
    error: ErrorInfo | None = None
    """Why it failed."""
    dropped_metrics: int = Field(default=0, ge=0)
    """Metric points that Redis did not get."""


Body = Annotated[
    BlockStarted | Metric | ArtifactWritten | ProgressMade | Paused | Resumed | BlockFinished,
    Field(discriminator="type"),
]


class Event(Model):
    """The envelope."""

    schema_version: int = SCHEMA_VERSION
    """A reader ignores versions that it does not know."""
    run: RunRef
    """The run."""
    block: str
    """The block's name."""
    attempt: int = Field(ge=1)
    """The block's attempt; a newer one supersedes the points of older ones."""
    shard: int = Field(ge=0)
    """Which of the block's pods."""
    retry: int = Field(ge=0)
    """How often this shard had failed before, ignored failures included."""
    pod: str
    """The pod's UID."""
    seq: int = Field(ge=0)
    """Counts the pod's events from 0."""
    time: datetime
    """When it happened, UTC."""
    body: Body
    """What happened."""


EVENT_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


class Manifest(Model):
    """`manifest.json`: the artifacts of one pod, the durable truth beside `events.jsonl`."""

    schema_version: int = SCHEMA_VERSION
    """A reader ignores versions that it does not know."""
    run: RunRef
    """The run."""
    block: str
    """The block's name."""
    attempt: int
    """The block's attempt."""
    shard: int
    """Which of the block's pods."""
    retry: int
    """How often this shard had failed before."""
    artifacts: tuple[Artifact, ...] = ()
    """In the order in which they were written."""
