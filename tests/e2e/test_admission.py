"""The admission policy: nobody but the operator changes a status, save the decision of a waiting gate."""

from collections.abc import Iterator
from typing import Any

import pytest
from admission_support import DIGEST, NOW, Rules, rules, waiting

from diffrun_contracts.status import operator_fields, operator_gate_fields
from diffrun_devcluster.kubectl import Kubectl

pytestmark = pytest.mark.cluster

STARTED = {"startTime": NOW}


@pytest.fixture(scope="module")
def here(cluster: Kubectl) -> Iterator[Rules]:
    with rules(cluster) as made:
        yield made


@pytest.fixture(scope="module")
def alice(here: Rules) -> str:
    return here.approver("alice")


def refused(done: Any, *words: str) -> None:
    assert done.returncode != 0, done.stdout
    for word in words:
        assert word in done.stderr


# What is allowed


@pytest.mark.parametrize("decision", ["Approved", "Rejected"])
def test_an_approver_decides_a_waiting_gate_under_their_own_name(here: Rules, alice: str, decision: str) -> None:
    run = here.run(f"may-{decision.lower()}", waiting())
    done = here.decide(run, alice, decision=decision, note="seen", previewDigest=DIGEST)
    assert done.returncode == 0, done.stderr
    gate = here.gate(run)
    assert (gate["decision"], gate["decidedBy"], gate["note"]) == (decision, alice, "seen")


def test_the_operator_writes_every_field_also_of_a_decided_gate(here: Rules, alice: str) -> None:
    run = here.run("operator", waiting())
    assert here.decide(run, alice).returncode == 0
    closed = {"state": "Approved", "closedAt": NOW}
    done = here.patch_status(run, {"done": "2/3", "gates": {"preview": closed}}, here.operator)
    assert done.returncode == 0, done.stderr


def test_a_patch_that_changes_nothing_is_no_offence(here: Rules, alice: str) -> None:
    run = here.run("same", waiting())
    assert here.patch_status(run, {"done": "1/3"}, alice).returncode == 0


# Decisions that come too early, too late, or for something else


@pytest.mark.parametrize("status", [None, {}, STARTED], ids=["no status", "empty status", "started"])
def test_a_decision_before_the_gate_has_opened_is_told_so(here: Rules, alice: str, status: Any) -> None:
    run = here.run(f"early-{len(str(status))}", status)
    refused(
        here.decide(run, alice),
        "this gate has not opened: a gate can be decided once its block has succeeded "
        "(kubectl wait dfr/<run> --for=condition=GatePending)",
    )


def test_a_gate_forged_whole_before_it_has_opened_is_refused(here: Rules, alice: str) -> None:
    run = here.run("whole", STARTED)
    forged = {"state": "Waiting", "openedAt": NOW, "decision": "Approved", "decidedBy": alice}
    refused(
        here.patch_status(run, {"gates": {"preview": forged}}, alice),
        "gate preview has not opened: it opens when its block has succeeded; wait with: "
        "kubectl wait dfr/whole --for=condition=GatePending",
    )


@pytest.mark.parametrize("state", ["Approved", "Rejected", "Expired"])
def test_a_decision_on_a_closed_gate_is_told_how_it_ended(here: Rules, alice: str, state: str) -> None:
    run = here.run(f"late-{state.lower()}", waiting(state=state, closedAt=NOW))
    refused(
        here.decide(run, alice),
        f"gate preview is closed: it is {state}, and no decision can change that; create a new run",
    )


def test_a_decision_stands(here: Rules, alice: str) -> None:
    run = here.run("flip", waiting())
    assert here.decide(run, alice).returncode == 0
    final = "gate preview has been decided: Approved by alice; a decision is final"
    refused(here.decide(run, alice, decision="Rejected"), final)
    refused(here.decide(run, here.approver("bob")), final)
    refused(here.decide(run, alice, note="second thoughts"), final)
    refused(here.patch_status(run, {"gates": {"preview": {"decision": None, "decidedBy": None}}}, alice), final)


def test_a_decision_on_another_preview_is_refused(here: Rules, alice: str) -> None:
    run = here.run("digest", waiting())
    refused(
        here.decide(run, alice, previewDigest="sha256:" + "2" * 64),
        "gate preview: previewDigest is not that of the preview that waits, so the decision speaks of something "
        f"else; look again and restate {DIGEST}",
    )


# Forgeries


@pytest.mark.parametrize("name", ["bob", ""], ids=["another", "nobody"])
def test_a_decision_under_another_name_is_told_the_line_to_add(here: Rules, alice: str, name: str) -> None:
    run = here.run(f"name-{len(name)}", waiting())
    refused(
        here.decide(run, alice, decidedBy=name),
        'gate preview: decidedBy must be you; add "decidedBy":"alice" beside the decision',
    )


def test_a_decision_without_a_name_is_told_the_line_to_add(here: Rules, alice: str) -> None:
    run = here.run("nameless", waiting())
    refused(
        here.patch_status(run, {"gates": {"preview": {"decision": "Approved"}}}, alice),
        'add "decidedBy":"alice" beside the decision',
    )


def test_a_note_without_a_decision_is_refused(here: Rules, alice: str) -> None:
    run = here.run("note", waiting())
    refused(
        here.patch_status(run, {"gates": {"preview": {"note": "as bob would say", "decidedBy": alice}}}, alice),
        "a gate is changed by deciding it: set decision to Approved or Rejected, beside decidedBy",
    )


