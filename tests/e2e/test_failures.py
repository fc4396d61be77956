"""Whatever goes wrong with a pod is told apart in the status, and only what may help is tried again."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from runs import block, quick, run, slow
from scenario import Runs, ledger, states

from diffrun_contracts import names
from diffrun_devcluster.kubectl import condition
from diffrun_devcluster.release import Release


def failed(runs: Runs, name: str, timeout: float = 180) -> tuple[str, str]:
    """Reason and message of the run's first block, once the run has ended."""
    ended = runs.finished(name, timeout)
    assert condition(ended, "Succeeded")["status"] == "False"
    assert condition(ended, "Succeeded")["reason"] == "BlockFailed"
    line = next(iter(ledger(ended).values()))
    assert line["state"] == "Failed"
    assert line["message"] in condition(ended, "Succeeded")["message"]
    return line["reason"], line["message"]


def test_a_worker_killed_by_sigkill_is_replaced_and_the_run_succeeds(runs: Runs) -> None:
    name = runs.start(run("sigkill", block("work", "test.kill", params={"times": 1})))
    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "True"
    assert ledger(ended)["work"]["attempt"] == 1
    assert len(runs.pods(name)) == 2


def test_a_temporary_failure_is_tried_again_as_often_as_allowed(runs: Runs) -> None:
    name = runs.start(run("temporary", block("work", "test.fail", params={"times": 5}, retries=1), quick("after")))
    reason, _ = failed(runs, name)
    assert reason == "WorkerFailed"
    assert len(runs.pods(name)) == 2
    assert states(runs.get(name))["after"] == "Skipped"


def test_a_users_error_is_not_tried_again_and_says_what_to_do(runs: Runs) -> None:
    name = runs.start(run("permanent", block("work", "test.fail", params={"permanent": True}, retries=5)))
    reason, message = failed(runs, name)
    assert reason == "UserError"
    assert message
    assert len(runs.pods(name)) == 1


def test_an_unknown_block_type_fails_with_the_workers_own_words(runs: Runs) -> None:
    name = runs.start(run("unknown-type", block("work", "no.such.block")))
    reason, message = failed(runs, name)
    assert reason == "UserError"
    assert "no.such.block" in message
    assert "test.sleep" in message


def test_a_pod_out_of_memory_is_told_as_such_and_not_retried(runs: Runs) -> None:
    memory = {"limits": {"memory": "128Mi"}, "requests": {"memory": "64Mi"}}
    name = runs.start(run("oom", block("work", "test.oom", resources=memory, retries=3)))
    reason, message = failed(runs, name)
    assert reason == "OOMKilled"
    assert "memory" in message


def test_a_block_past_its_deadline_is_stopped(runs: Runs) -> None:
    name = runs.start(run("deadline", slow("work", activeDeadlineSeconds=2)))
    reason, message = failed(runs, name)
    assert reason == "DeadlineExceeded"
    assert "activeDeadlineSeconds" in message


def test_a_pod_that_fits_nowhere_is_shown_as_unschedulable(runs: Runs) -> None:
    name = runs.start(run("unschedulable", quick("work", nodeSelector={"no-such-label": "x"})))
    shown = runs.until_block(name, "work", "Pending", reason="Unschedulable")
    assert "node" in ledger(shown)["work"]["message"]


MISSING_IMAGE = "registry.invalid/diffrun/worker:missing"


@pytest.fixture
def without_image(release: Release) -> Iterator[None]:
    """The installation names an image for its workers that is nowhere; it is as it was afterwards."""
    replace(release, images=replace(release.images, testkit=MISSING_IMAGE)).install()
    yield
    release.install()


@pytest.mark.usefixtures("without_image")
def test_an_image_that_cannot_be_pulled_is_shown_with_its_name(runs: Runs) -> None:
    name = runs.start(run("no-image", quick("work")))
    shown = runs.until_block(name, "work", "Pending", reason="ImagePullFailed")
    assert MISSING_IMAGE in ledger(shown)["work"]["message"]
    assert condition(shown, "Finished")["status"] == "False"
    runs.patch_spec(name, cancel=True)
    assert condition(runs.finished(name), "Succeeded")["reason"] == "Cancelled"


