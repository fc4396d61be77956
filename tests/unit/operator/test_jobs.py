"""A block's Job, field by field where a mistake would cost something."""

import json

import pytest

from diffrun_contracts import names
from diffrun_contracts.spec import Block, Execution, Resources
from diffrun_contracts.task import BlockTask
from diffrun_operator.jobs import build_job
from diffrun_operator.pods import GPU, gpus, resources
from diffrun_operator.settings import Gates, Hub, SecretKey, Settings, Worker, Workspace

DOWNLOAD = {"name": "download", "downloadCheckpoint": {"repo": "google/ddpm-cat-256"}}
PREVIEW = {"name": "preview", "generatePreview": {"samples": 2}}
FULL = {"name": "full", "generateFull": {"samples": 16}, "shards": 4}
CUSTOM = {"name": "mine", "custom": {"type": "noop", "params": {"snake_case": {"camelCase": [1, None]}}}}


def pod_of(job):
    return job["spec"]["template"]["spec"]


def container_of(job):
    (container,) = pod_of(job)["containers"]
    return container


def env_of(job):
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container_of(job)["env"]}


def mounts_of(job):
    return {item["mountPath"]: item["name"] for item in container_of(job)["volumeMounts"]}


def test_a_job_is_owned_by_its_run_without_asking_for_rights_on_finalizers(settings, make_run, create):
    run = make_run(PREVIEW)
    job = build_job(run, create(run, "preview"), settings)
    assert job["metadata"]["name"] == "cats-preview-11111111-1"
    assert job["metadata"]["ownerReferences"] == [
        {
            "apiVersion": "diffrun.dev/v1alpha1",
            "kind": "DiffusionRun",
            "name": "cats",
            "uid": run.uid,
            "controller": True,
        }
    ]


def test_job_and_pods_bear_the_labels_that_the_watches_select_by(settings, make_run, create):
    run = make_run(PREVIEW)
    job = build_job(run, create(run, "preview", attempt=3), settings)
    expected = {
        names.LABEL_MANAGED_BY: "diffrun",
        names.LABEL_RUN: "cats",
        names.LABEL_RUN_UID: run.uid,
        names.LABEL_BLOCK: "preview",
        names.LABEL_BLOCK_TYPE: "generatePreview",
        names.LABEL_ATTEMPT: "3",
    }
    assert job["metadata"]["labels"] == expected
    assert job["spec"]["template"]["metadata"]["labels"] == expected


def test_an_indexed_job_replaces_pods_by_index_and_fails_on_the_first_index_that_is_used_up(settings, make_run, create):
    run = make_run(FULL | {"retries": 5})
    spec = build_job(run, create(run, "full"), settings)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 4, 4)
    assert (spec["backoffLimitPerIndex"], spec["maxFailedIndexes"]) == (5, 0)
    assert spec["backoffLimit"] == 2**31 - 1
    assert spec["podReplacementPolicy"] == "Failed"
    assert "ttlSecondsAfterFinished" not in spec, "a Job that vanishes by itself would run its block again"
    assert "suspend" not in spec


