"""The state machine that Hypothesis drives: what may happen next, in any order."""

from datetime import timedelta

from decide_cluster import LIVE, Cluster, finished
from decide_kit import block, job_name, spec
from decide_simulation import Decide, Operator, settle
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import DiffusionRunSpec
from diffrun_contracts.status import GateDecision, GateState
from diffrun_operator.decide import decide
from diffrun_operator.model import JobPhase, ObservedJob, PodPhase

GATE = {"prompt": "Go on?"}
TOGETHER = "workers that train together"
SPECS: dict[str, DiffusionRunSpec] = {
    "one": spec(block("a", retries=0)),
    "line with a gate": spec(block("a"), block("b", gate=GATE, retries=1), block("c", shards=2)),
    "diamond": spec(
        block("a", gate=GATE),
        block("b", dependsOn=["a"], shards=2),
        block("c", dependsOn=["a"], retries=0),
        block("d", dependsOn=["b", "c"]),
    ),
    "two roots, a gate at the end": spec(block("a"), block("b", dependsOn=[], gate=GATE, shards=2)),
    "gates with a timeout": spec(
        block("a", gate={**GATE, "timeoutSeconds": 60, "onTimeout": "Approve"}),
        block("b", gate={**GATE, "timeoutSeconds": 60}),
        block("c", activeDeadlineSeconds=40, dependsOn=["b"]),
        block("d", dependsOn=["a"]),
    ),
    TOGETHER: spec(block("a", train={"preset": "digits", "workers": 2}, retries=1), block("b", shards=2)),
}
INVALID = spec(block("a", dependsOn=["nobody"]))
WHICH = st.integers(0, 1)
PICK = st.integers(0, 7)


