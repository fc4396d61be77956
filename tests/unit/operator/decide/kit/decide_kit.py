"""Builders of runs, Jobs and pods for the tests of the decision core."""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from diffrun_contracts import names
from diffrun_contracts.params import BLOCK_TYPES
from diffrun_contracts.reasons import BlockReason, ConditionType, EventReason
from diffrun_contracts.spec import DiffusionRunSpec
from diffrun_contracts.status import BlockState, BlockStatus, Condition, DiffusionRunStatus, GateDecision
from diffrun_contracts.task import BlockResult, ErrorInfo
from diffrun_operator.decide import decide
from diffrun_operator.model import (
    AnnotatePod,
    CreateJob,
    Decision,
    DeleteJob,
    EmitEvent,
    JobPhase,
    Observed,
    ObservedJob,
    ObservedPod,
    PodPhase,
    Policy,
    Run,
)

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
UID = "0a1b2c3d-0000-4000-8000-000000000001"
NAME = "cat"
CUSTOM = {"custom": {"type": "noop"}}


def block(name: str, **fields: Any) -> dict[str, Any]:
    """A block of a type that needs nothing; `fields` in the wire's camelCase."""
    chosen = {} if BLOCK_TYPES.keys() & fields.keys() else CUSTOM
    return {"name": name, **chosen, **fields}


def spec(*blocks: dict[str, Any], **fields: Any) -> DiffusionRunSpec:
    return DiffusionRunSpec.model_validate({"blocks": list(blocks), **fields})


def run_of(asked: DiffusionRunSpec | None, **fields: Any) -> Run:
    values: dict[str, Any] = {
        "namespace": "default", "name": NAME, "uid": UID, "generation": 1, "resource_version": "1",
        "spec": asked, "spec_error": None, "status": DiffusionRunStatus(),
    }  # fmt: skip
    return Run(**{**values, **fields})


def job_name(name: str, attempt: int = 1) -> str:
    return names.job_name(NAME, name, UID, attempt)


def job(name: str, phase: JobPhase = JobPhase.ACTIVE, attempt: int = 1, **fields: Any) -> ObservedJob:
    values = {"uid": f"job-{name}-{attempt}", "owned": True, **fields}
    return ObservedJob(name=job_name(name, attempt), block=name, attempt=attempt, phase=phase, **values)


def pod(name: str, phase: PodPhase = PodPhase.RUNNING, *, shard: int = 0, n: int = 0, **fields: Any) -> ObservedPod:
    """The n-th pod of the shard; a running or ended one has started at T0 unless told otherwise."""
    attempt = fields.pop("attempt", 1)
    pod_name = f"{job_name(name, attempt)}-{shard}-{n}"
    if phase is not PodPhase.PENDING:
        fields.setdefault("started_at", T0)
    return ObservedPod(
        name=pod_name, uid=f"uid-{pod_name}", job=job_name(name, attempt), shard=shard, phase=phase, **fields
    )


def result(
    outputs: Mapping[str, Any] | None = None, digest: str | None = None, error: str | None = None
) -> BlockResult:
    info = ErrorInfo(code="Broken", message=error, retryable=False) if error else None
    return BlockResult(outputs=dict(outputs or {}), artifacts_digest=digest, error=info)


class Story:
    """A run that is decided on again and again: each result becomes the next decision's status."""

    def __init__(self, asked: DiffusionRunSpec | None, policy: Policy | None = None, **fields: Any) -> None:
        self.run = run_of(asked, **fields)
        self.policy = policy or Policy()
        self.now = T0
        self.last = Decision(self.run.status)

    def see(self, *things: ObservedJob | ObservedPod, after: float = 0.0, **facts: Any) -> Decision:
        """Decide `after` seconds on, with these Jobs and pods in view."""
        self.now += timedelta(seconds=after)
        observed = Observed(
            jobs=tuple(thing for thing in things if isinstance(thing, ObservedJob)),
            pods=tuple(thing for thing in things if isinstance(thing, ObservedPod)),
            **facts,
        )
        self.last = decide(self.run, observed, self.now, self.policy)
        self.run = dataclasses.replace(self.run, status=self.last.status)
        again = decide(self.run, observed, self.now, self.policy)
        assert again.status == self.last.status, "deciding again on the result changes it"
        assert not [action for action in again.actions if isinstance(action, EmitEvent)], "an Event is posted twice"
        return self.last

    def edit(self, **changes: Any) -> "Story":
        """Change fields of the spec, as a user would."""
        assert self.run.spec is not None
        self.run = dataclasses.replace(
            self.run, spec=self.run.spec.model_copy(update=changes), generation=self.run.generation + 1
        )
        return self

    def decide_gate(self, name: str, decision: GateDecision, by: str = "alice", note: str | None = None) -> "Story":
        """Patch a gate's decision fields, as an approver would."""
        gate = self.run.status.gates[name]
        update = {"decision": decision, "decided_by": by, "note": note}
        gates = {**self.run.status.gates, name: gate.model_copy(update=update)}
        self.run = dataclasses.replace(self.run, status=self.run.status.model_copy(update={"gates": gates}))
        return self

    def entry(self, name: str) -> BlockStatus:
        return next(entry for entry in self.run.status.blocks if entry.name == name)

    def condition(self, kind: ConditionType) -> Condition:
        return next(condition for condition in self.run.status.conditions if condition.type is kind)

    @property
    def created(self) -> list[str]:
        return [action.block.name for action in self.last.actions if isinstance(action, CreateJob)]

    @property
    def deleted(self) -> list[str]:
        return [action.name for action in self.last.actions if isinstance(action, DeleteJob)]

    @property
    def annotated(self) -> list[tuple[str, bool]]:
        return [(action.name, action.pause) for action in self.last.actions if isinstance(action, AnnotatePod)]

    @property
    def events(self) -> list[EventReason]:
        return [action.reason for action in self.last.actions if isinstance(action, EmitEvent)]

    def told(self, reason: EventReason) -> str:
        """The message of the one Event with that reason."""
        messages = [a.message for a in self.last.actions if isinstance(a, EmitEvent) and a.reason is reason]
        assert len(messages) == 1
        return messages[0]

    def complete(self, *blocks: str) -> Decision:
        """Let the blocks' first attempts succeed one after the other."""
        for name in blocks:
            self.see(job(name, JobPhase.COMPLETE, finished_at=self.now))
        return self.last


def started(**fields: Any) -> Story:
    """A run of one block, `a`, that has just been started."""
    story = Story(spec(block("a", **fields)))
    story.see()
    return story


def outcome(story: Story) -> tuple[BlockState, BlockReason]:
    """Where block `a` stands, and why."""
    return story.entry("a").state, story.entry("a").reason
