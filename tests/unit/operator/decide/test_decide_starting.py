"""Which blocks start, when, and what the others wait for."""

import pytest
from decide_kit import T0, Story, block, job, job_name, spec

from diffrun_contracts.reasons import BlockReason, ConditionType, EventReason, RunReason
from diffrun_contracts.status import BlockState
from diffrun_operator.model import CreateJob, JobPhase

DIAMOND = spec(block("a"), block("b", dependsOn=["a"]), block("c", dependsOn=["a"]), block("d", dependsOn=["c", "b"]))


def test_the_first_decision_records_the_attempt_and_asks_for_its_job() -> None:
    story = Story(spec(block("a"), block("b")))
    decision = story.see()
    creates = [action for action in decision.actions if isinstance(action, CreateJob)]
    assert [(c.name, c.block.name, c.attempt, c.dependencies) for c in creates] == [(job_name("a"), "a", 1, ())]
    entry = story.entry("a")
    assert (entry.state, entry.reason, entry.attempt) == (BlockState.PENDING, BlockReason.STARTING, 1)
    assert entry.job_ref is not None
    assert (entry.job_ref.name, entry.job_ref.uid) == (job_name("a"), None)
    assert decision.status.start_time == T0
    assert story.events == [EventReason.RUN_STARTED, EventReason.BLOCK_STARTED]


def test_a_recorded_attempt_without_a_uid_is_asked_for_again_under_its_name() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.see(after=60)
    assert story.created == ["a"]
    assert story.entry("a").attempt == 1


def test_an_observed_job_is_adopted_and_not_asked_for_again() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.see(job("a"))
    ref = story.entry("a").job_ref
    assert ref is not None
    assert ref.uid == "job-a-1"
    assert story.created == []


def test_an_empty_depends_on_starts_at_once() -> None:
    story = Story(spec(block("a"), block("b", dependsOn=[]), block("c")))
    story.see()
    assert story.created == ["a", "b"]


def test_a_diamond_runs_its_arms_side_by_side_and_joins() -> None:
    story = Story(DIAMOND)
    story.see()
    assert story.created == ["a"]
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0))
    assert story.created == ["b", "c"]
    story.see(job("b", JobPhase.COMPLETE, finished_at=T0), job("c"))
    assert story.created == []
    assert story.entry("d").message == 'waits for block "c"'
    decision = story.see(job("c", JobPhase.COMPLETE, finished_at=T0))
    joins = [action for action in decision.actions if isinstance(action, CreateJob)]
    assert [action.dependencies for action in joins] == [(("c", 1), ("b", 1))]


def test_inputs_name_the_attempt_that_succeeded() -> None:
    story = Story(spec(block("a"), block("b")))
    story.see()
    story.see(job("a"))
    story.see(lost_jobs=frozenset({"job-a-1"}))
    decision = story.see(job("a", JobPhase.COMPLETE, attempt=2, finished_at=T0))
    creates = [action for action in decision.actions if isinstance(action, CreateJob)]
    assert creates[0].dependencies == (("a", 2),)


def test_only_descendants_of_a_failed_block_are_skipped() -> None:
    asked = spec(block("a"), block("b"), block("c"), block("x", dependsOn=[]), block("y"))
    story = Story(asked)
    story.see()
    story.see(job("a", JobPhase.FAILED), job("x"))
    skipped = [entry.name for entry in story.run.status.blocks if entry.state is BlockState.SKIPPED]
    assert skipped == ["b", "c"]
    assert story.entry("c").reason is BlockReason.DEPENDENCY_FAILED
    assert story.entry("c").message == 'block "a" ended Failed (WorkerFailed)'
    assert story.condition(ConditionType.FINISHED).status == "False"
    story.see(job("x", JobPhase.COMPLETE, finished_at=T0))
    assert story.created == ["y"]
    story.see(job("y", JobPhase.COMPLETE, finished_at=T0))
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.BLOCK_FAILED


def test_a_dependency_further_down_that_fails_skips_the_block_above_in_the_same_decision() -> None:
    story = Story(spec(block("a", dependsOn=["b"]), block("b", dependsOn=[])))
    story.see()
    story.see(job("b", JobPhase.FAILED))
    assert story.entry("a").state is BlockState.SKIPPED
    assert story.condition(ConditionType.FINISHED).status == "True"


def test_until_the_start_the_ledger_follows_the_spec() -> None:
    story = Story(spec(block("a"), block("b"), pause=True))
    story.see()
    story.edit(blocks=spec(block("x")).blocks).see()
    assert [entry.name for entry in story.run.status.blocks] == ["x"]
    assert story.run.status.start_time is None
    story.edit(pause=False).see(after=5)
    assert story.created == ["x"]
    assert story.run.status.start_time == story.now


def test_a_run_that_is_being_deleted_is_left_alone() -> None:
    story = Story(spec(block("a")), deleting=True)
    decision = story.see(job("a"))
    assert (decision.actions, decision.status, decision.requeue_after) == ((), story.run.status, None)


def test_a_ledger_that_was_wiped_finds_its_jobs_again() -> None:
    story = Story(spec(block("a"), block("b")))
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0))
    assert story.entry("a").state is BlockState.SUCCEEDED
    assert story.created == ["b"]


@pytest.mark.parametrize("pause", [pytest.param(True, id="paused"), pytest.param(False, id="resumed")])
def test_nothing_starts_while_the_run_is_paused(pause: bool) -> None:
    story = Story(spec(block("a"), pause=True))
    story.see()
    assert story.created == []
    assert story.entry("a").reason is BlockReason.WAITING_FOR_RESUME
    story.edit(pause=pause).see()
    assert story.created == ([] if pause else ["a"])


def test_a_recorded_job_that_is_not_there_yet_waits_for_the_resume() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.edit(pause=True).see()
    assert story.created == []
    assert story.entry("a").reason is BlockReason.WAITING_FOR_RESUME
    story.edit(pause=False).see()
    assert story.created == ["a"]
    assert (story.entry("a").reason, story.entry("a").message) == (BlockReason.STARTING, None)
