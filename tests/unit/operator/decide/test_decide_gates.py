"""Gates: opened on success, closed by a person or by time, guarded or not moved at all."""

import hashlib

import pytest
from decide_kit import T0, Story, block, job, job_name, pod, result, spec

from diffrun_contracts.reasons import BlockReason, ConditionType, EventReason, GateReason, RunReason
from diffrun_contracts.status import BlockState, GateDecision, GateState
from diffrun_operator.model import JobPhase, PodPhase

APPROVED, REJECTED = GateDecision.APPROVED, GateDecision.REJECTED
DONE = job("a", JobPhase.COMPLETE, finished_at=T0)


def shard(index: int, digest: str | None, **fields: object):
    return pod("a", PodPhase.SUCCEEDED, shard=index, result=result(digest=digest), **fields)


def gated(shards: int = 1, **gate: object) -> Story:
    """`a` with a gate, `b` behind it, `x` beside both."""
    story = Story(
        spec(block("a", gate={"prompt": "Fine?", **gate}, shards=shards), block("b"), block("x", dependsOn=[]))
    )
    story.see()
    return story


def waiting(**gate: object) -> Story:
    story = gated(**gate)
    story.see(DONE, job("x"))
    return story


def test_a_gate_opens_when_its_block_succeeds_and_holds_its_descendants_only() -> None:
    story = gated()
    story.see(DONE, shard(0, "sha256:aa"), job("x", JobPhase.COMPLETE, finished_at=T0))
    gate = story.run.status.gates["a"]
    assert (gate.state, gate.opened_at, gate.preview_digest) == (GateState.WAITING, story.now, "sha256:aa")
    assert story.created == []
    assert story.entry("b").reason is BlockReason.WAITING_FOR_GATE
    assert story.entry("b").message == 'waits for the gate of block "a"'
    assert story.told(EventReason.GATE_OPENED) == 'the gate of block "a" waits for a decision: Fine?'
    assert story.condition(ConditionType.GATE_PENDING).status == "True"
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.GATE_PENDING
    assert story.run.status.current_block == "a"


@pytest.mark.parametrize(
    ("digests", "combined"),
    [
        pytest.param(["sha256:aa"], "sha256:aa", id="one shard"),
        pytest.param(
            ["sha256:aa", "sha256:bb"],
            "sha256:" + hashlib.sha256(b"sha256:aa\nsha256:bb").hexdigest(),
            id="several, in shard order",
        ),
        pytest.param(["sha256:aa", None], None, id="one unknown"),
    ],
)
def test_the_preview_digest_binds_all_shards(digests: list[str | None], combined: str | None) -> None:
    story = gated(shards=len(digests))
    pods = [shard(index, digest) for index, digest in enumerate(digests)]
    story.see(DONE, *reversed(pods))
    assert story.run.status.gates["a"].preview_digest == combined


def test_a_shard_without_a_pod_in_view_leaves_the_digest_unknown() -> None:
    story = gated(shards=2)
    story.see(DONE, shard(0, "sha256:aa"))
    assert story.run.status.gates["a"].preview_digest is None


def test_the_digest_is_that_of_the_newest_pod() -> None:
    story = gated()
    story.see(
        DONE, shard(0, "sha256:new", n=0, finished_at=T0.replace(hour=13)), shard(0, "sha256:old", n=1, finished_at=T0)
    )
    assert story.run.status.gates["a"].preview_digest == "sha256:new"


def test_an_approval_opens_the_way() -> None:
    story = waiting()
    story.decide_gate("a", APPROVED, note="looks good").see(DONE, after=5)
    gate = story.run.status.gates["a"]
    assert (gate.state, gate.closed_at) == (GateState.APPROVED, story.now)
    assert (gate.decision, gate.decided_by, gate.note) == (APPROVED, "alice", "looks good")
    assert story.created == ["b"]
    assert story.told(EventReason.GATE_APPROVED) == 'the gate of block "a" was approved by alice: looks good'
    assert story.condition(ConditionType.GATE_PENDING).reason == GateReason.NO_GATE_WAITING


def test_a_rejection_skips_the_descendants_and_ends_the_run_when_the_rest_is_done() -> None:
    story = waiting()
    story.decide_gate("a", REJECTED, note="blurred").see(job("x"))
    assert (story.entry("b").state, story.entry("b").reason) == (BlockState.SKIPPED, BlockReason.GATE_REJECTED)
    assert story.entry("b").message == 'the gate of block "a" was rejected by alice: blurred'
    assert story.condition(ConditionType.FINISHED).status == "False"
    assert story.told(EventReason.GATE_REJECTED) == 'the gate of block "a" was rejected by alice: blurred'
    story.see(job("x", JobPhase.COMPLETE, finished_at=T0))
    end = story.condition(ConditionType.SUCCEEDED)
    assert (end.status, end.reason, end.message) == ("False", RunReason.GATE_REJECTED, story.entry("b").message)


