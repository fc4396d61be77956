"""Pending and Running, and the reasons that pods give."""

import pytest
from decide_kit import T0, job, pod, result, started

from diffrun_contracts.reasons import BlockReason, EventReason
from diffrun_contracts.status import BlockState, Progress
from diffrun_operator.model import JobPhase, PodPhase

FAILED, RUNNING, SUCCEEDED, PENDING = PodPhase.FAILED, PodPhase.RUNNING, PodPhase.SUCCEEDED, PodPhase.PENDING


@pytest.mark.parametrize(
    ("phase", "pods", "state", "reason"),
    [
        pytest.param(JobPhase.SUSPENDED, [], BlockState.PENDING, BlockReason.QUEUED, id="held by a queue"),
        pytest.param(JobPhase.ACTIVE, [], BlockState.PENDING, BlockReason.STARTING, id="no pod yet"),
        pytest.param(JobPhase.ACTIVE, [pod("a", PENDING)], BlockState.PENDING, BlockReason.STARTING, id="pod starts"),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", PENDING, trouble=BlockReason.UNSCHEDULABLE, trouble_message="0/3 nodes")],
            BlockState.PENDING,
            BlockReason.UNSCHEDULABLE,
            id="unschedulable",
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", PENDING, trouble=BlockReason.IMAGE_PULL_FAILED, trouble_message="not found")],
            BlockState.PENDING,
            BlockReason.IMAGE_PULL_FAILED,
            id="image",
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", PENDING, trouble=BlockReason.CONTAINER_CONFIG_ERROR)],
            BlockState.PENDING,
            BlockReason.CONTAINER_CONFIG_ERROR,
            id="configuration",
        ),
        pytest.param(JobPhase.ACTIVE, [pod("a")], BlockState.RUNNING, BlockReason.RUNNING, id="runs"),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", shard=1), pod("a", PENDING, trouble=BlockReason.UNSCHEDULABLE)],
            BlockState.RUNNING,
            BlockReason.RUNNING,
            id="one of two shards runs",
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", SUCCEEDED), pod("a", PENDING, shard=1)],
            BlockState.RUNNING,
            BlockReason.RUNNING,
            id="one shard is done and the next starts",
        ),
        pytest.param(
            JobPhase.ACTIVE, [pod("a", FAILED)], BlockState.RUNNING, BlockReason.RETRYING, id="failed, not replaced yet"
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", FAILED), pod("a", PENDING, n=1)],
            BlockState.RUNNING,
            BlockReason.RETRYING,
            id="the replacement starts",
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", FAILED), pod("a", PENDING, n=1, trouble=BlockReason.UNSCHEDULABLE)],
            BlockState.RUNNING,
            BlockReason.UNSCHEDULABLE,
            id="the replacement finds no node",
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", FAILED), pod("a", n=1)],
            BlockState.RUNNING,
            BlockReason.RUNNING,
            id="the replacement runs",
        ),
        pytest.param(
            JobPhase.ACTIVE,
            [pod("a", FAILED, started_at=None)],
            BlockState.PENDING,
            BlockReason.RETRYING,
            id="evicted before it ran",
        ),
    ],
)
def test_state_and_reason_follow_the_pods(phase, pods, state: BlockState, reason: BlockReason) -> None:
    story = started(shards=2)
    story.see(job("a", phase), *pods)
    assert (story.entry("a").state, story.entry("a").reason) == (state, reason)
    assert (story.entry("a").start_time is not None) == (state is BlockState.RUNNING)


def test_the_start_is_that_of_the_first_pod_and_stays() -> None:
    story = started(shards=2)
    story.see(job("a"), pod("a", started_at=T0.replace(minute=9)), pod("a", shard=1, started_at=T0.replace(minute=7)))
    assert story.entry("a").start_time == T0.replace(minute=7)
    story.see(job("a"), pod("a", started_at=T0.replace(minute=9)))
    assert story.entry("a").start_time == T0.replace(minute=7)


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        pytest.param([job("a")], BlockReason.RUNNING, id="no pods in view"),
        pytest.param([job("a"), pod("a", PENDING, n=1)], BlockReason.STARTING, id="a new pod starts"),
        pytest.param([job("a", JobPhase.SUSPENDED)], BlockReason.QUEUED, id="sent back to its queue"),
    ],
)
def test_a_running_block_never_goes_back_to_pending(later, reason: BlockReason) -> None:
    story = started()
    story.see(job("a"), pod("a"))
    story.see(*later)
    assert (story.entry("a").state, story.entry("a").reason) == (BlockState.RUNNING, reason)


def test_messages_come_from_the_pods() -> None:
    story = started()
    story.see(job("a"), pod("a", PENDING, trouble=BlockReason.UNSCHEDULABLE, trouble_message="0/3 nodes have a GPU"))
    assert story.entry("a").message == "0/3 nodes have a GPU"
    story.see(job("a"), pod("a", FAILED, result=result(error="disk full")))
    assert story.entry("a").message == f"pod {pod('a').name} is being replaced: disk full"
    assert story.events == [EventReason.BLOCK_RETRIED]
    story.see(job("a"), pod("a", FAILED), pod("a", n=1))
    assert story.entry("a").message is None
    assert story.events == []


def test_progress_is_taken_up_while_the_block_runs_and_complete_when_it_is_done() -> None:
    story = started()
    story.see(job("a"), progress={"a": (3, 50)})
    assert story.entry("a").progress is None
    story.see(job("a"), pod("a"), progress={"a": (21, 50)})
    assert story.entry("a").progress == Progress(done=21, total=50)
    assert story.run.status.progress == "42 % (21/50)"
    story.see(job("a", JobPhase.COMPLETE, finished_at=T0), progress={"a": (21, 50)})
    assert story.entry("a").progress == Progress(done=50, total=50)