def test_a_user_error_fails_the_job_at_once_and_a_disruption_costs_no_retry(settings, make_run, create):
    run = make_run(PREVIEW)
    rules = build_job(run, create(run, "preview"), settings)["spec"]["podFailurePolicy"]["rules"]
    assert rules == [
        {"action": "FailJob", "onExitCodes": {"containerName": "worker", "operator": "In", "values": [64]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
    ]


def test_a_pod_meets_the_restricted_pod_security_standard(settings, make_run, create):
    run = make_run(PREVIEW | {"sharedMemory": "1Gi"})
    job = build_job(run, create(run, "preview"), settings)
    pod, container = pod_of(job), container_of(job)
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    allowed = {"downwardAPI", "emptyDir", "persistentVolumeClaim"}
    assert all(volume.keys() - {"name"} <= allowed for volume in pod["volumes"])


def test_the_read_only_root_has_a_writable_place_for_everything_that_wants_one(settings, make_run, create):
    run = make_run(PREVIEW)
    job = build_job(run, create(run, "preview"), settings)
    env, mounts = env_of(job), mounts_of(job)
    for variable in ("HOME", "TMPDIR", "HF_HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert any(env[variable] == path or env[variable].startswith(f"{path}/") for path in mounts), variable
    assert mounts["/workspace"] == "workspace"
    assert env["DIFFRUN_WORKSPACE"] == "/workspace"


def test_a_workspace_by_url_is_handed_over_and_not_mounted(make_run, create):
    run = make_run(PREVIEW)
    workspace = Workspace(url="s3://bucket/runs", secret="s3-access")
    job = build_job(run, create(run, "preview"), Settings(
        worker=Worker(image="w"), workspace=workspace, gates=Gates(require_policy=False)
    ))  # fmt: skip
    assert env_of(job)["DIFFRUN_WORKSPACE"] == "s3://bucket/runs"
    assert env_of(job)["DIFFRUN_WORKSPACE_SECRET"] == "s3-access"
    assert "/workspace" not in mounts_of(job)
    assert container_of(job)["envFrom"] == [{"secretRef": {"name": "s3-access"}}]


def test_a_pod_reads_its_task_and_its_annotations_through_the_downward_api(settings, make_run, create):
    run = make_run(DOWNLOAD, PREVIEW, seed=7)
    job = build_job(run, create(run, "preview", dependencies=(("download", 2),)), settings)
    annotations = job["spec"]["template"]["metadata"]["annotations"]
    task = BlockTask.model_validate_json(annotations["diffrun.dev/task"])
    assert (task.run.uid, task.block, task.type, task.attempt) == (run.uid, "preview", "generatePreview", 1)
    assert (task.seed, task.shards) == (7, 1)
    assert [(item.block, item.attempt) for item in task.dependencies] == [("download", 2)]
    assert task.params["batchSize"] == 2, "parameters are those of the spec, defaults included"
    (info,) = [volume for volume in pod_of(job)["volumes"] if volume["name"] == "pod-info"]
    files = {item["path"]: item["fieldRef"]["fieldPath"] for item in info["downwardAPI"]["items"]}
    assert files == {
        "task.json": "metadata.annotations['diffrun.dev/task']",
        "pause": "metadata.annotations['diffrun.dev/pause']",
        "index-failures": "metadata.annotations['batch.kubernetes.io/job-index-failure-count']",
        "index-ignored-failures": "metadata.annotations['batch.kubernetes.io/job-index-ignored-failure-count']",
    }
    assert mounts_of(job)["/etc/diffrun"] == "pod-info"


def test_a_custom_block_is_named_by_its_entry_point_and_keeps_its_parameters_untouched(settings, make_run, create):
    run = make_run(CUSTOM)
    job = build_job(run, create(run, "mine"), settings)
    task = json.loads(job["spec"]["template"]["metadata"]["annotations"]["diffrun.dev/task"])
    assert task["type"] == "noop"
    assert task["params"]["snake_case"]["camelCase"][0] == 1


def test_an_annotation_of_the_spec_cannot_stand_in_for_one_of_ours(settings, make_run, create):
    evil = {"diffrun.dev/task": "{}", "diffrun.dev/pause": "true", "mine": "kept"}
    run = make_run(PREVIEW | {"podAnnotations": evil})
    annotations = build_job(run, create(run, "preview"), settings)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["diffrun.dev/pause"] == "false"
    assert json.loads(annotations["diffrun.dev/task"])["block"] == "preview"
    assert annotations["mine"] == "kept"


@pytest.mark.parametrize(
    ("block", "defaults", "installation", "expected"),
    [
        pytest.param(PREVIEW, {}, 1, 1, id="a block that computes gets the installation's"),
        pytest.param(PREVIEW, {}, 0, 0, id="none where the installation has none"),
        pytest.param(PREVIEW, {"gpus": 2}, 1, 2, id="the run's over the installation's"),
        pytest.param(PREVIEW | {"gpus": 0}, {"gpus": 2}, 1, 0, id="the block's own over everything, 0 included"),
        pytest.param(DOWNLOAD, {"gpus": 2}, 1, 0, id="a download takes none by default"),
        pytest.param(DOWNLOAD | {"gpus": 1}, {}, 0, 1, id="but gets what it asks for"),
        pytest.param(CUSTOM, {}, 1, 0, id="a custom block gets none unless asked"),
        pytest.param(CUSTOM, {"gpus": 1}, 0, 1, id="and is asked by the run's defaults"),
    ],
)
def test_gpus_are_asked_for_by_block_run_or_installation(block, defaults, installation, expected):
    assert gpus(Block.model_validate(block), Execution.model_validate(defaults), installation) == expected


def test_a_pod_with_a_gpu_requests_it_tolerates_its_taint_and_is_told(settings, make_run, create):
    run = make_run(PREVIEW | {"gpus": 2})
    job = build_job(run, create(run, "preview"), settings)
    assert container_of(job)["resources"] == {"requests": {GPU: "2"}, "limits": {GPU: "2"}}
    assert pod_of(job)["tolerations"] == [{"key": GPU, "operator": "Exists", "effect": "NoSchedule"}]
    assert env_of(job)["DIFFRUN_GPUS"] == "2"


def test_a_pod_without_a_gpu_neither_requests_nor_tolerates_one(settings, make_run, create):
    run = make_run(PREVIEW | {"gpus": 0})
    job = build_job(run, create(run, "preview"), settings)
    assert "resources" not in container_of(job)
    assert "tolerations" not in pod_of(job)
    assert env_of(job)["DIFFRUN_GPUS"] == "0"


def test_request_and_limit_of_one_resource_come_from_the_same_layer():
    def layer(**kinds):
        return Resources.model_validate(kinds)

    merged = resources(
        0,
        layer(limits={"memory": "2Gi"}),
        None,
        layer(requests={"memory": "4Gi", "cpu": "500m"}, limits={"memory": "8Gi", "ephemeral-storage": "1Gi"}),
    )
    assert merged == {"limits": {"memory": "2Gi", "ephemeral-storage": "1Gi"}, "requests": {"cpu": "500m"}}


@pytest.mark.parametrize(
    ("limits", "env", "expected"),
    [
        ({"cpu": "1500m"}, {}, {"containerName": "worker", "resource": "limits.cpu", "divisor": "1"}),
        ({"memory": "1Gi"}, {}, None),
        ({"cpu": "4"}, {"OMP_NUM_THREADS": "2"}, "2"),
    ],
    ids=["a limit", "none", "the installation's own word"],
)
def test_a_pod_computes_with_as_many_threads_as_its_cpu_limit_allows(limits, env, expected, make_run, create):
    settings = Settings(
        worker=Worker(image="w", env=env), workspace=Workspace(claim="c"), gates=Gates(require_policy=False)
    )
    run = make_run(PREVIEW | {"resources": {"limits": limits}})
    told = env_of(build_job(run, create(run, "preview"), settings)).get("OMP_NUM_THREADS")
    assert (told.get("resourceFieldRef") if isinstance(told, dict) else told) == expected


def test_run_wide_defaults_hold_where_the_block_is_silent(settings, make_run, create):
    defaults = {
        "nodeSelector": {"pool": "a", "zone": "1"},
        "priorityClassName": "low",
        "runtimeClassName": "nvidia",
        "imagePullSecrets": ["registry"],
        "tolerations": [{"key": "spot", "operator": "Exists"}],
        "sharedMemory": "1Gi",
        "retries": 4,
    }
    run = make_run(PREVIEW | {"gpus": 0, "nodeSelector": {"pool": "b"}, "priorityClassName": "high"}, defaults=defaults)
    job = build_job(run, create(run, "preview"), settings)
    pod = pod_of(job)
    assert pod["nodeSelector"] == {"pool": "b", "zone": "1"}
    assert (pod["priorityClassName"], pod["runtimeClassName"]) == ("high", "nvidia")
    assert pod["imagePullSecrets"] == [{"name": "registry"}]
    assert pod["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert {"name": "shm", "emptyDir": {"sizeLimit": "1Gi", "medium": "Memory"}} in pod["volumes"]
    assert mounts_of(job)["/dev/shm"] == "shm"
    assert job["spec"]["backoffLimitPerIndex"] == 4


def test_zero_retries_are_zero_and_not_the_default(settings, make_run, create):
    run = make_run(PREVIEW | {"retries": 0}, defaults={"retries": 4})
    assert build_job(run, create(run, "preview"), settings)["spec"]["backoffLimitPerIndex"] == 0


def test_a_queued_job_is_born_suspended_for_kueue(settings, make_run, create):
    run = make_run(PREVIEW | {"queueName": "gpu"})
    job = build_job(run, create(run, "preview"), settings)
    assert job["spec"]["suspend"] is True
    assert job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu"


def test_only_a_download_gets_the_hubs_token(make_run, create):
    settings = Settings(
        worker=Worker(image="w"),
        workspace=Workspace(claim="c"),
        gates=Gates(require_policy=False),
        hub=Hub(endpoint="http://hub:8000", token_secret=SecretKey(name="hub")),
    )
    run = make_run(DOWNLOAD, PREVIEW)
    download = env_of(build_job(run, create(run, "download"), settings))
    preview = env_of(build_job(run, create(run, "preview"), settings))
    assert download["HF_TOKEN"] == {"secretKeyRef": {"name": "hub", "key": "token", "optional": True}}
    assert "HF_TOKEN" not in preview
    assert download["HF_ENDPOINT"] == preview["HF_ENDPOINT"] == "http://hub:8000"


def test_a_token_secret_that_a_block_names_must_exist(settings, make_run, create):
    block = {"name": "d", "downloadCheckpoint": {"repo": "a/b", "tokenSecret": {"name": "mine", "key": "k"}}}
    run = make_run(block)
    env = env_of(build_job(run, create(run, "d"), settings))
    assert env["HF_TOKEN"] == {"secretKeyRef": {"name": "mine", "key": "k", "optional": False}}


def test_the_workers_redis_url_comes_from_a_secret_that_may_be_missing(make_run, create):
    settings = Settings(
        worker=Worker(image="w", redis_secret=SecretKey(name="redis", key="url"), redis_url="redis://ignored"),
        workspace=Workspace(claim="c"),
        gates=Gates(require_policy=False),
    )
    run = make_run(PREVIEW)
    env = env_of(build_job(run, create(run, "preview"), settings))
    assert env["DIFFRUN_REDIS_URL"] == {"secretKeyRef": {"name": "redis", "key": "url", "optional": True}}


def test_a_run_whose_spec_does_not_parse_makes_no_job(settings, make_run, create):
    run = make_run(PREVIEW)
    action = create(run, "preview")
    object.__setattr__(run, "spec", None)
    with pytest.raises(ValueError, match="team/cats has no valid spec"):
        build_job(run, action, settings)
