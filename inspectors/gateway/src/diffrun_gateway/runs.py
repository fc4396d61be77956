"""What a run is to the pages: pure functions from the object (or, without one, from its events)."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.api import Edge, Permissions, RunDetail, RunEntry, RunPhase, Sparkline
from diffrun_contracts.reasons import BlockReason, ConditionType, RunReason
from diffrun_contracts.spec import ArtifactFilter, DiffusionRunSpec, Inspector, InspectorType
from diffrun_contracts.status import BlockState, BlockStatus, Condition, DiffusionRunStatus, GateState
from diffrun_contracts.task import RunRef
from diffrun_gateway.store import BlockFacts, RunStore, at

DEFAULT_INSPECTORS = (
    Inspector(
        title="Denoising Trajectory",
        type=InspectorType.METRIC_LINE_CHART,
        metrics=["denoise/noise_level", "denoise/predicted_noise_mse", "denoise/snr"],
    ),
    Inspector(title="Quality Dashboard", type=InspectorType.SCALAR_SUMMARY),
    Inspector(
        title="Generated Samples",
        type=InspectorType.SLIDESHOW,
        filter=ArtifactFilter(schema_type="generated_sample"),
    ),
)
"""What a run's page shows where its spec says nothing."""

MAX_ETA = timedelta(days=3650)
"""An end further away than this is none: the figures of a progress have no upper bound, dates do."""

_REJECTED = frozenset({RunReason.GATE_REJECTED, RunReason.GATE_EXPIRED})


@dataclass(frozen=True)
class Run:
    """A run as it was seen last."""

    ref: RunRef
    created: datetime | None
    spec: DiffusionRunSpec | None
    status: DiffusionRunStatus
    archived: bool = False
    """Whether the object is gone from the cluster."""
    problem: str | None = None
    """What of the object could not be understood."""
    raw: dict[str, Any] | None = None
    """The object as Kubernetes has it, without managed fields; None once it is gone: there may be thousands."""

    @property
    def over(self) -> bool:
        """Whether it will never change again."""
        finished = self.condition(ConditionType.FINISHED)
        return self.archived or (finished is not None and finished.status == "True")

    @property
    def version(self) -> int | None:
        """The object's resourceVersion, where it is a number and can be compared."""
        text = str(((self.raw or {}).get("metadata") or {}).get("resourceVersion", ""))
        return int(text) if text.isascii() and text.isdecimal() else None

    def condition(self, kind: ConditionType) -> Condition | None:
        """One of the conditions."""
        return next((c for c in self.status.conditions if c.type == kind), None)

    def is_true(self, kind: ConditionType) -> bool:
        """Whether a condition holds."""
        condition = self.condition(kind)
        return condition is not None and condition.status == "True"


def from_object(raw: dict[str, Any]) -> Run:
    """The run of a Kubernetes object. Raises ValueError where it has no name and UID; other faults become `problem`."""
    metadata = raw.get("metadata") or {}
    try:
        ref = RunRef(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])
    except (KeyError, ValidationError) as error:
        raise ValueError(f"a {names.KIND} without namespace, name or uid") from error
    kept = {**raw, "metadata": {k: v for k, v in metadata.items() if k != "managedFields"}}
    spec, status, problems = None, DiffusionRunStatus(), []
    try:
        spec = DiffusionRunSpec.model_validate(raw.get("spec") or {})
    except ValidationError as error:
        problems.append(_explain("spec", error))
    try:
        status = DiffusionRunStatus.model_validate(raw.get("status") or {})
    except ValidationError as error:
        problems.append(_explain("status", error))
    created = metadata.get("creationTimestamp")
    return Run(
        ref,
        datetime.fromisoformat(created) if created else None,
        spec,
        status,
        problem="; ".join(problems) or None,
        raw=kept,
    )


def archived(run: Run) -> Run:
    """The same once its object is gone from the cluster."""
    return replace(run, archived=True, raw=None)


def from_events(store: RunStore) -> Run | None:
    """A run that only its events tell of: no gates, no graph, and no more blocks than have begun."""
    if store.ref is None:
        return None
    blocks = [_block(facts) for facts in store.blocks.values()]
    states = [block.state for block in blocks]
    over = bool(blocks) and all(state.terminal for state in states)
    failed = BlockState.FAILED in states
    started = min((b.start_time for b in blocks if b.start_time), default=None)
    ended = max((b.completion_time for b in blocks if b.completion_time), default=None) if over else None
    now = ended or started or datetime.now(UTC)
    reason = RunReason.BLOCK_FAILED if failed else RunReason.ALL_BLOCKS_SUCCEEDED if over else RunReason.RUNNING
    succeeded = ("False" if failed else "True") if over else "Unknown"
    conditions = [
        Condition(type=kind, status=status, reason=reason, last_transition_time=now, observed_generation=0)
        for kind, status in ((ConditionType.FINISHED, str(over)), (ConditionType.SUCCEEDED, succeeded))
    ]
    status = DiffusionRunStatus(
        start_time=started,
        completion_time=ended,
        current_block=next((b.name for b in blocks if b.state is BlockState.RUNNING), None),
        blocks=blocks,
        conditions=conditions,
    )
    return Run(store.ref, started, None, status)


