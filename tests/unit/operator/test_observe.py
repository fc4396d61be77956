"""What raw objects mean, case by case."""

from datetime import UTC, datetime

import pytest

from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.task import BlockResult, ErrorInfo
from diffrun_operator.model import JobPhase, PodPhase
from diffrun_operator.observe import MAX_MESSAGE, StatusUnreadableError, observe_job, observe_pod, observe_run

UID = "11111111-2222-3333-4444-555555555555"
BLOCK = {"name": "preview", "generatePreview": {"samples": 2}}
USER_ERROR = BlockResult(error=ErrorInfo(code="RepoNotFound", message="no such repo", retryable=False)).to_json()
DISRUPTED = {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}


def waiting(reason, message="m"):
    return {"waiting": {"reason": reason, "message": message}}


def ended(code, reason="Error", message=None):
    times = {"startedAt": "2026-01-01T10:00:00Z", "finishedAt": "2026-01-01T10:05:00Z"}
    return {"terminated": {"exitCode": code, "reason": reason, **({"message": message} if message else {}), **times}}


UNSCHEDULABLE = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
GATED = {"type": "PodScheduled", "status": "False", "reason": "SchedulingGated", "message": "held"}


@pytest.mark.parametrize(
    ("phase", "state", "conditions", "status", "trouble", "words"),
    [
        pytest.param("Running", {"running": {}}, (), {}, None, None, id="a running pod has no trouble"),
        pytest.param("Pending", waiting("ContainerCreating"), (), {}, None, None, id="creation is no trouble"),
        *(
            pytest.param(
                "Pending", waiting(reason), (), {}, BlockReason.IMAGE_PULL_FAILED, f"{reason}: m", id=f"image: {reason}"
            )
            for reason in ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
        ),
        *(
            pytest.param(
                "Pending", waiting(reason), (), {}, BlockReason.CONTAINER_CONFIG_ERROR, f"{reason}: m", id=reason
            )
            for reason in ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")
        ),
        pytest.param("Pending", None, (UNSCHEDULABLE,), {}, BlockReason.UNSCHEDULABLE, "0/3 nodes", id="no node"),
        pytest.param("Pending", None, (GATED,), {}, None, None, id="a gated pod is queued, not unschedulable"),
        pytest.param(
            "Failed", ended(137, "OOMKilled"), (), {}, BlockReason.OOM_KILLED, "memory", id="OOMKilled by its reason"
        ),
        pytest.param(
            "Failed", ended(137), (), {}, BlockReason.WORKER_FAILED, "exit code 137 (killed", id="137 alone is SIGKILL"
        ),
        pytest.param(
            "Failed", ended(64, message=USER_ERROR), (), {}, BlockReason.USER_ERROR, "RepoNotFound: no such repo",
            id="the worker's permanent exit code with its own words",
        ),
        pytest.param(
            "Failed", ended(64), (), {}, BlockReason.USER_ERROR, "exited with 64 and left", id="64 in silence"
        ),
        pytest.param(
            "Failed", ended(64, message=USER_ERROR), (DISRUPTED,), {}, BlockReason.USER_ERROR, "RepoNotFound",
            id="a user error on a drained node stays one",
        ),
        pytest.param(
            "Failed", ended(143), (DISRUPTED,), {}, BlockReason.EVICTED, "EvictionByEvictionAPI: drained", id="drained"
        ),
        pytest.param(
            "Failed", None, (), {"reason": "Evicted", "message": "low on memory"}, BlockReason.EVICTED,
            "Evicted: low on memory", id="evicted by the kubelet, without a container",
        ),
        pytest.param(
            "Failed", ended(128, "StartError", "no such file"), (), {}, BlockReason.CONTAINER_CONFIG_ERROR,
            "StartError: no such file", id="the container could not start",
        ),
        pytest.param(
            "Failed", ended(1, message="Traceback: boom"), (), {}, BlockReason.WORKER_FAILED,
            "exit code 1: Traceback: boom", id="anything else, in raw words",
        ),
        pytest.param(
            "Failed", None, (), {"reason": "UnexpectedAdmissionError"}, BlockReason.WORKER_FAILED,
            "UnexpectedAdmissionError", id="refused by the kubelet",
        ),
        pytest.param("Succeeded", ended(0, "Completed"), (DISRUPTED,), {}, None, None, id="success is no trouble"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_pod_is_told_apart(raw_pod, phase, state, conditions, status, trouble, words):
    pod = observe_pod(raw_pod(phase, state=state, conditions=conditions, **status))
    assert pod.trouble is trouble
    assert pod.trouble_message is None if words is None else words in pod.trouble_message


def test_a_failing_init_container_that_something_injected_is_not_hidden(raw_pod):
    raw = raw_pod("Pending", state=waiting("PodInitializing"))
    raw["status"]["initContainerStatuses"] = [{"name": "mesh", "state": waiting("ImagePullBackOff", "no mesh")}]
    assert observe_pod(raw).trouble is BlockReason.IMAGE_PULL_FAILED


def test_a_result_is_read_from_the_termination_message(raw_pod):
    message = BlockResult(outputs={"model_path": "cache/hub/x", "size": 3}, artifacts=2).to_json()
    pod = observe_pod(raw_pod("Succeeded", state=ended(0, "Completed", message)))
    assert pod.result is not None
    assert pod.result.outputs == {"model_path": "cache/hub/x", "size": 3}
    assert pod.finished_at == datetime(2026, 1, 1, 10, 5, tzinfo=UTC)


@pytest.mark.parametrize("message", ["", "not JSON", '{"outputs": 3}', '{"unknown": 1}'])
def test_a_message_that_is_no_result_is_no_result(raw_pod, message):
    assert observe_pod(raw_pod("Succeeded", state=ended(0, "Completed", message))).result is None


def test_long_words_are_trimmed_to_what_the_ledger_takes(raw_pod):
    pod = observe_pod(raw_pod("Failed", state=ended(1, message="x" * 5000)))
    assert len(pod.trouble_message) == MAX_MESSAGE


def test_a_pod_tells_its_job_shard_pause_and_disruptions(raw_pod):
    annotations = {"diffrun.dev/pause": "true", "batch.kubernetes.io/job-index-ignored-failure-count": "4"}
    pod = observe_pod(raw_pod("Running", state={"running": {}}, annotations=annotations), holding=True)
    assert (pod.job, pod.shard, pod.phase) == ("job", 3, PodPhase.RUNNING)
    assert pod.pause_annotated
    assert pod.holding
    assert pod.ignored_failures == 4


def test_a_pod_that_has_ended_holds_no_more(raw_pod):
    assert not observe_pod(raw_pod("Succeeded", state=ended(0)), holding=True).holding


def test_a_pod_on_a_lost_node_may_still_run(raw_pod):
    assert observe_pod(raw_pod("Unknown", state={"running": {}})).phase is PodPhase.RUNNING


def condition(kind, **more):
    return {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T10:00:00Z", **more}


@pytest.mark.parametrize(
    ("spec", "status", "phase", "reason"),
    [
        pytest.param({}, {}, JobPhase.ACTIVE, None, id="new"),
        pytest.param({"suspend": True}, {}, JobPhase.SUSPENDED, None, id="held by a queue"),
        pytest.param({}, {"conditions": [condition("Complete")]}, JobPhase.COMPLETE, None, id="complete"),
        pytest.param(
            {}, {"conditions": [condition("FailureTarget", reason="FailedIndexes")]}, JobPhase.ACTIVE, None,
            id="about to fail, with pods that still end",
        ),
        pytest.param(
            {}, {"conditions": [condition("Failed", reason="PodFailurePolicy")]}, JobPhase.FAILED, "PodFailurePolicy",
            id="failed",
        ),
    ],
)  # fmt: skip
def test_a_jobs_own_word_on_itself(raw_job, spec, status, phase, reason):
    job = observe_job(raw_job(spec=spec, status=status), UID)
    assert (job.phase, job.failure_reason) == (phase, reason)
    assert (job.block, job.attempt, job.owned) == ("full", 2, True)


def test_a_job_that_is_being_deleted_is_terminating_whatever_else_it_says(raw_job):
    raw = raw_job(status={"conditions": [condition("Complete")], "succeeded": 2})
    raw["metadata"]["deletionTimestamp"] = "2026-01-01T10:00:00Z"
    job = observe_job(raw, UID)
    assert job.phase is JobPhase.TERMINATING
    assert job.succeeded == 2


def test_a_job_with_our_label_and_another_owner_is_not_ours(raw_job):
    assert not observe_job(raw_job(owner="somebody-else"), UID).owned


def test_a_spec_that_does_not_parse_is_told_by_field(raw_run):
    run = observe_run(raw_run({"name": "preview", "generatePreview": {"samples": 0}}, {"name": "x"}))
    assert run.spec is None
    assert "spec.blocks[0].generatePreview.samples: Input should be greater than or equal to 1" in run.spec_error
    assert "spec.blocks[1]: block 'x' needs exactly one of" in run.spec_error


def test_a_run_without_a_status_has_an_empty_ledger(raw_run):
    run = observe_run(raw_run(BLOCK))
    assert run.spec is not None
    assert (run.status.blocks, run.status.gates) == ([], {})
    assert not run.deleting


def test_a_ledger_that_cannot_be_read_is_never_taken_for_an_empty_one(raw_run):
    with pytest.raises(StatusUnreadableError, match=r"the status of run team/cats cannot be read: blocks\[0\].state"):
        observe_run(raw_run(BLOCK, status={"blocks": [{"name": "preview", "state": "Exploded"}]}))
