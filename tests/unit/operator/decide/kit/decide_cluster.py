"""A simulated cluster, in truth, and what must hold in it whatever happens.

It keeps a history of its own, which the operator never sees; every promise is checked against that history, not
against what the operator has recorded.
"""

import dataclasses
import itertools
from dataclasses import dataclass, field
from datetime import datetime

from decide_kit import T0, result, run_of

from diffrun_contracts.reasons import BlockReason, ConditionType
from diffrun_contracts.spec import Block, DiffusionRunSpec, OnTimeout
from diffrun_contracts.status import BlockState, DiffusionRunStatus, GateDecision, GateState
from diffrun_operator.decide import graph
from diffrun_operator.model import CreateJob, DeleteJob, JobPhase, ObservedJob, ObservedPod, PodPhase, Policy, Run

LIVE = (JobPhase.ACTIVE, JobPhase.SUSPENDED)
POLICY = Policy(retries=2, max_ignored_disruptions=1)


class BrokenPromiseError(AssertionError):
    """The decision core did what it must never do."""


def require(holds: bool, promise: str) -> None:
    if not holds:
        raise BrokenPromiseError(promise)


def finished(status: DiffusionRunStatus) -> bool:
    return any(c.type is ConditionType.FINISHED and c.status == "True" for c in status.conditions)


