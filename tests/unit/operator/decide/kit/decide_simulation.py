"""Operators in the simulated cluster, with stale views and crashes, and the end that every run must come to."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from decide_cluster import LIVE, POLICY, BrokenPromiseError, Cluster, finished, require

from diffrun_contracts.status import GateDecision
from diffrun_operator.decide import decide
from diffrun_operator.model import (
    Action,
    AnnotatePod,
    CreateJob,
    Decision,
    DeleteJob,
    EmitEvent,
    JobPhase,
    Observed,
    ObservedJob,
    ObservedPod,
    Policy,
    Run,
)

Decide = Callable[[Run, Observed, datetime, Policy], Decision]


@dataclass
class Operator:
    """One operator process: its view of the cluster, which may be old, and its memory, which a crash takes."""

    cluster: Cluster
    decide: Decide = decide
    run: Run = field(init=False)
    jobs: tuple[ObservedJob, ...] = ()
    pods: tuple[ObservedPod, ...] = ()
    collisions: set[str] = field(default_factory=set)
    refusals: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run = self.cluster.run

    def see_run(self) -> None:
        self.run = self.cluster.run

    def see_jobs(self) -> None:
        self.jobs = tuple(self.cluster.jobs.values())

    def see_pods(self) -> None:
        self.pods = tuple(self.cluster.pods.values())

    def catch_up(self) -> None:
        self.see_run()
        self.see_jobs()
        self.see_pods()

    def restart(self) -> None:
        """Memory is gone, and the first lists may come from an API server that lags behind."""
        self.collisions.clear()
        self.refusals.clear()
        self.jobs = ()
        self.pods = ()

    def observe(self, *, get_fails: bool = False) -> Observed:
        seen = {job.uid for job in self.jobs}
        recorded = [entry.job_ref for entry in self.run.status.blocks if not entry.state.terminal and entry.job_ref]
        unseen = [] if get_fails else [ref for ref in recorded if ref.uid is not None and ref.uid not in seen]
        there = {job.uid for job in self.cluster.jobs.values()}
        return Observed(
            jobs=self.jobs,
            pods=self.pods,
            lost_jobs=frozenset(ref.uid for ref in unseen if ref.uid is not None and ref.uid not in there),
            collisions=frozenset(self.collisions),
            refusals=dict(self.refusals),
            gates_guarded=self.cluster.guarded,
        )

    def reconcile(
        self,
        *,
        crash_after: int | None = None,
        create_fails: str | None = None,
        get_fails: bool = False,
        slowly: bool = False,
    ) -> Decision:
        """Observe, decide, execute; dies after `crash_after` of its writes."""
        observed = self.observe(get_fails=get_fails)
        decision = self.decide(self.run, observed, self.cluster.now, POLICY)
        self._check_decision(observed, decision)
        calls: list[Action | None] = [*decision.actions]
        # The status goes first; before a Job is made it is written even where it is the same, for its guard.
        if decision.status != self.run.status or any(isinstance(action, CreateJob) for action in calls):
            calls.insert(0, None)
        for number, call in enumerate(calls):
            if number == crash_after:
                self.restart()
                return decision
            if call is None:
                if not self.cluster.write_status(self.run, decision.status):
                    return decision
                self.see_run()
            else:
                self._apply(call, create_fails, slowly)
        return decision

    def _apply(self, action: Action, create_fails: str | None, slowly: bool) -> None:
        match action:
            case CreateJob() if create_fails == "refused":
                if action.name not in self.cluster.jobs:
                    self.refusals[action.name] = "exceeded quota"
            case CreateJob() if create_fails is None:
                if self.cluster.create(action) == "foreign":
                    self.collisions.add(action.name)
            case DeleteJob():
                self.cluster.delete(action, slowly=slowly)
            case AnnotatePod():
                pod = self.cluster.pods.get(action.name)
                if pod is not None:
                    self.cluster.pods[action.name] = dataclasses.replace(pod, pause_annotated=action.pause)

    def _check_decision(self, observed: Observed, decision: Decision) -> None:
        spec, now, policy = self.run.spec, self.cluster.now, POLICY
        if spec is not None and (spec.pause or spec.cancel):
            made = [action for action in decision.actions if isinstance(action, CreateJob)]
            require(not made, "nothing is started in a paused or a cancelled run")
        mirrored = dataclasses.replace(observed, jobs=observed.jobs[::-1], pods=observed.pods[::-1])
        require(self.decide(self.run, mirrored, now, policy) == decision, "the order of what is seen plays no part")
        again = self.decide(dataclasses.replace(self.run, status=decision.status), observed, now, policy)
        require(again.status == decision.status, "deciding on a decision's status changes nothing")
        require(not any(isinstance(a, EmitEvent) for a in again.actions), "no Event is posted twice")


def settle(cluster: Cluster, operators: list[Operator], rounds: int = 150) -> Decision:
    """Liveness: with a caught-up view, willing people and Jobs that succeed the run ends; then all is quiet."""
    cluster.guarded = True
    for operator in operators:
        operator.refusals.clear()
    operator = operators[0]
    for _ in range(rounds):
        cluster.now += timedelta(seconds=10)
        assert cluster.run.spec is not None
        if cluster.run.spec.pause:
            cluster.edit(pause=False)
        for name, job in list(cluster.jobs.items()):
            if job.phase is JobPhase.TERMINATING:
                cluster.remove_job(name, slowly=False)
            elif job.owned and job.phase in LIVE:
                cluster.complete_job(name)
        for name in list(cluster.run.status.gates):
            cluster.decide_gate(name, GateDecision.APPROVED)
        operator.catch_up()
        decision = operator.reconcile()
        if finished(cluster.run.status) and not decision.actions:
            return decision
    raise BrokenPromiseError(f"the run never ends: {cluster.run.status.to_json()}")