def test_a_decision_is_one_of_two_words(here: Rules, alice: str) -> None:
    run = here.run("words", waiting())
    refused(here.decide(run, alice, decision="yes"), 'Unsupported value: "yes"', '"Approved", "Rejected"')


GATE_FORGERIES = {
    "state": "Approved",
    "openedAt": "2020-01-01T00:00:00Z",
    "closedAt": NOW,
    "previewDigest": "sha256:" + "3" * 64,
}


@pytest.mark.parametrize("field", operator_gate_fields())
def test_no_approver_changes_what_the_operator_writes_into_a_gate(here: Rules, alice: str, field: str) -> None:
    run = here.run(f"gate-{field.lower()}", waiting())
    refused(here.decide(run, alice, **{field: GATE_FORGERIES[field]}), field)
    assert "decision" not in here.gate(run)


FORGERIES: dict[str, Any] = {
    "observedGeneration": 7,
    "startTime": None,
    "completionTime": NOW,
    "currentBlock": "full",
    "done": "3/3",
    "progress": "9/9",
    "blocks": [{"name": "preview", "state": "Failed", "reason": "UserError"}],
    "conditions": [],
}


@pytest.mark.parametrize("field", operator_fields())
@pytest.mark.parametrize("who", ["approver", "administrator"])
def test_nobody_forges_the_ledger(here: Rules, alice: str, field: str, who: str) -> None:
    run = here.run(f"forge-{field.lower()}-{who[:2]}", waiting())
    user = alice if who == "approver" else None
    refused(
        here.patch_status(run, {field: FORGERIES[field]}, user),
        f"status.{field}: only the operator writes it; people decide gates and edit the spec",
    )


def test_a_decision_carries_no_forgery_with_it(here: Rules, alice: str) -> None:
    run = here.run("smuggle", waiting())
    gate = {"preview": {"decision": "Approved", "decidedBy": alice}}
    refused(here.patch_status(run, {"done": "3/3", "gates": gate}, alice), "status.done: only the operator writes it")


@pytest.mark.parametrize("patch", [{"gates": {"preview": None}}, {"gates": None}, None], ids=["one", "all", "status"])
def test_no_gate_vanishes(here: Rules, alice: str, patch: Any) -> None:
    run = here.run(f"vanish-{len(str(patch))}", waiting())
    refused(
        here.patch_status(run, patch, alice),
        "gate preview cannot be removed; to decide it, set decision and decidedBy",
    )


# Roles


def test_a_user_without_the_role_may_not_decide(here: Rules) -> None:
    run = here.run("mallory", waiting())
    refused(here.decide(run, "mallory"), "forbidden", 'User "mallory" cannot get resource "diffusionruns/status"')


def test_an_approver_may_decide_and_read_and_nothing_else(here: Rules, alice: str) -> None:
    run = here.run("role", waiting())
    assert here.kubectl.impersonating(alice).try_run("get", "dfr", run).returncode == 0
    refused(here.patch_spec(run, {"cancel": True}, alice), "forbidden")
    for verb in ("create", "update", "delete"):
        assert here.kubectl.impersonating(alice).try_run("auth", "can-i", verb, "dfr").stdout.strip() == "no"
    assert here.kubectl.impersonating(alice).try_run("auth", "can-i", "get", "secrets").stdout.strip() == "no"


def test_the_operator_has_no_right_to_the_spec(here: Rules) -> None:
    run = here.run("spec-rbac", waiting())
    refused(here.patch_spec(run, {"cancel": True}, here.operator), "forbidden")


# Two releases, and the policy itself


def test_two_releases_do_not_lock_each_other_out(here: Rules, cluster: Kubectl) -> None:
    with rules(cluster, "other") as other:
        mine, theirs = here.run("mine", waiting()), other.run("theirs", waiting())
        assert here.patch_status(mine, {"done": "2/3"}, here.operator).returncode == 0
        assert other.patch_status(theirs, {"done": "2/3"}, other.operator).returncode == 0
        assert other.decide(theirs, other.approver("carol")).returncode == 0
        refused(here.patch_status(mine, {"done": "3/3"}, other.operator), "forbidden")


def test_an_operator_with_rights_elsewhere_is_still_a_stranger_here(here: Rules, cluster: Kubectl) -> None:
    """RBAC alone would let it in: it is the policy that knows whose namespace this is."""
    stranger = "system:serviceaccount:elsewhere:rules-operator"
    here.kubectl.run("create", "rolebinding", "stranger", "--clusterrole=cluster-admin", f"--user={stranger}")
    run = here.run("stranger", waiting())
    refused(here.patch_status(run, {"done": "3/3"}, stranger), "status.done: only the operator writes it")


def test_the_policy_type_checks_and_fails_closed(here: Rules, cluster: Kubectl) -> None:
    cluster.run(
        "wait", f"validatingadmissionpolicy/{here.policy}", "--for=jsonpath={.status.typeChecking}", "--timeout=60s"
    )
    policy = cluster.get("validatingadmissionpolicy", here.policy)
    assert policy["status"]["typeChecking"] == {}, policy["status"]["typeChecking"]
    assert policy["spec"]["failurePolicy"] == "Fail"
    binding = cluster.get("validatingadmissionpolicybinding", here.policy)
    assert binding["spec"] == {"policyName": here.policy, "validationActions": ["Deny"]}
