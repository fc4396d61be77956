"""Blocks whose pods work together start again as a whole, as often as is allowed, and only where it may help."""

import pytest
from decide_kit import Story, block, job, job_name, pod, result, spec

from diffrun_contracts.reasons import BlockReason, EventReason
from diffrun_contracts.status import BlockState
from diffrun_operator.model import JobPhase, PodPhase, Policy

FAILED, RUNNING = PodPhase.FAILED, PodPhase.RUNNING
WORKER_FAILED, EVICTED = BlockReason.WORKER_FAILED, BlockReason.EVICTED


def training(policy: Policy | None = None, workers: int = 2, **fields: object) -> Story:
    story = Story(spec(block("t", train={"preset": "digits", "workers": workers}, **fields)), policy)
    story.see()
    return story


def lose(story: Story, trouble: BlockReason = WORKER_FAILED, words: str = "the peer is gone") -> None:
    """The current attempt's Job fails by one pod's trouble."""
    attempt = story.entry("t").attempt
    story.see(job("t", attempt=attempt))
    story.see(
        job("t", JobPhase.FAILED, attempt, finished_at=story.now),
        pod("t", FAILED, shard=1, attempt=attempt, trouble=trouble, trouble_message=words, finished_at=story.now),
    )


def test_a_failed_worker_starts_all_of_them_again_under_another_job() -> None:
    story = training()
    lose(story)
    entry = story.entry("t")
    assert (entry.state, entry.attempt, entry.job_ref.name) == (BlockState.PENDING, 2, job_name("t", 2))
    assert entry.message == "all 2 workers start again: the peer is gone"
    assert story.created == ["t"]
    assert "starts attempt 2" in story.told(EventReason.BLOCK_RETRIED)


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_the_block_fails_when_its_retries_are_used_up(retries: int) -> None:
    story = training(retries=retries)
    for _ in range(retries):
        lose(story)
        assert story.entry("t").state is BlockState.PENDING
    lose(story)
    entry = story.entry("t")
    assert (entry.state, entry.reason, entry.attempt) == (BlockState.FAILED, WORKER_FAILED, retries + 1)
    assert entry.message == f"the peer is gone (retries used up: {retries})"


def test_a_disruption_costs_no_retry() -> None:
    story = training(Policy(max_ignored_disruptions=2), retries=0)
    for disruptions in (1, 2):
        lose(story, EVICTED, "Preempted: by somebody more important")
        assert (story.entry("t").attempt, story.entry("t").disruptions) == (disruptions + 1, disruptions)
    lose(story)
    assert (story.entry("t").state, story.entry("t").reason) == (BlockState.FAILED, WORKER_FAILED)


def test_disruptions_are_forgiven_only_so_often() -> None:
    story = training(Policy(max_ignored_disruptions=1), retries=5)
    lose(story, EVICTED)
    lose(story, EVICTED)
    assert (story.entry("t").state, story.entry("t").reason) == (BlockState.FAILED, EVICTED)


@pytest.mark.parametrize("trouble", [BlockReason.USER_ERROR, BlockReason.OOM_KILLED])
def test_what_would_only_come_again_is_not_tried_again(trouble: BlockReason) -> None:
    story = training(retries=5)
    lose(story, trouble)
    assert (story.entry("t").state, story.entry("t").reason) == (BlockState.FAILED, trouble)


def test_a_lost_job_and_a_failed_one_are_counted_together() -> None:
    story = training(retries=1)
    story.see(job("t"))
    story.see(lost_jobs=frozenset({"job-t-1"}))
    assert story.entry("t").attempt == 2
    lose(story)
    assert story.entry("t").state is BlockState.FAILED


def test_the_pod_that_failed_first_tells_why_and_not_the_peers_that_it_took_along() -> None:
    story = training(retries=0)
    story.see(job("t"))
    early, late = story.now, story.now.replace(second=30)
    story.see(
        job("t", JobPhase.FAILED, finished_at=late),
        pod("t", FAILED, shard=0, trouble=WORKER_FAILED, result=result(error="lost the peer"), finished_at=late),
        pod("t", FAILED, shard=1, trouble=WORKER_FAILED, result=result(error="NaN on disk"), finished_at=early),
    )
    assert story.entry("t").message.startswith("NaN on disk")