def test_an_expired_gate_counts_as_rejected_but_says_that_nobody_did() -> None:
    story = waiting(timeoutSeconds=60)
    assert story.last.requeue_after == 60
    decision = story.see(job("x"), after=45)
    assert decision.requeue_after == 15
    story.see(job("x"), after=15)
    assert story.run.status.gates["a"].state is GateState.EXPIRED
    assert (story.entry("b").state, story.entry("b").reason) == (BlockState.SKIPPED, BlockReason.GATE_EXPIRED)
    assert EventReason.GATE_EXPIRED in story.events
    story.see(job("x", JobPhase.COMPLETE, finished_at=T0))
    assert story.condition(ConditionType.SUCCEEDED).reason == RunReason.GATE_EXPIRED


def test_a_timeout_may_approve_and_leaves_no_decision_behind() -> None:
    story = waiting(timeoutSeconds=60, onTimeout="Approve")
    story.see(job("x"), after=60)
    gate = story.run.status.gates["a"]
    assert (gate.state, gate.decision, gate.decided_by) == (GateState.APPROVED, None, None)
    assert story.created == ["b"]
    assert (
        story.told(EventReason.GATE_APPROVED) == 'the gate of block "a" was approved by its timeout, as onTimeout asks'
    )


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        pytest.param(APPROVED, GateState.APPROVED, id="approved"),
        pytest.param(REJECTED, GateState.REJECTED, id="rejected"),
    ],
)
def test_a_decision_that_is_there_beats_the_timeout(decision: GateDecision, state: GateState) -> None:
    story = waiting(timeoutSeconds=60)
    story.decide_gate("a", decision).see(after=3600)
    assert story.run.status.gates["a"].state is state


def test_a_gate_without_a_timeout_waits_for_ever() -> None:
    story = waiting()
    decision = story.see(job("x"), after=10_000_000)
    assert story.run.status.gates["a"].state is GateState.WAITING
    assert decision.requeue_after is None


def test_a_gate_without_descendants_holds_the_end_of_the_run() -> None:
    story = Story(spec(block("a", gate={})))
    story.see()
    story.see(DONE)
    assert story.condition(ConditionType.FINISHED).status == "False"
    assert story.run.status.done == "1/1"
    story.decide_gate("a", APPROVED).see(DONE)
    assert story.condition(ConditionType.SUCCEEDED).status == "True"


def test_a_failed_block_opens_no_gate() -> None:
    story = gated()
    story.see(job("a", JobPhase.FAILED), job("x", JobPhase.COMPLETE, finished_at=T0))
    assert story.run.status.gates == {}
    assert story.condition(ConditionType.FINISHED).status == "True"


def test_no_gate_opens_while_the_admission_policy_is_missing() -> None:
    story = gated()
    decision = story.see(DONE, job("x"), gates_guarded=False)
    assert story.run.status.gates == {}
    assert story.entry("a").state is BlockState.SUCCEEDED
    assert story.entry("b").reason is BlockReason.ADMISSION_POLICY_MISSING
    assert "restore it with `helm upgrade`" in (story.entry("b").message or "")
    assert decision.requeue_after == 15.0
    assert "ValidatingAdmissionPolicy" in story.condition(ConditionType.GATE_PENDING).message
    assert EventReason.GATE_OPENED not in story.events
    story.see(job("x"), gates_guarded=True)
    assert story.run.status.gates["a"].state is GateState.WAITING


def test_an_unguarded_run_with_its_gate_at_the_end_does_not_finish() -> None:
    story = Story(spec(block("a", gate={})))
    story.see()
    decision = story.see(DONE, gates_guarded=False)
    assert story.condition(ConditionType.FINISHED).status == "False"
    assert decision.requeue_after == 15.0


def test_an_unguarded_decision_is_not_taken() -> None:
    story = waiting(timeoutSeconds=60)
    story.decide_gate("a", APPROVED, by="mallory").see(job("x"), after=90, gates_guarded=False)
    assert story.run.status.gates["a"].state is GateState.WAITING
    assert story.created == []


def test_several_gates_each_hold_their_own() -> None:
    asked = spec(block("a", gate={}), block("x", dependsOn=[], gate={}), block("j", dependsOn=["a", "x"]))
    story = Story(asked)
    story.see()
    story.see(DONE, job("x", JobPhase.COMPLETE, finished_at=T0))
    assert story.entry("j").message == 'waits for the gates of blocks "a", "x"'
    story.decide_gate("x", APPROVED).see()
    assert story.entry("j").message == 'waits for the gate of block "a"'
    story.decide_gate("a", APPROVED).see()
    assert story.created == ["j"]
    assert job_name("j") == story.entry("j").job_ref.name  # type: ignore[union-attr]
