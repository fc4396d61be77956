"""What the gateway says of runs: the list, one run, who looks at it, and what is asked of its gates."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from diffrun_contracts.base import Model
from diffrun_contracts.spec import DiffusionRunSpec, Inspector
from diffrun_contracts.status import DiffusionRunStatus, GateDecision


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
    grant: str | None = None
    """The kubectl line by which an administrator gives the right that is missing."""


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
    """What is missing and why, for example a namespace that cannot be watched."""
    denied: Problem | None = None
    """Why nothing is listed, where a right is missing."""


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
    """Which right is missing, where one is."""
    approve_grant: str | None = None
    """The kubectl line by which an administrator gives the right to decide."""
    edit_grant: str | None = None
    """The kubectl line by which an administrator gives the right to pause, resume and cancel."""


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
