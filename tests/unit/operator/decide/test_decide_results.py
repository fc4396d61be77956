"""What the ledger keeps of a block that is done: its outputs, and what its pods' last words tell."""

import json

import pytest
from decide_kit import T0, Story, block, job, outcome, pod, result, spec, started

from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.status import BlockState
from diffrun_contracts.task import BlockResult
from diffrun_operator.model import JobPhase, PodPhase

FAILED, SUCCEEDED = PodPhase.FAILED, PodPhase.SUCCEEDED


def test_a_complete_job_succeeds_its_block_with_shard_zeros_outputs() -> None:
    story = started(shards=2)
    story.see(job("a"), pod("a", shard=0), pod("a", shard=1))
    story.see(
        job("a", JobPhase.COMPLETE, finished_at=T0),
        pod("a", SUCCEEDED, shard=1, result=result({"who": "one"})),
        pod("a", SUCCEEDED, shard=0, n=1, finished_at=T0, result=result({"who": "zero"})),
        pod("a", FAILED, shard=0, n=0, finished_at=T0, result=result(error="once")),
    )
    entry = story.entry("a")
    assert (entry.state, entry.reason) == (BlockState.SUCCEEDED, BlockReason.COMPLETED)
    assert entry.outputs == {"who": "zero"}
    assert (entry.start_time, entry.completion_time) == (T0, T0)


def test_outputs_are_cut_to_a_kibibyte_by_whole_values() -> None:
    story = started()
    outputs = {"path": "models/x", "log": "é" * 2000, "n": 7}
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0), pod("a", SUCCEEDED, result=result(outputs)))
    assert story.entry("a").outputs == {"path": "models/x", "n": 7}
    assert len(json.dumps(story.entry("a").outputs)) <= 1024


def test_pods_that_are_seen_alive_after_their_jobs_end_are_waited_for_but_not_for_ever() -> None:
    story = started()
    complete = job("a", JobPhase.COMPLETE, finished_at=T0)
    decision = story.see(complete, pod("a"), after=1)
    assert story.entry("a").state is BlockState.RUNNING or story.entry("a").state is BlockState.PENDING
    assert decision.requeue_after == 4.0
    story.see(complete, pod("a", SUCCEEDED, result=result({"x": 1})))
    assert story.entry("a").outputs == {"x": 1}

    other = started()
    other.see(complete, pod("a"), after=6)
    assert outcome(other) == (BlockState.SUCCEEDED, BlockReason.COMPLETED)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        pytest.param((0, 0), None, id="none"),
        pytest.param((1, 0), "1 metric point did not reach Redis; events.jsonl has all", id="one"),
        pytest.param((300, 20), "320 metric points did not reach Redis; events.jsonl has all", id="of all shards"),
    ],
)
def test_metric_points_that_redis_lacks_are_counted_in_the_message(
    missing: tuple[int, int], message: str | None
) -> None:
    story = Story(spec(block("a", shards=2)))
    story.see()
    later = T0.replace(hour=13)
    retried = pod("a", SUCCEEDED, n=0, finished_at=T0, result=BlockResult(dropped_metrics=7))
    newest = [
        pod("a", SUCCEEDED, shard=shard, n=1, finished_at=later, result=BlockResult(dropped_metrics=count))
        for shard, count in enumerate(missing)
    ]
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0), retried, *newest)
    assert story.entry("a").state is BlockState.SUCCEEDED
    assert story.entry("a").message == message