class DecisionMachine(RuleBasedStateMachine):
    """Two operators, the second a ghost of the first, share one cluster."""

    decide: Decide = staticmethod(decide)

    @initialize(name=st.sampled_from(sorted(SPECS)), pause=st.booleans())
    def apply(self, name: str, pause: bool) -> None:
        self.begin(name, pause=pause)

    def begin(self, name: str, *, pause: bool) -> None:
        self.cluster = Cluster.of(SPECS[name].model_copy(update={"pause": pause}))
        self.valid = self.cluster.run.spec
        self.operators = [Operator(self.cluster, type(self).decide) for _ in range(2)]

    # The operators.

    @rule(which=WHICH, crash_after=st.none() | st.integers(0, 4), slowly=st.booleans())
    def reconcile(self, which: int, crash_after: int | None, slowly: bool) -> None:
        self.operators[which].reconcile(crash_after=crash_after, slowly=slowly)

    @rule(which=WHICH)
    def watch_catches_up_and_reconcile(self, which: int) -> None:
        self.operators[which].catch_up()
        self.operators[which].reconcile()

    @rule(which=WHICH, kind=st.sampled_from(["run", "jobs", "pods"]))
    def one_watch_catches_up(self, which: int, kind: str) -> None:
        getattr(self.operators[which], f"see_{kind}")()

    @rule(which=WHICH, error=st.sampled_from(["timeout"] * 7 + ["refused"]))
    def api_errors(self, which: int, error: str) -> None:
        self.operators[which].see_run()
        self.operators[which].reconcile(create_fails=error, get_fails=True)

    @rule(which=WHICH, create_fails=st.none() | st.just("timeout"))
    def restart_behind_an_api_server_that_lags(self, which: int, create_fails: str | None) -> None:
        self.operators[which].restart()
        self.operators[which].see_run()
        self.operators[which].reconcile(create_fails=create_fails)

    # The cluster.

    def owned(self, *phases: JobPhase) -> list[ObservedJob]:
        return [job for job in self.cluster.jobs.values() if job.owned and job.phase in phases]

    @precondition(lambda self: self.owned(JobPhase.ACTIVE))
    @rule(pick=PICK)
    def pods_run(self, pick: int) -> None:
        jobs = self.owned(JobPhase.ACTIVE)
        chosen = jobs[pick % len(jobs)]
        self.cluster.start_pod(chosen.name, pick % self.cluster.block(chosen.block).pods)

    @precondition(lambda self: self.owned(JobPhase.ACTIVE))
    @rule(pick=PICK)
    def a_pod_fails_and_will_be_replaced(self, pick: int) -> None:
        jobs = self.owned(JobPhase.ACTIVE)
        self.cluster.end_pods(jobs[pick % len(jobs)].name, PodPhase.FAILED, BlockReason.WORKER_FAILED)

    @precondition(lambda self: self.owned(JobPhase.ACTIVE))
    @rule(pick=PICK, seen=st.booleans())
    def job_succeeds(self, pick: int, seen: bool) -> None:
        jobs = self.owned(JobPhase.ACTIVE)
        self.cluster.complete_job(jobs[pick % len(jobs)].name)
        if seen:
            self.operators[0].catch_up()
            self.operators[0].reconcile()

    @precondition(lambda self: self.owned(JobPhase.ACTIVE))
    @rule(
        pick=PICK,
        trouble=st.sampled_from([BlockReason.WORKER_FAILED, BlockReason.USER_ERROR, BlockReason.OOM_KILLED]),
    )
    def job_fails_or_runs_out_of_memory(self, pick: int, trouble: BlockReason) -> None:
        jobs = self.owned(JobPhase.ACTIVE)
        name = jobs[pick % len(jobs)].name
        if trouble is BlockReason.OOM_KILLED:
            self.cluster.start_pod(name, 0)
            self.cluster.end_pods(name, PodPhase.FAILED, trouble)
        else:
            self.cluster.fail_job(name, trouble)

    def together(self) -> list[ObservedJob]:
        """Jobs whose first failed pod ends them."""
        return [job for job in self.owned(JobPhase.ACTIVE) if self.cluster.block(job.block).workers > 1]

    @precondition(lambda self: self.together())
    @rule(trouble=st.sampled_from([BlockReason.WORKER_FAILED, BlockReason.EVICTED]), times=st.integers(0, 3))
    def a_worker_is_lost_and_the_others_with_it(self, trouble: BlockReason, times: int) -> None:
        """Again and again, as on nodes that are preempted; 0 times: once, and nobody looks."""
        self.cluster.fail_job(self.together()[0].name, trouble)
        for left in reversed(range(times)):
            self.operators[0].catch_up()
            self.operators[0].reconcile()
            if left and self.together():
                self.cluster.fail_job(self.together()[0].name, trouble)

    @precondition(lambda self: self.cluster.jobs)
    @rule(pick=PICK, slowly=st.booleans())
    def job_disappears(self, pick: int, slowly: bool) -> None:
        jobs = list(self.cluster.jobs)
        self.cluster.remove_job(jobs[pick % len(jobs)], slowly=slowly)

    @precondition(lambda self: self.owned(JobPhase.ACTIVE))
    @rule(pick=PICK)
    def job_disappears_after_it_was_seen(self, pick: int) -> None:
        jobs = self.owned(JobPhase.ACTIVE)
        for name in (None, jobs[pick % len(jobs)].name):
            if name in self.cluster.jobs:
                self.cluster.remove_job(name, slowly=False)
            self.operators[0].catch_up()
            self.operators[0].reconcile()

    @precondition(lambda self: self.owned(*LIVE))
    @rule(pick=PICK)
    def queue_suspends_or_admits(self, pick: int) -> None:
        jobs = self.owned(*LIVE)
        chosen = jobs[pick % len(jobs)]
        other = JobPhase.ACTIVE if chosen.phase is JobPhase.SUSPENDED else JobPhase.SUSPENDED
        self.cluster.jobs[chosen.name] = ObservedJob(chosen.name, chosen.uid, True, chosen.block, chosen.attempt, other)

    @rule(pick=PICK, attempt=st.integers(1, 2))
    def a_foreign_job_takes_a_name(self, pick: int, attempt: int) -> None:
        name = self.valid.blocks[pick % len(self.valid.blocks)].name
        if pick == 7:
            taken = ObservedJob(job_name(name, attempt), "foreign", False, name, attempt, JobPhase.ACTIVE)
            self.cluster.jobs.setdefault(taken.name, taken)

    @rule(seconds=st.sampled_from([1, 5, 30, 90]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.now += timedelta(seconds=seconds)

    # People.

    @precondition(lambda self: self.cluster.run.status.gates)
    @rule(pick=PICK, decision=st.sampled_from(GateDecision))
    def decide_gate(self, pick: int, decision: GateDecision) -> None:
        gates = [name for name, gate in self.cluster.run.status.gates.items() if gate.state is GateState.WAITING]
        if gates:
            self.cluster.decide_gate(gates[pick % len(gates)], decision)

    @rule(pause=st.booleans())
    def pause_or_resume(self, pause: bool) -> None:
        self.cluster.edit(pause=pause)

    @rule(pick=PICK)
    def cancel(self, pick: int) -> None:
        if pick == 7:
            self.cluster.edit(cancel=True)

    @precondition(lambda self: self.cluster.run.status.start_time is None)
    @rule(invalid=st.booleans(), name=st.sampled_from(sorted(SPECS)))
    def edit_the_spec_before_the_start(self, invalid: bool, name: str) -> None:
        chosen = INVALID if invalid else SPECS[name]
        assert self.cluster.run.spec is not None
        self.valid = SPECS[name]
        self.cluster.edit(blocks=chosen.blocks)

    @rule()
    def the_admission_policy_comes_or_goes(self) -> None:
        self.cluster.guarded = not self.cluster.guarded

    def teardown(self) -> None:
        if not hasattr(self, "cluster"):
            return
        if self.cluster.run.status.start_time is None and not finished(self.cluster.run.status):
            self.cluster.edit(blocks=self.valid.blocks)
        settle(self.cluster, self.operators)
