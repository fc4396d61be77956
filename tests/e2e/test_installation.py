"""The chart on a live cluster: its own test passes, its pods are restricted, an upgrade disturbs nothing."""

import json
import subprocess

import pytest
from runs import quick, run, slow
from scenario import Runs

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Manifest, condition
from diffrun_devcluster.release import Release


def helm_test(release: Release) -> subprocess.CompletedProcess[str]:
    command = ["helm", "test", release.name, "--namespace", release.namespace, "--logs", "--timeout", "3m"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=release.cluster.environment())


def test_helm_test_finds_what_the_operator_depends_on(release: Release) -> None:
    done = helm_test(release)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("the API serves DiffusionRuns", "gates are guarded by", "Redis answers"):
        assert words in done.stdout


def test_helm_test_fails_while_the_gates_are_unguarded(release: Release) -> None:
    kind = "validatingadmissionpolicybinding"
    (binding,) = release.cluster.items(kind, f"app.kubernetes.io/instance={release.name}")
    release.cluster.run("delete", kind, binding["metadata"]["name"])
    try:
        done = helm_test(release)
    finally:
        release.install()
    assert done.returncode != 0
    assert "404" in done.stdout + done.stderr


def test_the_releases_namespace_takes_restricted_pods_alone(release: Release) -> None:
    root: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "root", "image": release.images.operator}]},
    }
    refused = release.kubectl.try_run("create", "--dry-run=server", "--filename", "-", stdin=json.dumps(root))
    assert "violates PodSecurity" in refused.stderr


LOOK = """
du --summarize --one-file-system --block-size=1 / 2>/dev/null | cut -f1
ls /opt/diffrun/venv/lib/python3*/site-packages
"""


def test_the_operators_image_is_below_400_megabytes_and_brings_no_torch(release: Release) -> None:
    size, *packages = release.kubectl.run("exec", release.operator, "--", "sh", "-c", LOOK).split()
    assert 0 < int(size) < 400e6
    assert "kopf" in packages
    assert not {"torch", "diffusers", "numpy"} & set(packages)


@pytest.fixture
def upgraded(release: Release):  # type: ignore[no-untyped-def]
    """Upgrades with another setting of the operator; the release is as it was afterwards."""
    yield lambda: release.install(**{"operator.logLevel": "DEBUG"})
    release.install()


def test_helm_upgrade_disturbs_neither_a_gated_nor_a_running_run(runs: Runs, approver: str, upgraded) -> None:
    gated = runs.start(run("upgrade-gated", quick("preview", gate={}), quick("full")))
    working = runs.start(run("upgrade-running", slow("work")))
    before = runs.until_condition(gated, "GatePending")
    runs.until_block(working, "work", "Running")
    objects = [_uids(runs, name) for name in (gated, working)]
    upgraded()
    after = runs.get(gated)
    assert after["status"]["gates"] == before["status"]["gates"], json.dumps(after["status"], indent=1)
    assert [_uids(runs, name) for name in (gated, working)] == objects
    (pod,) = runs.pods(working)
    assert pod["status"]["phase"] == "Running"
    assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]

    # The new operator has both in hand.
    runs.decide(gated, "preview", "Approved", approver)
    assert condition(runs.finished(gated), "Succeeded")["status"] == "True"
    runs.kubectl.run("patch", "dfr", working, "--type=merge", "-p", '{"spec":{"pause":true}}')
    runs.until_condition(working, "Paused", "Holding")
    (pod,) = runs.pods(working)
    assert pod["metadata"]["annotations"][names.ANNOTATION_PAUSE] == "true"
    assert [_uids(runs, working)] == objects[1:]


def _uids(runs: Runs, name: str) -> set[str]:
    """The run's Jobs and pods."""
    return {each["metadata"]["uid"] for each in (*runs.jobs(name), *runs.pods(name))}
