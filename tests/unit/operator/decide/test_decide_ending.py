"""How a run ends: cancelled, succeeded or failed, and frozen from then on; its conditions and Events on the way."""

import dataclasses
import itertools
from datetime import timedelta

import pytest
from decide_kit import T0, Story, block, job, job_name, pod, spec

from diffrun_contracts.reasons import BlockReason, ConditionType, EventReason, RunReason
from diffrun_contracts.status import BlockState, GateDecision, GateState, Progress
from diffrun_operator.decide import columns, decide
from diffrun_operator.decide.text import clip
from diffrun_operator.model import JobPhase, Observed, PodPhase, Policy

COMPLETE, FAILED = JobPhase.COMPLETE, JobPhase.FAILED
LINE = spec(block("a", gate={}), block("b"), block("x", dependsOn=[]))


def test_cancelling_ends_every_open_block_and_stops_its_job() -> None:
    story = Story(LINE)
    story.see()
    story.see(job("a", COMPLETE, finished_at=T0), job("x"), pod("x"))
    story.edit(cancel=True).see(job("a", COMPLETE, finished_at=T0), job("x"), pod("x"))
    states = {entry.name: entry.state for entry in story.run.status.blocks}
    assert states == {"a": BlockState.SUCCEEDED, "b": BlockState.CANCELLED, "x": BlockState.CANCELLED}
    assert story.entry("b").reason is BlockReason.CANCELLED
    assert story.run.status.gates["a"].state is GateState.EXPIRED
    assert story.deleted == [job_name("x")]
    assert story.events == [EventReason.GATE_EXPIRED, EventReason.RUN_CANCELLED]
    end = story.condition(ConditionType.SUCCEEDED)
    assert (end.status, end.reason, end.message) == ("False", RunReason.CANCELLED, "spec.cancel was set")
    assert story.condition(ConditionType.FINISHED).status == "True"
    assert story.run.status.completion_time == story.now


def test_cancelling_beats_an_approval_that_races_with_it() -> None:
    story = Story(LINE)
    story.see()
    story.see(job("a", COMPLETE, finished_at=T0), job("x", COMPLETE, finished_at=T0))
    story.decide_gate("a", GateDecision.APPROVED).edit(cancel=True).see()
    gate = story.run.status.gates["a"]
    assert (gate.state, gate.decision) == (GateState.EXPIRED, GateDecision.APPROVED)
    assert story.created == []
    assert story.entry("b").state is BlockState.CANCELLED


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(spec(block("a"), cancel=True), id="valid"),
        pytest.param(spec(block("a", dependsOn=["x"]), cancel=True), id="invalid"),
        pytest.param(spec(block("a"), cancel=True, pause=True), id="paused"),
    ],
)
def test_a_run_cancelled_before_its_start_starts_nothing(asked) -> None:
    story = Story(asked)
    story.see()
    assert (story.created, story.run.status.start_time) == ([], None)
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.CANCELLED


def test_a_job_that_appears_after_the_cancellation_is_stopped_too() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.edit(cancel=True).see()
    status = story.run.status
    story.see(job("a"), pod("a"), after=3)
    assert story.deleted == [job_name("a")]
    assert story.run.status is status


def test_a_finished_run_is_frozen() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.complete("a")
    assert story.events == [EventReason.BLOCK_SUCCEEDED, EventReason.RUN_SUCCEEDED]
    status = story.run.status
    for change in ({"pause": True}, {"cancel": True}, {"blocks": []}):
        decision = story.edit(**change).see(job("a", COMPLETE), pod("a"), after=60, lost_jobs=frozenset({"job-a-1"}))
        assert decision.status is status
        assert (decision.actions, decision.requeue_after) == ((), None)


def test_all_blocks_succeeded() -> None:
    story = Story(spec(block("a"), block("b")))
    story.see()
    story.complete("a", "b")
    end = story.condition(ConditionType.SUCCEEDED)
    assert (end.status, end.reason, end.message) == ("True", RunReason.ALL_BLOCKS_SUCCEEDED, "all 2 blocks succeeded")
    assert (story.run.status.done, story.run.status.current_block) == ("2/2", None)


def test_the_first_cause_by_the_ledgers_order_is_told() -> None:
    story = Story(spec(block("a"), block("b", dependsOn=[]), block("g", dependsOn=[], gate={"timeoutSeconds": 1})))
    story.see()
    story.see(job("b", FAILED), job("g", COMPLETE, finished_at=T0), job("a"))
    story.see(job("a", FAILED), after=5)
    end = story.condition(ConditionType.SUCCEEDED)
    assert end.reason == RunReason.BLOCK_FAILED
    assert end.message.startswith('block "a" failed: WorkerFailed: ')
    assert EventReason.RUN_FAILED in story.events


