"""The state machine's power: each classic bug, planted, must make it fail, and for the right reason."""

import dataclasses
import itertools
from datetime import datetime

import pytest
from decide_cluster import BrokenPromiseError
from decide_machine import TOGETHER, DecisionMachine
from decide_simulation import Decide
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, run_state_machine_as_test

from diffrun_contracts.status import BlockState, BlockStatus
from diffrun_operator.decide import decide
from diffrun_operator.model import CreateJob, Decision, JobPhase, Observed, Policy, Run

# Fixed examples and no shrinking: only whether it fails matters here.
SEARCH = settings(
    max_examples=400,
    stateful_step_count=50,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def with_blocks(run: Run, **changes: object) -> Run:
    assert run.spec is not None
    blocks = [block.model_copy(update=changes) for block in run.spec.blocks]
    return dataclasses.replace(run, spec=run.spec.model_copy(update={"blocks": blocks}))


def random_job_names() -> Decide:
    numbers = itertools.count()

    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        decision = decide(run, observed, now, policy)
        # Deterministic for equal questions, so that only the name itself is at fault.
        suffix = next(numbers) // 3
        actions = tuple(
            dataclasses.replace(action, name=f"{action.name}-{suffix}") if isinstance(action, CreateJob) else action
            for action in decision.actions
        )
        return dataclasses.replace(decision, actions=actions)

    return buggy


def one_retry_too_many() -> Decide:
    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        assert run.spec is not None
        blocks = [
            block.model_copy(update={"retries": (policy.retries if block.retries is None else block.retries) + 1})
            for block in run.spec.blocks
        ]
        spec = run.spec.model_copy(update={"blocks": blocks})
        return decide(dataclasses.replace(run, spec=spec), observed, now, policy)

    return buggy


def ignored_gate() -> Decide:
    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        return decide(with_blocks(run, gate=None), observed, now, policy)

    return buggy


def unseen_means_lost() -> Decide:
    """Creates again while the Job is active: takes a Job that is not in view for one that is gone."""

    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        seen = {job.uid for job in observed.jobs}
        uids = {entry.job_ref.uid for entry in run.status.blocks if entry.job_ref and entry.job_ref.uid}
        return decide(run, dataclasses.replace(observed, lost_jobs=frozenset(uids - seen)), now, policy)

    return buggy


def live_jobs_only() -> Decide:
    """Creates again when the Job is finished: looks at live Jobs only, so that a completed one seems lost."""

    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        ended = {job.uid for job in observed.jobs if job.phase is JobPhase.COMPLETE}
        jobs = tuple(job for job in observed.jobs if job.uid not in ended)
        status = run.status
        entries = [
            entry.model_copy(update={"state": BlockState.PENDING, "job_ref": None})
            if entry.job_ref is not None and entry.job_ref.uid in ended
            else entry
            for entry in status.blocks
        ]
        forgetful = dataclasses.replace(run, status=status.model_copy(update={"blocks": entries}))
        return decide(forgetful, dataclasses.replace(observed, jobs=jobs), now, policy)

    return buggy


def no_ledger() -> Decide:
    """Where Jobs are the only memory, a garbage-collected one makes its block run again."""

    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        seen = {job.uid for job in observed.jobs}
        entries = [
            BlockStatus(name=entry.name)
            if entry.state is BlockState.SUCCEEDED and entry.job_ref is not None and entry.job_ref.uid not in seen
            else entry
            for entry in run.status.blocks
        ]
        forgetful = dataclasses.replace(run, status=run.status.model_copy(update={"blocks": entries}))
        return decide(forgetful, observed, now, policy)

    return buggy


def forgiven_for_ever() -> Decide:
    """Forgives every eviction: a training that is preempted again and again would never end."""

    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        generous = dataclasses.replace(policy, max_ignored_disruptions=1000)
        return decide(run, observed, now, generous)

    return buggy


def first_failure_is_final() -> Decide:
    """Takes the Failed of a Job whose pods work together for the block's end, as it is for all other Jobs."""

    def buggy(run: Run, observed: Observed, now: datetime, policy: Policy) -> Decision:
        assert run.spec is not None
        alone = [
            block.model_copy(update={"train": block.train and block.train.model_copy(update={"workers": 1})})
            for block in run.spec.blocks
        ]
        return decide(
            dataclasses.replace(run, spec=run.spec.model_copy(update={"blocks": alone})), observed, now, policy
        )

    return buggy


@pytest.mark.parametrize(
    ("plant", "caught_as"),
    [
        pytest.param(random_job_names, "one live Job a block|never ends", id="random job names"),
        pytest.param(one_retry_too_many, "attempts are bounded", id="off-by-one retries"),
        pytest.param(ignored_gate, "gates are approved|rejected gate", id="ignored gate"),
        pytest.param(unseen_means_lost, "one live Job a block", id="created again while active"),
        pytest.param(live_jobs_only, "an outcome is final|was seen|never ends", id="created again when finished"),
        pytest.param(no_ledger, "an outcome is final|a finished run never changes|attempts only grow", id="no ledger"),
    ],
)
def test_a_planted_bug_makes_the_state_machine_fail(plant, caught_as: str) -> None:
    class Buggy(DecisionMachine):
        decide = staticmethod(plant())

    expect_failure(Buggy, caught_as)


@pytest.mark.parametrize(
    ("plant", "caught_as"),
    [
        pytest.param(forgiven_for_ever, "disruptions are forgiven", id="disruptions without an end"),
        pytest.param(first_failure_is_final, "with their retries used up", id="no restart as a whole"),
    ],
)
def test_a_planted_bug_about_pods_that_work_together_is_found_among_them(plant, caught_as: str) -> None:
    class Buggy(DecisionMachine):
        decide = staticmethod(plant())

        @initialize(name=st.just(TOGETHER), pause=st.just(False))
        def apply(self, name: str, pause: bool) -> None:
            self.begin(name, pause=pause)

    expect_failure(Buggy, caught_as)


def expect_failure(machine: type[DecisionMachine], caught_as: str) -> None:
    with pytest.raises(BrokenPromiseError, match=caught_as):
        run_state_machine_as_test(machine, settings=SEARCH)


def test_the_same_search_passes_where_no_bug_is_planted() -> None:
    run_state_machine_as_test(DecisionMachine, settings=settings(SEARCH, max_examples=20))
