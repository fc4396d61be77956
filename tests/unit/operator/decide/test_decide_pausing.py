"""Pausing and resuming, deadlines, and the time that they do not count."""

import pytest
from decide_kit import T0, Story, block, job, job_name, pod, spec

from diffrun_contracts.reasons import BlockReason, ConditionType, EventReason, PauseReason, RunReason
from diffrun_contracts.status import BlockState
from diffrun_operator.model import JobPhase, PodPhase


def running(**fields: object) -> Story:
    story = Story(spec(block("a", **fields), block("b")))
    story.see()
    story.see(job("a"), pod("a"))
    return story


def paused(story: Story) -> tuple[str, str]:
    condition = story.condition(ConditionType.PAUSED)
    return condition.status, condition.reason


def test_a_pause_is_told_to_live_pods_and_holds_when_they_all_do() -> None:
    story = running(shards=3)
    pods = [pod("a"), pod("a", PodPhase.PENDING, shard=1), pod("a", PodPhase.SUCCEEDED, shard=2)]
    story.edit(pause=True).see(job("a"), *pods)
    assert story.annotated == [(pods[0].name, True), (pods[1].name, True)]
    assert paused(story) == ("False", PauseReason.PAUSE_REQUESTED)
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.RUNNING
    held = pod("a", pause_annotated=True, holding=True)
    story.see(job("a"), held, pod("a", PodPhase.PENDING, shard=1, pause_annotated=True), pods[2])
    assert story.annotated == []
    assert paused(story) == ("True", PauseReason.HOLDING)
    assert story.events == [EventReason.PAUSED]
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.PAUSED
    assert story.entry("a").paused_since == story.now


def test_the_condition_claims_no_more_than_the_workers_have_said() -> None:
    story = running(shards=3)
    told = [pod("a", shard=shard, pause_annotated=shard > 0, holding=shard == 2) for shard in range(3)]
    story.edit(pause=True).see(job("a"), *told)
    condition = story.condition(ConditionType.PAUSED)
    assert (condition.status, condition.reason) == ("False", PauseReason.PAUSE_REQUESTED)
    assert condition.message == "running pods: 3, told to pause: 2, known to hold: 1"


def test_a_block_is_held_once_all_its_running_pods_have_been_told() -> None:
    story = running(shards=2)
    told, untold = pod("a", pause_annotated=True), pod("a", shard=1)
    story.edit(pause=True).see(job("a"), told, untold)
    assert story.entry("a").paused_since is None
    story.see(job("a"), told, pod("a", shard=1, pause_annotated=True), after=10)
    assert story.entry("a").paused_since == story.now


def test_a_resume_takes_the_annotation_back_and_counts_the_held_time() -> None:
    story = running()
    held = pod("a", pause_annotated=True, holding=True)
    story.edit(pause=True).see(job("a"), held, after=10)
    story.edit(pause=False).see(job("a"), held, after=90)
    assert story.annotated == [(held.name, False)]
    assert paused(story) == ("False", PauseReason.NOT_REQUESTED)
    assert story.events == [EventReason.RESUMED]
    assert (story.entry("a").paused_since, story.entry("a").paused_seconds) == (None, 90)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(pod("a", terminating=True), id="a terminating pod"),
        pytest.param(pod("a", PodPhase.FAILED), id="a failed pod"),
        pytest.param(pod("a", attempt=9), id="a pod of another Job"),
        pytest.param(pod("a", pause_annotated=True), id="an annotated pod"),
    ],
)
def test_these_pods_are_not_annotated(seen) -> None:
    story = running()
    story.edit(pause=True).see(job("a"), seen)
    assert story.annotated == []


def test_a_block_may_finish_while_paused_and_its_successor_waits() -> None:
    story = running()
    story.edit(pause=True).see(job("a", JobPhase.COMPLETE, finished_at=T0))
    assert story.entry("a").state is BlockState.SUCCEEDED
    assert (story.created, story.entry("b").reason) == ([], BlockReason.WAITING_FOR_RESUME)
    assert paused(story) == ("True", PauseReason.HOLDING)
    story.edit(pause=False).see()
    assert story.created == ["b"]


