"""An installation that serves a second namespace, with a claim, a Secret and a service account of its own."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from runs import quick, run
from scenario import Runs

from diffrun_contracts import names
from diffrun_contracts.reasons import EventReason
from diffrun_devcluster.kubectl import condition
from diffrun_devcluster.release import Release, restricted


@pytest.fixture
def team(release: Release) -> Iterator[Release]:
    """The installation as it is seen in the namespace that it serves beside its own."""
    there = replace(release, namespace=f"{release.namespace}-team")
    release.cluster.run("apply", "--server-side", "--filename", "-", stdin=json.dumps(restricted(there.namespace)))
    release.install(runNamespaces=f"{{{there.namespace}}}")
    (claim,) = there.kubectl.items("pvc")
    yield there
    there.kubectl.run("delete", "dfr", "--all")
    release.install()
    release.cluster.run("delete", "namespace", there.namespace, "--wait=true")
    release.cluster.run("delete", "pv", claim["spec"]["volumeName"])


def test_a_run_in_a_further_namespace_goes_through_its_gate_beside_one_of_its_name(
    runs: Runs, release: Release, approver: str, team: Release
) -> None:
    theirs, their_approver = Runs(team.kubectl), team.ensure_approver("bob")
    for each in (runs, theirs):
        each.start(run("spread", quick("preview", gate={}), quick("full")))
    for each in (runs, theirs):
        each.until_condition("spread", "GatePending")

    assert "forbidden" in theirs.decide("spread", "preview", "Approved", approver).stderr.lower()
    forged = theirs.decide("spread", "preview", "Approved", their_approver, decidedBy="mallory")
    assert "decidedBy" in forged.stderr, "the gates are guarded there too"
    for each, person in ((runs, approver), (theirs, their_approver)):
        decided = each.decide("spread", "preview", "Approved", person)
        assert decided.returncode == 0, decided.stderr
        ended = each.finished("spread")
        assert condition(ended, "Succeeded")["status"] == "True", condition(ended, "Succeeded")
        assert ended["status"]["gates"]["preview"]["decidedBy"] == person
        each.until_posted("spread", EventReason.GATE_APPROVED, EventReason.RUN_SUCCEEDED)
        assert release.redis_events(names.events_key(ended["metadata"]["uid"])), "its workers reach Redis"