def test_a_disrupted_pod_is_the_cause_even_where_its_peer_fell_first() -> None:
    story = training(retries=0)
    story.see(job("t"))
    early, late = story.now, story.now.replace(second=30)
    story.see(
        job("t", JobPhase.FAILED, finished_at=late),
        pod("t", FAILED, shard=0, trouble=WORKER_FAILED, finished_at=early),
        pod("t", FAILED, shard=1, trouble=EVICTED, trouble_message="drained", finished_at=late, terminating=True),
    )
    assert (story.entry("t").attempt, story.entry("t").disruptions) == (2, 1)


def test_the_last_words_of_all_pods_are_waited_for_before_one_of_them_is_believed() -> None:
    story = training(retries=0)
    story.see(job("t"))
    ended = job("t", JobPhase.FAILED, finished_at=story.now)
    first = pod("t", FAILED, shard=0, trouble=WORKER_FAILED, finished_at=story.now)
    story.see(ended, first, pod("t", RUNNING, shard=1))
    assert not story.entry("t").state.terminal
    evicted = pod("t", FAILED, shard=1, trouble=EVICTED, finished_at=story.now)
    story.see(ended, first, evicted, after=1)
    assert story.entry("t").attempt == 2


def test_nothing_is_started_again_while_the_run_is_paused() -> None:
    story = training()
    story.edit(pause=True)
    lose(story)
    assert (story.created, story.entry("t").reason) == ([], BlockReason.WAITING_FOR_RESUME)
    story.edit(pause=False).see()
    assert story.created == ["t"]


def test_one_worker_is_replaced_by_its_job_and_its_jobs_failure_is_the_blocks() -> None:
    story = training(workers=1)
    lose(story)
    assert (story.entry("t").state, story.entry("t").attempt) == (BlockState.FAILED, 1)


def test_the_first_failures_words_outlive_the_pods() -> None:
    """An evicted pod is deleted once it has ended, and its peers before the Job counts as failed."""
    story = training(retries=0)
    evicted = pod("t", FAILED, shard=1, trouble=EVICTED, trouble_message="drained")
    story.see(job("t"), pod("t", RUNNING, shard=0), evicted)
    story.see(job("t"), pod("t", FAILED, shard=0, trouble=WORKER_FAILED, trouble_message="lost the peer"))
    story.see(job("t", JobPhase.FAILED, finished_at=story.now))
    entry = story.entry("t")
    assert (entry.attempt, entry.disruptions, entry.failure) == (2, 1, None)
    assert entry.message == "all 2 workers start again: drained"


def test_a_users_error_seen_late_outweighs_what_was_known() -> None:
    story = training()
    story.see(job("t"), pod("t", FAILED, shard=0, trouble=WORKER_FAILED, trouble_message="lost the peer"))
    story.see(job("t"), pod("t", FAILED, shard=1, trouble=BlockReason.USER_ERROR, trouble_message="lower the batch"))
    story.see(job("t", JobPhase.FAILED, finished_at=story.now))
    entry = story.entry("t")
    assert (entry.state, entry.reason, entry.message) == (BlockState.FAILED, BlockReason.USER_ERROR, "lower the batch")


def test_a_newer_failure_of_the_same_kind_does_not_replace_the_first() -> None:
    story = training(retries=0)
    story.see(job("t"), pod("t", FAILED, shard=1, trouble=WORKER_FAILED, trouble_message="disk full"))
    story.see(job("t"), pod("t", FAILED, shard=0, trouble=WORKER_FAILED, trouble_message="lost the peer"))
    story.see(job("t", JobPhase.FAILED, finished_at=story.now))
    assert story.entry("t").message.startswith("disk full")


def test_while_the_others_end_the_block_says_once_whose_failure_they_follow() -> None:
    story = training()
    story.see(job("t"), pod("t", RUNNING, shard=0), pod("t", FAILED, shard=1, trouble_message="exit code 137"))
    message = "the 2 workers that train together end, since one has failed: exit code 137"
    assert (story.entry("t").reason, story.entry("t").message) == (BlockReason.RETRYING, message)
    assert story.told(EventReason.BLOCK_RETRIED).endswith(message)
    story.see(job("t"), pod("t", RUNNING, shard=0))
    assert (story.entry("t").message, story.events) == (message, [])
