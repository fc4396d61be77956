"""What Jobs and their pods say becomes the ledger: found, foreign, refused, gone, done, failed."""

import pytest
from decide_kit import T0, Story, block, job, job_name, outcome, pod, result, spec, started

from diffrun_contracts.reasons import BlockReason, EventReason
from diffrun_contracts.status import BlockState
from diffrun_operator.model import JobPhase, PodPhase, Policy

FAILED, RUNNING, SUCCEEDED, PENDING = PodPhase.FAILED, PodPhase.RUNNING, PodPhase.SUCCEEDED, PodPhase.PENDING


# Names.


def test_a_foreign_job_of_the_same_name_fails_the_block_and_is_left_alone() -> None:
    story = started()
    story.see(job("a", owned=False))
    assert outcome(story) == (BlockState.FAILED, BlockReason.NAME_COLLISION)
    message = f"Job {job_name('a')} exists and is not this run's: delete or rename it, then apply the run anew"
    assert story.entry("a").message == message
    assert (story.deleted, story.created) == ([], [])


def test_a_collision_found_when_creating_counts_too() -> None:
    story = started()
    story.see(collisions=frozenset({job_name("a")}))
    assert outcome(story) == (BlockState.FAILED, BlockReason.NAME_COLLISION)


def test_our_own_job_in_view_outweighs_a_collision_of_the_past() -> None:
    story = started()
    story.see(job("a"), collisions=frozenset({job_name("a")}))
    assert story.entry("a").state is BlockState.PENDING


def test_a_foreign_job_that_is_going_away_is_waited_for() -> None:
    story = started()
    decision = story.see(job("a", JobPhase.TERMINATING, owned=False))
    assert (story.entry("a").state, story.created, decision.requeue_after) == (BlockState.PENDING, [], 1.0)
    story.see()
    assert story.created == ["a"]


def test_a_refused_job_fails_the_block_in_the_api_servers_words() -> None:
    story = started()
    story.see(refusals={job_name("a"): "exceeded quota: gpus"})
    assert outcome(story) == (BlockState.FAILED, BlockReason.JOB_REFUSED)
    assert story.entry("a").message == f"the API server refuses Job {job_name('a')}: exceeded quota: gpus"


# Gone.


def test_a_job_that_is_merely_not_in_view_changes_nothing() -> None:
    story = started()
    story.see(job("a"), pod("a"))
    before = story.run.status
    decision = story.see(after=600)
    assert decision.status == before
    assert story.created == []
    assert decision.requeue_after == 5.0


@pytest.mark.parametrize(
    ("fields", "policy", "allowed"),
    [
        pytest.param({"retries": 0}, Policy(), 0, id="none"),
        pytest.param({"retries": 1}, Policy(), 1, id="the block's own"),
        pytest.param({}, Policy(retries=3), 3, id="the installation's"),
    ],
)
def test_a_lost_job_is_made_anew_as_often_as_retries_allow(fields, policy: Policy, allowed: int) -> None:
    story = Story(spec(block("a", **fields)), policy)
    story.see()
    for attempt in range(1, allowed + 1):
        story.see(job("a", attempt=attempt), pod("a", attempt=attempt))
        story.see(lost_jobs=frozenset({f"job-a-{attempt}"}))
        assert story.created == ["a"]
        assert story.entry("a").attempt == attempt + 1
        assert story.entry("a").start_time is None
        assert story.events == [EventReason.BLOCK_RETRIED]
    story.see(job("a", attempt=allowed + 1))
    story.see(lost_jobs=frozenset({f"job-a-{allowed + 1}"}))
    assert outcome(story) == (BlockState.FAILED, BlockReason.LOST)
    assert story.entry("a").attempt == allowed + 1
    assert f"retries used up: {allowed}" in (story.entry("a").message or "")


def test_the_runs_default_retries_count_where_the_block_names_none() -> None:
    story = Story(spec(block("a"), defaults={"retries": 0}))
    story.see()
    story.see(job("a"))
    story.see(lost_jobs=frozenset({"job-a-1"}))
    assert outcome(story) == (BlockState.FAILED, BlockReason.LOST)