def _block(facts: BlockFacts) -> BlockStatus:
    ended = bool(facts.finished) and facts.shards <= facts.finished.keys()
    errors = [body.error for body in facts.finished.values() if body.error is not None]
    if not ended:
        state, reason = BlockState.RUNNING, BlockReason.RUNNING
    elif errors:
        state, reason = BlockState.FAILED, BlockReason.USER_ERROR
    else:
        state, reason = BlockState.SUCCEEDED, BlockReason.COMPLETED
    return BlockStatus(
        name=facts.name[: names.MAX_BLOCK_NAME], state=state, reason=reason, attempt=min(facts.attempt, 100),
        message=errors[0].message[:1024] if ended and errors else None,
        start_time=at(facts.started_ms) if facts.started_ms else None,
        completion_time=at(facts.finished_ms) if ended and facts.finished_ms else None,
    )  # fmt: skip


def phase(run: Run) -> RunPhase:
    """The state in one word. What a person has to do something about comes first."""
    succeeded = run.condition(ConditionType.SUCCEEDED)
    reason = succeeded.reason if succeeded else None
    if run.problem and not run.status.conditions:
        return RunPhase.UNKNOWN
    valid = run.condition(ConditionType.SPEC_VALID)
    if valid is not None and valid.status == "False":
        return RunPhase.INVALID
    if run.is_true(ConditionType.FINISHED):
        if succeeded is not None and succeeded.status == "True":
            return RunPhase.SUCCEEDED
        if reason in _REJECTED:
            return RunPhase.REJECTED
        return RunPhase.CANCELLED if reason == RunReason.CANCELLED else RunPhase.FAILED
    if waiting_gates(run):
        return RunPhase.WAITING
    if run.is_true(ConditionType.PAUSED):
        return RunPhase.PAUSED
    if reason == RunReason.QUEUED:
        return RunPhase.QUEUED
    running = any(block.state is BlockState.RUNNING for block in run.status.blocks)
    return RunPhase.RUNNING if running or reason == RunReason.RUNNING else RunPhase.PENDING


def waiting_gates(run: Run) -> tuple[str, ...]:
    """Blocks whose gates wait and have no decision yet."""
    if run.over:
        return ()
    gates = run.status.gates.items()
    return tuple(name for name, gate in gates if gate.state is GateState.WAITING and gate.decision is None)


def entry(run: Run, now: datetime, *, sparkline: Sparkline | None = None, thumbnail: str | None = None) -> RunEntry:
    """The run's line in the list."""
    blocks = run.status.blocks
    current = next((b for b in blocks if b.name == run.status.current_block), None)
    progress = current.progress if current else None
    succeeded = run.condition(ConditionType.SUCCEEDED)
    return RunEntry(
        namespace=run.ref.namespace, name=run.ref.name, uid=run.ref.uid, phase=phase(run),
        reason=succeeded.reason if succeeded else None, message=run.problem or _message(run, succeeded),
        over=run.over, archived=run.archived, created=run.created, started=run.status.start_time,
        completed=run.status.completion_time, block=run.status.current_block,
        blocks_done=sum(b.state is BlockState.SUCCEEDED for b in blocks),
        blocks_total=len(run.spec.blocks) if run.spec else len(blocks),
        done=progress.done if progress else None, total=progress.total if progress else None,
        eta=None if run.over else _eta(current, now), waiting_gates=waiting_gates(run),
        sparkline=sparkline, thumbnail=thumbnail,
    )  # fmt: skip


def detail(run: Run, line: RunEntry, permissions: Permissions) -> RunDetail:
    """The run's page."""
    chosen = run.spec.inspectors if run.spec and run.spec.inspectors is not None else None
    return RunDetail(
        entry=line, spec=run.spec, status=run.status, permissions=permissions, edges=tuple(_edges(run)),
        inspectors=tuple(chosen) if chosen is not None else DEFAULT_INSPECTORS,
    )  # fmt: skip


def in_order(entries: Iterable[RunEntry]) -> list[RunEntry]:
    """Gates that wait first, then the newest first."""
    epoch = datetime.fromtimestamp(0, UTC)
    by_age = sorted(entries, key=lambda e: (e.created or epoch, e.namespace, e.name), reverse=True)
    return sorted(by_age, key=lambda e: not e.waiting_gates)


def _edges(run: Run) -> Iterable[Edge]:
    """A block depends on the one before it, unless it says on which."""
    blocks = run.spec.blocks if run.spec else []
    for index, block in enumerate(blocks):
        before = [blocks[index - 1].name] if index else []
        for source in before if block.depends_on is None else block.depends_on:
            yield Edge(source=source, target=block.name)


def _eta(block: BlockStatus | None, now: datetime) -> datetime | None:
    """At the mean speed of the block so far, held time left out."""
    if block is None or block.state is not BlockState.RUNNING or block.start_time is None or block.paused_since:
        return None
    progress = block.progress
    if progress is None or progress.done <= 0 or progress.total <= progress.done:
        return None
    elapsed = (now - block.start_time).total_seconds() - block.paused_seconds
    left = max(0.0, elapsed) / progress.done * (progress.total - progress.done)
    return now + timedelta(seconds=left) if left <= MAX_ETA.total_seconds() else None


def _message(run: Run, succeeded: Condition | None) -> str | None:
    valid = run.condition(ConditionType.SPEC_VALID)
    if valid is not None and valid.status == "False":
        return valid.message or None
    return (succeeded.message or None) if succeeded else None


def _explain(part: str, error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    path = ".".join(str(step) for step in (part, *problem["loc"]))
    return f"{path}: {problem['msg']} (the object may be newer than this gateway)"
