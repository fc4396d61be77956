"""`DiffusionRun.status`: the operator's ledger, and the decision fields of its gates."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from diffrun_contracts import names
from diffrun_contracts.base import Model
from diffrun_contracts.reasons import BlockReason, ConditionType

Message = Annotated[str, Field(max_length=1024)]
Scalar = str | int | float | bool


class BlockState(StrEnum):
    """A block's state. Pending with an attempt has a Job whose pods do not run yet."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SKIPPED = "Skipped"
    CANCELLED = "Cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the block will never change again."""
        return self not in (BlockState.PENDING, BlockState.RUNNING)


class GateState(StrEnum):
    """A gate's state; only the operator writes it."""

    WAITING = "Waiting"
    APPROVED = "Approved"
    REJECTED = "Rejected"
    EXPIRED = "Expired"


class GateDecision(StrEnum):
    """What an approver may decide."""

    APPROVED = "Approved"
    REJECTED = "Rejected"


class JobRef(Model):
    """The Job of a block's current attempt."""

    name: str = Field(max_length=63)
    """The Job's name."""
    uid: Annotated[str, Field(max_length=36)] | None = None
    """The Job's UID, once it has been seen."""


class Progress(Model):
    """How far a block has come, over all its shards."""

    done: int = Field(ge=0)
    """Units of work that are done."""
    total: int = Field(ge=0)
    """Units of work that there are."""


class PodFailure(Model):
    """Why a pod failed."""

    reason: BlockReason
    """Why, in one word."""
    message: Message
    """Why, in a sentence."""


class BlockStatus(Model):
    """One line of the ledger."""

    name: str = Field(max_length=names.MAX_BLOCK_NAME)
    """The block's name."""
    state: BlockState = BlockState.PENDING
    """Pending, Running, Succeeded, Failed, Skipped or Cancelled."""
    reason: BlockReason = BlockReason.WAITING_FOR_DEPENDENCIES
    """Why, in one word."""
    message: Message | None = None
    """Why, in a sentence."""
    attempt: int = Field(default=0, ge=0, le=2000)
    """How many Jobs have been started for the block."""
    disruptions: int = Field(default=0, ge=0, le=2000)
    """Attempts among them that an eviction, a drain or a preemption ended: they cost no retry."""
    job_ref: JobRef | None = None
    """The current attempt's Job."""
    failure: PodFailure | None = None
    """What ended the first of pods that work together: by the time that their Job has failed, they may be gone."""
    start_time: datetime | None = None
    """When the current attempt's first pod ran."""
    completion_time: datetime | None = None
    """When the block ended."""
    paused_since: datetime | None = None
    """Since when the running block has been held: all its running pods told to pause, or its Job suspended."""
    paused_seconds: int = Field(default=0, ge=0)
    """Held time before that, which no deadline counts."""
    progress: Progress | None = None
    """From the workers' progress events, at most twice a minute."""
    outputs: dict[str, Scalar] | None = Field(
        default=None, json_schema_extra={"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    )
    """Shard 0's outputs, for display; at most 1 KiB."""


class GateStatus(Model):
    """A gate: `decision`, `decidedBy` and `note` are a person's to patch, all else is the operator's."""

    state: GateState
    """Waiting, Approved, Rejected or Expired."""
    opened_at: datetime
    """When the block succeeded and the gate began to wait."""
    closed_at: datetime | None = None
    """When the operator took the decision, or the time ran out."""
    preview_digest: Annotated[str, Field(max_length=71)] | None = None
    """`sha256:` of the block's artifacts; a decision that restates it is bound to what was seen."""
    decision: GateDecision | None = None
    """Approved or Rejected: patched by an approver while the gate waits, then final."""
    decided_by: Annotated[str, Field(max_length=512)] | None = None
    """Who decided: must be the user that patches."""
    note: Annotated[str, Field(max_length=1024)] | None = None
    """What the approver wants to be remembered."""


class Condition(Model):
    """A Kubernetes condition."""

    type: ConditionType
    """SpecValid, GatePending, Paused, Finished or Succeeded."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)]
    """True, False or Unknown."""
    reason: str = Field(min_length=1, max_length=64)
    """Why, in one word."""
    message: str = Field(default="", max_length=2048)
    """Why, in a sentence."""
    last_transition_time: datetime
    """When `status` last changed."""
    observed_generation: int = Field(ge=0)
    """The spec's generation that this speaks of."""


class DiffusionRunStatus(Model):
    """What has happened: the ledger of blocks, the gates, the conditions."""

    observed_generation: int = Field(default=0, ge=0)
    """The spec's generation that this status speaks of."""
    start_time: datetime | None = None
    """When the first Job was about to be created; the spec is frozen from then on."""
    completion_time: datetime | None = None
    """When the run ended."""
    current_block: Annotated[str, Field(max_length=names.MAX_BLOCK_NAME)] | None = None
    """The block that runs, or whose gate waits."""
    done: Annotated[str, Field(max_length=7)] | None = None
    """Blocks that have succeeded, of how many."""
    progress: Annotated[str, Field(max_length=40)] | None = None
    """The current block's progress, for people."""
    blocks: list[BlockStatus] = Field(default_factory=list, max_length=64)
    """The ledger, in the order of the spec."""
    gates: dict[str, GateStatus] = Field(default_factory=dict, max_length=64)
    """The gates that have opened, by block."""
    conditions: list[Condition] = Field(default_factory=list, max_length=8)
    """SpecValid, GatePending, Paused, Finished, Succeeded."""


APPROVER_FIELDS = frozenset({"decision", "decidedBy", "note"})
"""The fields of a gate that an approver patches, and that the operator never writes."""


def operator_fields() -> tuple[str, ...]:
    """Every status field that only the operator may change, for the admission policy."""
    return tuple(field.alias or name for name, field in DiffusionRunStatus.model_fields.items() if name != "gates")


def operator_gate_fields() -> tuple[str, ...]:
    """Every field of a gate that only the operator may change, for the admission policy."""
    aliases = (field.alias or name for name, field in GateStatus.model_fields.items())
    return tuple(alias for alias in aliases if alias not in APPROVER_FIELDS)
