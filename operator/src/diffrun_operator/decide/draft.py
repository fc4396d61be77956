"""The working copy that the policies change one after the other, and the indexed view that they read.

It is not a policy: nothing is decided here.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from diffrun_contracts import names
from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import Block, DiffusionRunSpec
from diffrun_contracts.status import BlockState, BlockStatus, GateStatus, JobRef
from diffrun_operator.decide.text import clip
from diffrun_operator.model import CreateJob, Observed, ObservedJob, ObservedPod, PodPhase, Policy, Run

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class Draft:
    """One decision in the making."""

    run: Run
    spec: DiffusionRunSpec
    observed: Observed
    now: datetime
    policy: Policy
    blocks: dict[str, BlockStatus]
    """The ledger, by block, in its own order."""
    gates: dict[str, GateStatus]
    """The gates that have opened, by block."""
    jobs: dict[str, ObservedJob]
    """The observed Jobs by name."""
    pods: dict[str, list[ObservedPod]]
    """The observed pods by their Job's name, oldest first."""
    creates: list[CreateJob] = field(default_factory=list)
    wakes: list[float] = field(default_factory=list)
    """Seconds until time alone may change something."""

    @classmethod
    def of(
        cls,
        run: Run,
        spec: DiffusionRunSpec,
        observed: Observed,
        now: datetime,
        policy: Policy,
        blocks: Iterable[BlockStatus],
    ) -> "Draft":
        """A draft that starts from the ledger `blocks`; the order of what was observed plays no part."""
        pods: dict[str, list[ObservedPod]] = {}
        for pod in sorted(observed.pods, key=age):
            pods.setdefault(pod.job, []).append(pod)
        return cls(
            run=run,
            spec=spec,
            observed=observed,
            now=now,
            policy=policy,
            blocks={entry.name: entry for entry in blocks},
            gates=dict(run.status.gates),
            jobs={job.name: job for job in sorted(observed.jobs, key=lambda job: (job.owned, job.uid))},
            pods=pods,
        )

    def ref(self, block: str) -> JobRef:
        """The Job of the block's current attempt."""
        entry = self.blocks[block]
        return entry.job_ref or JobRef(name=names.job_name(self.run.name, block, self.run.uid, entry.attempt))

    def job_of(self, block: str) -> ObservedJob | None:
        """The current attempt's own Job, where it is in view; never a foreign one or a namesake."""
        ref = self.ref(block)
        job = self.jobs.get(ref.name)
        return job if job is not None and job.owned and job.uid == ref.uid else None

    def pods_of(self, block: str) -> list[ObservedPod]:
        """The pods of the current attempt's Job that are in view, oldest first."""
        return self.pods.get(self.ref(block).name, [])

    def update(self, block: str, **changes: Any) -> BlockStatus:
        """Change fields of the block's entry; a message is clipped to what the API takes."""
        if changes.get("message") is not None:
            changes["message"] = clip(changes["message"])
        entry = self.blocks[block].model_copy(update=changes)
        self.blocks[block] = entry
        return entry

    def end(
        self,
        block: str,
        state: BlockState,
        reason: BlockReason,
        message: str | None = None,
        *,
        at: datetime | None = None,
        **changes: Any,
    ) -> None:
        """Give the block its outcome. Held time that still runs is counted up to now."""
        entry = self.blocks[block]
        held = entry.paused_seconds
        if entry.paused_since is not None:
            held += round(max(0.0, (self.now - entry.paused_since).total_seconds()))
        self.update(
            block,
            state=state,
            reason=reason,
            message=message,
            completion_time=at or self.now,
            paused_since=None,
            paused_seconds=held,
            **changes,
        )

    def wake(self, seconds: float) -> None:
        """Ask to be called again after so many seconds, at the latest."""
        self.wakes.append(seconds)


def age(pod: ObservedPod) -> tuple[datetime, datetime, str, str]:
    """Sorts pods from old to new: by when they ended, then by when they started, then by name.

    A pod that has not ended or started counts as newer than one that has.
    """
    latest = datetime.max.replace(tzinfo=UTC)
    if pod.phase in (PodPhase.SUCCEEDED, PodPhase.FAILED):
        return pod.finished_at or pod.started_at or _NEVER, pod.started_at or _NEVER, pod.name, pod.uid
    return latest, pod.started_at or latest, pod.name, pod.uid


def retries(spec: DiffusionRunSpec, block: Block, policy: Policy) -> int:
    """How often a failed pod is replaced, and a lost Job made anew."""
    if block.retries is not None:
        return block.retries
    if spec.defaults is not None and spec.defaults.retries is not None:
        return spec.defaults.retries
    return policy.retries


def active_deadline(spec: DiffusionRunSpec, block: Block) -> int | None:
    """Seconds that the block may run, or None for no limit."""
    if block.active_deadline_seconds is not None:
        return block.active_deadline_seconds
    return spec.defaults.active_deadline_seconds if spec.defaults is not None else None