@dataclass
class Cluster:
    """The API server and the Job controller, in truth."""

    run: Run
    now: datetime = T0
    jobs: dict[str, ObservedJob] = field(default_factory=dict)
    pods: dict[str, ObservedPod] = field(default_factory=dict)
    guarded: bool = True
    completed: set[str] = field(default_factory=set)
    """Blocks of which some Job has truly completed."""
    evicted: list[str] = field(default_factory=list)
    """A block's name for each of its Jobs that a disruption has truly ended."""
    approved: set[str] = field(default_factory=set)
    rejected: set[str] = field(default_factory=set)
    uids: itertools.count = field(default_factory=itertools.count)

    @classmethod
    def of(cls, spec: DiffusionRunSpec) -> "Cluster":
        return cls(run_of(spec))

    def block(self, name: str) -> Block:
        assert self.run.spec is not None
        return next(block for block in self.run.spec.blocks if block.name == name)

    def retries(self, name: str) -> int:
        own = self.block(name).retries
        return POLICY.retries if own is None else own

    def touch(self, **changes: object) -> None:
        version = str(int(self.run.resource_version) + 1)
        self.run = dataclasses.replace(self.run, resource_version=version, **changes)

    # What the operator does.

    def write_status(self, seen: Run, status: DiffusionRunStatus) -> bool:
        """The guarded patch; False for a conflict."""
        if seen.resource_version != self.run.resource_version:
            return False
        self._check_ledger(self.run.status, status)
        if status != self.run.status:
            self.touch(status=status)
        return True

    def _check_ledger(self, old: DiffusionRunStatus, new: DiffusionRunStatus) -> None:
        if finished(old):
            require(new == old, "a finished run never changes")
        require(old.start_time is None or new.start_time == old.start_time, "a run starts once")
        entries = {entry.name: entry for entry in new.blocks}
        for before in old.blocks if old.start_time is not None else []:
            after = entries.get(before.name)
            require(after is not None, "no entry of a started run's ledger vanishes")
            assert after is not None
            require(after.attempt >= before.attempt, "attempts only grow")
            if before.state.terminal:
                require(after == before, "an outcome is final")
        for entry in new.blocks:
            if entry.state is BlockState.SUCCEEDED:
                require(entry.name in self.completed, "a block succeeds only where its Job has completed")
            if entry.reason is BlockReason.WORKER_FAILED and self.block(entry.name).workers > 1:
                spent = entry.attempt - self.evicted.count(entry.name)
                require(
                    spent > self.retries(entry.name), "pods that work together fail only with their retries used up"
                )
        for name, gate in old.gates.items():
            after_gate = new.gates.get(name)
            require(after_gate is not None, "no gate vanishes")
            assert after_gate is not None
            mine = (after_gate.decision, after_gate.decided_by, after_gate.note)
            require(mine == (gate.decision, gate.decided_by, gate.note), "an approver's fields are never written")
            require(gate.state is GateState.WAITING or after_gate == gate, "a closed gate stays as it is")

    def create(self, action: CreateJob) -> str:
        """`created`, `adopted`, `foreign` or `terminating`, as a POST and its 409 would tell."""
        there = self.jobs.get(action.name)
        if there is not None:
            if not there.owned:
                return "foreign"
            return "terminating" if there.phase is JobPhase.TERMINATING else "adopted"
        self._check_create(action)
        uid = f"job-uid-{next(self.uids)}"
        made = ObservedJob(action.name, uid, True, action.block.name, action.attempt, JobPhase.ACTIVE)
        self.jobs[action.name] = made
        return "created"

    def _check_create(self, action: CreateJob) -> None:
        assert self.run.spec is not None
        name, status = action.block.name, self.run.status
        entry = next((entry for entry in status.blocks if entry.name == name), None)
        require(entry is not None and entry.attempt == action.attempt, "an attempt is recorded before its Job is made")
        assert entry is not None
        require(not entry.state.terminal and not finished(status), "a block with an outcome never runs again")
        require(entry.job_ref is not None and entry.job_ref.uid is None, "a Job that was seen is never made again")
        live = [job.name for job in self.jobs.values() if job.owned and job.block == name and job.phase in LIVE]
        require(not live, f"one live Job a block; {live} lives, {action.name} is made")
        evictions = self.evicted.count(name)
        require(action.attempt <= self.retries(name) + 1 + evictions, "attempts are bounded")
        require(evictions <= POLICY.max_ignored_disruptions, "disruptions are forgiven so often and no more")
        waits = graph.dependencies(self.run.spec)[name]
        require(tuple(block for block, _ in action.dependencies) == waits, "inputs come from the dependencies")
        for dependency in waits:
            require(dependency in self.completed, "a block starts after its dependencies")
            gate = self.block(dependency).gate
            if gate is not None and gate.on_timeout is not OnTimeout.APPROVE:
                require(dependency in self.approved, "a block starts after its dependencies' gates are approved")
            require(dependency not in self.rejected, "nothing starts behind a rejected gate")

    def delete(self, action: DeleteJob, *, slowly: bool) -> None:
        there = self.jobs.get(action.name)
        if there is None or there.uid != action.uid:
            return
        require(there.owned, "a foreign Job is never touched")
        entry = next(entry for entry in self.run.status.blocks if entry.name == there.block)
        recorded = entry.state.terminal or entry.attempt > there.attempt
        require(recorded, "a Job is deleted only after its outcome is recorded")
        self.remove_job(action.name, slowly=slowly)

    # What happens by itself.

    def remove_job(self, name: str, *, slowly: bool) -> None:
        there = self.jobs[name]
        if slowly and there.phase is not JobPhase.TERMINATING:
            self.jobs[name] = dataclasses.replace(there, phase=JobPhase.TERMINATING)
            return
        del self.jobs[name]
        self.pods = {key: pod for key, pod in self.pods.items() if pod.job != name}

    def start_pod(self, name: str, shard: int) -> None:
        """The shard's next pod runs, unless one does or the shard is done."""
        mine = [pod for pod in self.pods.values() if pod.job == name and pod.shard == shard]
        if any(pod.phase is not PodPhase.FAILED for pod in mine):
            return
        pod_name = f"{name}-{shard}-{len(mine)}"
        self.pods[pod_name] = ObservedPod(
            pod_name, f"uid-{pod_name}", name, shard, PodPhase.RUNNING, started_at=self.now
        )

    def end_pods(self, name: str, phase: PodPhase, trouble: BlockReason | None = None) -> None:
        outcome = result({"n": 1}, f"sha256:{name}") if phase is PodPhase.SUCCEEDED else result(error="broken")
        for key, pod in list(self.pods.items()):
            if pod.job == name and pod.phase is PodPhase.RUNNING:
                changes = {"phase": phase, "trouble": trouble, "result": outcome, "finished_at": self.now}
                self.pods[key] = dataclasses.replace(pod, **changes)

    def complete_job(self, name: str) -> None:
        for shard in range(self.block(self.jobs[name].block).pods):
            self.start_pod(name, shard)
        self.end_pods(name, PodPhase.SUCCEEDED)
        self.completed.add(self.jobs[name].block)
        self.jobs[name] = dataclasses.replace(self.jobs[name], phase=JobPhase.COMPLETE, finished_at=self.now)

    def fail_job(self, name: str, trouble: BlockReason) -> None:
        self.start_pod(name, 0)
        if trouble is BlockReason.EVICTED:
            self.evicted.append(self.jobs[name].block)
        self.end_pods(name, PodPhase.FAILED, trouble)
        changes = {"phase": JobPhase.FAILED, "finished_at": self.now, "failure_reason": "FailedIndexes"}
        self.jobs[name] = dataclasses.replace(self.jobs[name], **changes)

    # What people do.

    def decide_gate(self, name: str, decision: GateDecision) -> None:
        """What the admission policy lets through: a first decision on a gate that waits."""
        gate = self.run.status.gates[name]
        if gate.state is not GateState.WAITING or gate.decision is not None:
            return
        (self.approved if decision is GateDecision.APPROVED else self.rejected).add(name)
        patched = gate.model_copy(update={"decision": decision, "decided_by": "alice"})
        gates = {**self.run.status.gates, name: patched}
        self.touch(status=self.run.status.model_copy(update={"gates": gates}))

    def edit(self, **changes: object) -> None:
        assert self.run.spec is not None
        self.touch(spec=self.run.spec.model_copy(update=changes), generation=self.run.generation + 1)
