"""A gate holds its descendants until somebody with the right to do so decides."""

from runs import quick, run
from scenario import Runs, ledger, states

from diffrun_contracts.reasons import EventReason
from diffrun_devcluster.kubectl import condition
from diffrun_devcluster.release import Release

GATE = {"gate": {"prompt": "Good enough?"}}


def gated(name: str, **gate: object) -> dict[str, object]:
    return run(name, quick("preview", gate={**GATE["gate"], **gate}), quick("full"))


def test_an_approval_lets_the_run_go_on_and_is_recorded_with_its_author(runs: Runs, approver: str) -> None:
    name = runs.start(gated("approve"))
    waiting = runs.until_condition(name, "GatePending")
    assert states(waiting) == {"preview": "Succeeded", "full": "Pending"}
    assert "Good enough?" in condition(waiting, "GatePending")["message"]
    opened = runs.until_posted(name, EventReason.GATE_OPENED)[EventReason.GATE_OPENED]
    assert "Good enough?" in opened["message"]

    decided = runs.decide(name, "preview", "Approved", approver, note="nice cats")
    assert decided.returncode == 0, decided.stderr

    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["reason"] == "AllBlocksSucceeded"
    gate = ended["status"]["gates"]["preview"]
    assert (gate["state"], gate["decidedBy"], gate["note"]) == ("Approved", approver, "nice cats")
    posted = runs.until_posted(name, EventReason.GATE_APPROVED, EventReason.RUN_SUCCEEDED)
    assert approver in posted[EventReason.GATE_APPROVED]["message"]


def test_a_rejection_ends_the_run_and_starts_nothing_more(runs: Runs, approver: str) -> None:
    name = runs.start(gated("reject"))
    runs.until_condition(name, "GatePending")
    runs.decide(name, "preview", "Rejected", approver)
    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "False"
    assert condition(ended, "Succeeded")["reason"] == "GateRejected"
    assert states(ended) == {"preview": "Succeeded", "full": "Skipped"}
    assert len(runs.jobs(name)) == 1


def test_a_decision_before_the_gate_waits_is_refused_with_the_reason(runs: Runs, approver: str) -> None:
    name = runs.start(run("early", quick("wait", gate={"prompt": "first"}), quick("preview", **GATE)))
    runs.until_condition(name, "GatePending")
    refused = runs.decide(name, "preview", "Approved", approver)
    assert refused.returncode != 0
    assert "preview" in refused.stderr
    assert "preview" not in runs.get(name)["status"]["gates"]


def test_a_decision_stands_and_a_later_one_is_refused(runs: Runs, approver: str) -> None:
    name = runs.start(gated("stale"))
    runs.until_condition(name, "GatePending")
    assert runs.decide(name, "preview", "Rejected", approver).returncode == 0
    assert runs.decide(name, "preview", "Approved", approver).returncode != 0
    assert runs.finished(name)["status"]["gates"]["preview"]["decision"] == "Rejected"


def test_a_decision_bound_to_another_preview_is_refused(runs: Runs, approver: str) -> None:
    name = runs.start(
        run("digest", {**quick("preview", **GATE), "custom": {"type": "test.sleep", "params": {"artifacts": 2}}})
    )
    waiting = runs.until_condition(name, "GatePending")
    digest = waiting["status"]["gates"]["preview"]["previewDigest"]
    assert digest.startswith("sha256:")
    other = runs.decide(name, "preview", "Approved", approver, previewDigest="sha256:" + "0" * 64)
    assert other.returncode != 0
    assert "previewDigest" in other.stderr
    same = runs.decide(name, "preview", "Approved", approver, previewDigest=digest)
    assert same.returncode == 0, same.stderr
    assert condition(runs.finished(name), "Succeeded")["status"] == "True"


def test_a_user_without_the_role_cannot_decide(runs: Runs, release: Release) -> None:
    name = runs.start(gated("stranger"))
    runs.until_condition(name, "GatePending")
    refused = runs.decide(name, "preview", "Approved", f"system:serviceaccount:{release.namespace}:mallory")
    assert "forbidden" in refused.stderr.lower()
    assert runs.get(name)["status"]["gates"]["preview"]["state"] == "Waiting"


def test_a_decision_made_while_the_operator_is_down_counts_when_it_is_back(
    runs: Runs, release: Release, approver: str
) -> None:
    name = runs.start(gated("operator-down"))
    runs.until_condition(name, "GatePending")
    release.stop_operator()
    try:
        decided = runs.decide(name, "preview", "Approved", approver)
        assert decided.returncode == 0, decided.stderr
        assert runs.get(name)["status"]["gates"]["preview"]["state"] == "Waiting"
    finally:
        release.start_operator()
    ended = runs.finished(name)
    assert states(ended) == {"preview": "Succeeded", "full": "Succeeded"}
    assert ledger(ended)["full"]["attempt"] == 1


def test_a_gate_whose_time_is_up_rejects_unless_told_otherwise(runs: Runs) -> None:
    rejecting = runs.start(gated("expire-reject", timeoutSeconds=1))
    approving = runs.start(gated("expire-approve", timeoutSeconds=1, onTimeout="Approve"))
    ended = runs.finished(rejecting)
    assert condition(ended, "Succeeded")["reason"] == "GateExpired"
    assert ended["status"]["gates"]["preview"]["state"] == "Expired"
    gone_on = runs.finished(approving)
    assert condition(gone_on, "Succeeded")["status"] == "True"
    assert "decidedBy" not in gone_on["status"]["gates"]["preview"]
