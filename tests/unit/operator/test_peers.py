"""Pods that train together: what stands beside their Job, what is in their environment, what ends them."""

import pytest

from diffrun_contracts import names
from diffrun_contracts.task import BlockTask
from diffrun_operator.jobs import build_job
from diffrun_operator.peers import companions
from diffrun_operator.settings import Gates, Settings, Worker, Workspace

TOGETHER = {"name": "train", "train": {"preset": "digits", "workers": 3}}
ALONE = {"name": "train", "train": {"preset": "digits"}}
PEERS = "peers-11111111-train"


@pytest.fixture
def fenced() -> Settings:
    """An installation whose NetworkPolicies deny what no part needs."""
    return Settings(
        worker=Worker(image="w", fenced=True), workspace=Workspace(claim="c"), gates=Gates(require_policy=False)
    )


def env_of(job):
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_workers_are_the_pods_of_one_indexed_job(settings, make_run, create):
    run = make_run(TOGETHER)
    spec = build_job(run, create(run, "train"), settings)["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)


def test_the_first_failure_ends_the_job_whatever_it_is(settings, make_run, create):
    """A pod that the Job controller replaced alone would wait for peers that are gone; a disruption is no exception."""
    run = make_run(TOGETHER | {"retries": 5})
    spec = build_job(run, create(run, "train"), settings)["spec"]
    assert spec["backoffLimit"] == 0
    assert not {"backoffLimitPerIndex", "maxFailedIndexes"} & spec.keys()
    permanent = {"containerName": "worker", "operator": "In", "values": [64]}
    assert spec["podFailurePolicy"]["rules"] == [{"action": "FailJob", "onExitCodes": permanent}]
    assert spec["podReplacementPolicy"] == "Failed", "the Job has failed only once all of its pods are gone"


def test_a_worker_finds_torchruns_variables(settings, make_run, create):
    run = make_run(TOGETHER)
    env = env_of(build_job(run, create(run, "train", attempt=2), settings))
    assert env["MASTER_ADDR"] == f"cats-train-11111111-2-0.{PEERS}"
    assert (env["MASTER_PORT"], env["WORLD_SIZE"], env["LOCAL_RANK"]) == ("29500", "3", "0")
    index = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert env["RANK"] == {"fieldRef": {"apiVersion": "v1", "fieldPath": index}}


def test_a_workers_task_counts_the_workers_as_its_shards(settings, make_run, create):
    run = make_run(TOGETHER)
    annotations = build_job(run, create(run, "train"), settings)["spec"]["template"]["metadata"]["annotations"]
    task = BlockTask.model_validate_json(annotations[names.ANNOTATION_TASK])
    assert (task.shards, task.params["workers"]) == (3, 3)


def test_a_service_names_the_workers_before_they_are_ready(settings, make_run, create):
    run = make_run(TOGETHER)
    job = build_job(run, create(run, "train"), settings)
    (service,) = companions(run, run.spec.blocks[0], settings)
    assert (service["kind"], service["metadata"]["name"]) == ("Service", PEERS)
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert job["spec"]["template"]["spec"]["subdomain"] == PEERS
    assert service["spec"]["selector"].items() <= job["spec"]["template"]["metadata"]["labels"].items()
    (owner,) = service["metadata"]["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (run.uid, True)


def test_behind_a_fence_workers_of_one_block_reach_each_other_and_nobody_else(fenced, make_run):
    run = make_run(TOGETHER)
    _, policy = companions(run, run.spec.blocks[0], fenced)
    mine = {"podSelector": {"matchLabels": {names.LABEL_RUN_UID: run.uid, names.LABEL_BLOCK: "train"}}}
    assert policy["spec"] == {
        **mine,
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"from": [mine]}],
        "egress": [{"to": [mine]}],
    }


def test_a_pod_that_works_alone_has_nothing_of_all_this(fenced, make_run, create):
    run = make_run(ALONE)
    job = build_job(run, create(run, "train"), fenced)
    assert companions(run, run.spec.blocks[0], fenced) == []
    assert not {"MASTER_ADDR", "WORLD_SIZE", "RANK"} & env_of(job).keys()
    assert "subdomain" not in job["spec"]["template"]["spec"]
    assert job["spec"]["backoffLimitPerIndex"] == 2


def test_the_peers_name_is_a_services_even_for_the_longest_block_and_a_run_that_begins_with_a_digit():
    name = names.peers_name("0a1b2c3d-0000-4000-8000-000000000001", "9" * names.MAX_BLOCK_NAME)
    assert name[0].isalpha()
    assert len(name) <= 63