def test_a_job_that_goes_away_unfinished_is_waited_for_and_then_lost() -> None:
    story = started()
    story.see(job("a"))
    decision = story.see(job("a", JobPhase.TERMINATING))
    assert (story.created, decision.requeue_after) == ([], 1.0)
    story.see(lost_jobs=frozenset({"job-a-1"}))
    assert story.entry("a").attempt == 2


def test_a_live_404_outweighs_a_view_in_which_the_job_is_still_active() -> None:
    story = started()
    story.see(job("a"), pod("a"))
    story.see(job("a"), pod("a"), lost_jobs=frozenset({"job-a-1"}))
    assert (story.entry("a").attempt, story.created) == (2, ["a"])


def test_a_job_first_seen_while_it_goes_away_is_ours_and_its_name_is_not_used_again() -> None:
    story = started()
    story.see(job("a", JobPhase.TERMINATING))
    story.see(lost_jobs=frozenset({"job-a-1"}))
    assert story.created == ["a"]
    assert story.entry("a").attempt == 2


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        pytest.param(job("a", JobPhase.COMPLETE, finished_at=T0), BlockState.SUCCEEDED, id="complete"),
        pytest.param(job("a", JobPhase.FAILED), BlockState.FAILED, id="failed"),
        pytest.param(job("a", JobPhase.TERMINATING, finished_at=T0), BlockState.SUCCEEDED, id="deleted when complete"),
        pytest.param(
            job("a", JobPhase.TERMINATING, finished_at=T0, failure_reason="FailedIndexes"),
            BlockState.FAILED,
            id="deleted when failed",
        ),
    ],
)
def test_an_outcome_that_was_seen_counts_even_if_the_job_is_gone_since(seen, state: BlockState) -> None:
    story = started()
    story.see(job("a"))
    story.see(seen, lost_jobs=frozenset({"job-a-1"}))
    assert story.entry("a").state is state


def test_a_lost_job_is_not_made_anew_while_the_run_is_paused() -> None:
    story = started()
    story.see(job("a"))
    story.edit(pause=True).see(lost_jobs=frozenset({"job-a-1"}))
    assert story.created == []
    assert story.entry("a").reason is BlockReason.WAITING_FOR_RESUME
    story.edit(pause=False).see()
    assert story.created == ["a"]


def test_a_namesake_with_another_uid_is_not_our_job() -> None:
    story = started()
    story.see(job("a"))
    story.see(job("a", JobPhase.COMPLETE, uid="another", finished_at=T0))
    assert story.entry("a").state is BlockState.PENDING
    story.see(job("a", uid="another"), lost_jobs=frozenset({"job-a-1"}))
    assert story.entry("a").attempt == 2
    assert story.deleted == [job_name("a")]


# Failed.

OOM = {"trouble": BlockReason.OOM_KILLED, "trouble_message": "OOMKilled at 4Gi"}
USER = {"trouble": BlockReason.USER_ERROR, "result": result(error="no such repo")}
BROKEN = {"trouble": BlockReason.WORKER_FAILED, "trouble_message": "exit code 1"}