def test_a_rejected_gate_goes_before_an_expired_one() -> None:
    story = Story(spec(block("a", gate={"timeoutSeconds": 1}), block("b", dependsOn=[], gate={})))
    story.see()
    story.complete("a")
    story.see(job("b", COMPLETE, finished_at=T0), after=5)
    story.decide_gate("b", GateDecision.REJECTED).see()
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.GATE_REJECTED


def test_a_transition_time_moves_only_with_the_status_and_the_generation_always() -> None:
    story = Story(spec(block("a")))
    story.see()
    began = story.condition(ConditionType.SUCCEEDED).last_transition_time
    story.edit(pause=False).see(job("a"), pod("a"), after=30)
    condition = story.condition(ConditionType.SUCCEEDED)
    assert (condition.reason, condition.last_transition_time) == (RunReason.RUNNING, began)
    assert {c.observed_generation for c in story.run.status.conditions} == {2}
    assert story.run.status.observed_generation == 2
    story.see(job("a", COMPLETE, finished_at=T0), after=30)
    assert story.condition(ConditionType.SUCCEEDED).last_transition_time == story.now
    assert [c.type for c in story.run.status.conditions] == list(ConditionType)


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        pytest.param([], RunReason.PENDING, id="being created"),
        pytest.param([job("a"), pod("a", PodPhase.PENDING)], RunReason.PENDING, id="starting"),
        pytest.param([job("a", JobPhase.SUSPENDED)], RunReason.QUEUED, id="queued"),
        pytest.param([job("a"), pod("a")], RunReason.RUNNING, id="running"),
    ],
)
def test_an_unfinished_run_says_what_it_does(seen, reason: RunReason) -> None:
    story = Story(spec(block("a")))
    story.see()
    story.see(*seen)
    condition = story.condition(ConditionType.SUCCEEDED)
    assert (condition.status, condition.reason) == ("Unknown", reason)
    assert condition.message.startswith(f'block "a": {story.entry("a").reason}')


def test_a_running_block_is_current_before_a_waiting_gate_before_a_starting_block() -> None:
    story = Story(spec(block("s"), block("g", dependsOn=[], gate={}), block("r", dependsOn=[])))
    story.see()
    assert story.run.status.current_block == "s"
    story.see(job("s"), job("g", COMPLETE, finished_at=T0), job("r"))
    assert story.run.status.current_block == "g"
    story.see(job("s"), job("r"), pod("r"))
    assert (story.run.status.current_block, story.run.status.done) == ("r", "1/3")


@pytest.mark.parametrize(
    ("made", "text"),
    [
        pytest.param(Progress(done=21, total=50), "42 % (21/50)", id="some"),
        pytest.param(Progress(done=999, total=1000), "99 % (999/1000)", id="rounded down"),
        pytest.param(Progress(done=3, total=2), "100 % (3/2)", id="more than announced"),
        pytest.param(Progress(done=0, total=0), None, id="nothing announced"),
    ],
)
def test_progress_is_told_to_people(made: Progress, text: str | None) -> None:
    assert columns.percentage(made) == text


def test_an_event_tells_of_a_new_attempt() -> None:
    story = Story(spec(block("a")))
    story.see()
    story.see(job("a"))
    story.see(lost_jobs=frozenset({"job-a-1"}))
    message = f'block "a" starts attempt 2 as Job {job_name("a", 2)}: Job {job_name("a")} of attempt 1 '
    assert story.told(EventReason.BLOCK_RETRIED) == message + "disappeared before its outcome was seen"


@pytest.mark.parametrize("text", ["x" * 2000, "ü" * 1000, "x" * 1022 + "üü"])
def test_clipping_keeps_valid_text_within_the_bytes(text: str) -> None:
    clipped = clip(text)
    assert len(clipped.encode()) <= 1024
    assert clipped.endswith("…")
    assert clip(clipped) == clipped


def test_the_order_of_jobs_and_pods_plays_no_part() -> None:
    story = Story(spec(block("a", shards=2), block("b", dependsOn=[]), pause=False))
    story.see()
    jobs = [job("a"), job("b"), job("a", attempt=2, uid="stray")]
    pods = [
        pod("a", PodPhase.FAILED, trouble_message="first", finished_at=T0),
        pod("a", PodPhase.FAILED, shard=1, trouble_message="second", finished_at=T0),
        pod("a", PodPhase.PENDING, n=1, trouble=BlockReason.UNSCHEDULABLE),
        pod("b", started_at=T0 + timedelta(seconds=1)),
    ]
    run = dataclasses.replace(story.run, spec=story.run.spec.model_copy(update={"pause": True}))  # type: ignore[union-attr]
    decisions = [
        decide(run, Observed(jobs=tuple(some_jobs), pods=tuple(some_pods)), T0, Policy())
        for some_jobs in itertools.permutations(jobs)
        for some_pods in itertools.permutations(pods)
    ]
    assert all(decision == decisions[0] for decision in decisions)