def test_an_evicted_pod_is_replaced_though_no_retry_is_allowed(runs: Runs) -> None:
    name = runs.start(run("evicted", slow("work", seconds=3, retries=0)))
    runs.until_block(name, "work", "Running")
    runs.patch_spec(name, pause=True)
    runs.until_condition(name, "Paused", "Holding")
    (pod,) = runs.pods(name)
    runs.evict(pod["metadata"]["name"])
    runs.kubectl.wait(f"pod/{pod['metadata']['name']}", "delete", 60)
    runs.patch_spec(name, pause=False)
    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "True", condition(ended, "Succeeded")
    assert ledger(ended)["work"]["attempt"] == 1
    (replacement,) = runs.pods(name)
    assert replacement["metadata"]["uid"] != pod["metadata"]["uid"]
    (job,) = runs.jobs(name)
    assert job["status"].get("failed", 0) == 0, "an eviction counts as no failure"


def test_a_missing_repository_fails_the_download_with_a_remedy(runs: Runs) -> None:
    name = runs.start(run("no-repo", {"name": "download", "downloadCheckpoint": {"repo": "nobody/nothing"}}))
    reason, message = failed(runs, name)
    assert reason == "UserError"
    assert "nobody/nothing" in message


def test_a_spec_that_cannot_work_is_refused_by_name_of_the_field_and_starts_nothing(runs: Runs) -> None:
    name = runs.start(run("bad-spec", quick("one"), quick("two", dependsOn=["zero"])))
    shown = runs.until_condition(name, "SpecValid", status="False")
    message = condition(shown, "SpecValid")["message"]
    assert "spec.blocks[1].dependsOn[0]" in message
    assert not runs.jobs(name)
    mended = run(name, quick("one"), quick("two", dependsOn=["one"]))
    runs.kubectl.apply(mended)
    assert condition(runs.finished(name), "Succeeded")["status"] == "True"


def test_a_foreign_job_of_the_same_name_is_left_untouched(runs: Runs) -> None:
    name = "collision"
    paused = run(name, quick("work"), pause=True)
    runs.start(paused)
    uid = runs.get(name)["metadata"]["uid"]
    foreign = names.job_name(name, "work", uid, 1)
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "none.invalid/none"}]}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": foreign}, "spec": {"suspend": True}}
    job["spec"]["template"] = {"spec": pod}  # type: ignore[index]
    runs.kubectl.create(job)
    before = runs.kubectl.get("job", foreign)
    runs.kubectl.run("patch", "dfr", name, "--type=merge", "-p", '{"spec":{"pause":false}}')
    try:
        reason, message = failed(runs, name)
        assert reason == "NameCollision"
        assert foreign in message
        assert runs.kubectl.get("job", foreign)["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    finally:
        runs.kubectl.run("delete", "job", foreign)


def test_a_job_deleted_by_somebody_is_started_again_within_the_limit(runs: Runs) -> None:
    name = runs.start(run("lost", slow("work", retries=1)))
    for attempt in (1, 2):
        runs.until(
            name,
            f"attempt {attempt} runs",
            lambda seen, n=attempt: (
                (line := ledger(seen).get("work", {})).get("attempt") == n and line["state"] == "Running"
            ),
        )
        runs.kubectl.run("delete", "job", ledger(runs.get(name))["work"]["jobRef"]["name"])
    reason, _ = failed(runs, name)
    assert reason == "Lost"


@pytest.mark.parametrize("forbidden", ["image", "serviceAccountName", "podSpecPatch"])
def test_fields_that_would_widen_a_pods_rights_are_not_in_the_schema(runs: Runs, forbidden: str) -> None:
    manifest = run("unknown-field", quick("work", **{forbidden: "x"}))
    refused = runs.kubectl.try_run("apply", "--filename", "-", "--validate=strict", stdin=json.dumps(manifest))
    assert f'unknown field "spec.blocks[0].{forbidden}"' in refused.stderr