@pytest.mark.parametrize(
    ("pods", "reason", "message"),
    [
        pytest.param([pod("a", FAILED, **USER)], BlockReason.USER_ERROR, "no such repo", id="permanent error"),
        pytest.param(
            [pod("a", FAILED, **BROKEN)],
            BlockReason.WORKER_FAILED,
            "exit code 1 (retries used up: 2)",
            id="retries used up",
        ),
        pytest.param([pod("a", FAILED, **OOM)], BlockReason.OOM_KILLED, "OOMKilled at 4Gi", id="out of memory"),
        pytest.param(
            [pod("a", FAILED, trouble=BlockReason.EVICTED, trouble_message="disk pressure")],
            BlockReason.EVICTED,
            "disk pressure",
            id="evicted",
        ),
        pytest.param(
            [
                pod("a", FAILED, n=1, finished_at=T0, trouble_message="older"),
                pod("a", FAILED, n=0, finished_at=T0.replace(hour=13), trouble_message="newer"),
            ],
            BlockReason.WORKER_FAILED,
            "newer (retries used up: 2)",
            id="the newest tells",
        ),
        pytest.param(
            [
                pod("a", FAILED, shard=0, finished_at=T0, **USER),
                pod("a", FAILED, shard=1, finished_at=T0.replace(hour=13), **BROKEN),
            ],
            BlockReason.USER_ERROR,
            "no such repo",
            id="a permanent error outweighs the siblings it took down",
        ),
        pytest.param(
            [
                pod("a", FAILED, shard=0, finished_at=T0, trouble_message="culprit"),
                pod("a", FAILED, shard=1, finished_at=T0.replace(hour=13), terminating=True, trouble_message="SIGTERM"),
            ],
            BlockReason.WORKER_FAILED,
            "culprit (retries used up: 2)",
            id="a sibling that was terminated is not to blame",
        ),
        pytest.param(
            [pod("a", FAILED)],
            BlockReason.WORKER_FAILED,
            f"pod {job_name('a')}-0-0 failed without a message (retries used up: 2)",
            id="no word at all",
        ),
    ],
)
def test_a_failed_job_is_told_by_its_pods(pods, reason: BlockReason, message: str) -> None:
    story = started()
    story.see(job("a", JobPhase.FAILED, failure_reason="FailedIndexes"), *pods)
    assert outcome(story) == (BlockState.FAILED, reason)
    assert (story.entry("a").message or "").startswith(message)
    assert EventReason.BLOCK_FAILED in story.events


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        pytest.param("PodFailurePolicy", BlockReason.USER_ERROR, id="permanent exit code"),
        pytest.param("FailedIndexes", BlockReason.WORKER_FAILED, id="retries"),
        pytest.param(None, BlockReason.WORKER_FAILED, id="unknown"),
    ],
)
def test_a_failed_job_without_pods_is_told_by_its_own_reason(why: str | None, reason: BlockReason) -> None:
    story = started()
    story.see(job("a", JobPhase.FAILED, failure_reason=why))
    assert outcome(story) == (BlockState.FAILED, reason)
    assert job_name("a") in (story.entry("a").message or "")


def test_an_oom_kill_fails_the_block_at_once_and_stops_its_job() -> None:
    story = started()
    story.see(job("a"), pod("a", FAILED, **OOM), pod("a", PENDING, n=1))
    assert outcome(story) == (BlockState.FAILED, BlockReason.OOM_KILLED)
    assert story.deleted == [job_name("a")]
    assert "resources.limits.memory" in (story.entry("a").message or "")


@pytest.mark.parametrize(
    ("ignored", "state"),
    [
        pytest.param(10, BlockState.RUNNING, id="as many as are forgiven"),
        pytest.param(11, BlockState.FAILED, id="one more"),
    ],
)
def test_disruptions_are_forgiven_up_to_a_number(ignored: int, state: BlockState) -> None:
    story = started()
    story.see(job("a"), pod("a", ignored_failures=ignored))
    assert story.entry("a").state is state
    assert story.deleted == ([job_name("a")] if state is BlockState.FAILED else [])


def test_a_job_that_completed_is_not_failed_for_its_disruptions() -> None:
    story = started()
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0), pod("a", SUCCEEDED, ignored_failures=99))
    assert outcome(story) == (BlockState.SUCCEEDED, BlockReason.COMPLETED)


# Leftovers.


def test_a_live_job_of_an_older_attempt_is_deleted_until_it_is_gone() -> None:
    story = started()
    story.see(job("a"))
    story.see(lost_jobs=frozenset({"job-a-1"}))
    for _ in range(2):
        story.see(job("a"), job("a", attempt=2))
        assert story.deleted == [job_name("a")]
    story.see(job("a", JobPhase.TERMINATING), job("a", attempt=2))
    assert story.deleted == []


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(job("a", JobPhase.COMPLETE, attempt=2), id="finished"),
        pytest.param(job("a", JobPhase.ACTIVE, attempt=2), id="newer than the ledger"),
        pytest.param(job("a", JobPhase.ACTIVE, attempt=1, owned=False, uid="x"), id="foreign"),
        pytest.param(job("zzz"), id="of an unknown block"),
    ],
)
def test_other_jobs_are_left_alone(kept) -> None:
    story = started()
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0))
    story.see(kept)
    assert story.deleted == []