def test_a_finished_run_is_not_paused_any_more() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.edit(pause=True).see(job("a", JobPhase.COMPLETE, finished_at=T0))
    assert paused(story) == ("False", PauseReason.NOT_REQUESTED)
    assert EventReason.PAUSED not in story.events


def test_held_time_of_a_block_that_ends_is_counted_to_its_end() -> None:
    story = running()
    story.edit(pause=True).see(job("a"), pod("a", pause_annotated=True, holding=True))
    story.edit(cancel=True).see(job("a"), after=30)
    assert (story.entry("a").paused_since, story.entry("a").paused_seconds) == (None, 30)


# Deadlines.


def test_a_block_that_runs_for_too_long_fails_and_its_job_is_stopped() -> None:
    story = running(activeDeadlineSeconds=60)
    assert story.last.requeue_after == 60
    decision = story.see(job("a"), pod("a"), after=59.5)
    assert decision.requeue_after == 0.5
    story.see(job("a"), pod("a"), after=0.5)
    assert (story.entry("a").state, story.entry("a").reason) == (BlockState.FAILED, BlockReason.DEADLINE_EXCEEDED)
    assert story.entry("a").message == "ran for longer than its activeDeadlineSeconds of 60 s"
    assert story.deleted == [job_name("a")]


def test_the_runs_default_deadline_counts_where_the_block_names_none() -> None:
    story = Story(spec(block("a"), defaults={"activeDeadlineSeconds": 5}))
    story.see()
    story.see(job("a"), pod("a"), after=5)
    assert story.entry("a").reason is BlockReason.DEADLINE_EXCEEDED


def test_a_requeue_is_never_sooner_than_the_floor() -> None:
    story = running(activeDeadlineSeconds=60)
    assert story.see(job("a"), pod("a"), after=59.999).requeue_after == 0.05


@pytest.mark.parametrize(
    ("phase", "paused", "holding"),
    [
        pytest.param(JobPhase.ACTIVE, True, True, id="paused"),
        pytest.param(JobPhase.ACTIVE, True, False, id="paused, and no worker's word arrives"),
        pytest.param(JobPhase.SUSPENDED, False, False, id="sent to its queue"),
    ],
)
def test_held_time_does_not_count(phase: JobPhase, paused: bool, holding: bool) -> None:
    story = running(activeDeadlineSeconds=60)
    held = pod("a", pause_annotated=paused, holding=holding)
    decision = story.edit(pause=paused).see(job("a", phase), held, after=50)
    assert decision.requeue_after is None
    story.see(job("a", phase), held, after=1000)
    assert story.entry("a").state is BlockState.RUNNING
    decision = story.edit(pause=False).see(job("a"), pod("a"))
    assert decision.requeue_after == 10
    assert story.entry("a").paused_seconds == 1000
    story.see(job("a"), pod("a"), after=10)
    assert story.entry("a").reason is BlockReason.DEADLINE_EXCEEDED
    assert "(1000 s of pause not counted)" in (story.entry("a").message or "")


def test_time_in_a_queue_before_the_first_pod_does_not_count() -> None:
    story = Story(spec(block("a", activeDeadlineSeconds=60)))
    story.see()
    story.see(job("a", JobPhase.SUSPENDED), after=500)
    story.see(job("a"), pod("a", PodPhase.PENDING), after=500)
    assert story.entry("a").state is BlockState.PENDING
    decision = story.see(job("a"), pod("a", started_at=story.now))
    assert decision.requeue_after == 60


def test_a_job_that_ended_in_time_is_not_failed_while_its_pods_are_waited_for() -> None:
    story = running(activeDeadlineSeconds=60)
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0.replace(second=59)), pod("a"), after=61)
    assert story.entry("a").state is BlockState.RUNNING


def test_held_time_is_not_touched_while_the_job_is_out_of_view() -> None:
    story = running()
    story.edit(pause=True).see(job("a"), pod("a", pause_annotated=True, holding=True))
    since = story.entry("a").paused_since
    story.edit(pause=False).see(after=30)
    assert story.entry("a").paused_since == since
