"""What the API server itself says about a run: which it takes, and in which words it refuses the others."""

import copy
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from admission_support import NOW, ROOT, Result, ensure_crd, manifest

from diffrun_devcluster.kubectl import Kubectl

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def api(cluster: Kubectl) -> Iterator[Kubectl]:
    """A namespace without an installation."""
    ensure_crd(cluster)
    namespace = f"api-{uuid.uuid4().hex[:8]}"
    cluster.run("create", "namespace", namespace)
    yield cluster.within(namespace)
    cluster.run("delete", "namespace", namespace, "--wait=false")


def create(api: Kubectl, run: dict[str, Any]) -> Result:
    """Creates a run as `kubectl apply` would: with strict validation of fields."""
    return api.try_run("create", "--validate=strict", "-f", "-", stdin=json.dumps(run))


def one(block: dict[str, Any], name: str = "bad", **spec: Any) -> dict[str, Any]:
    """A run of one block."""
    run = manifest(name, **spec)
    run["spec"]["blocks"] = [{"name": "only", **block}]
    return run


def named(name: str) -> dict[str, Any]:
    return manifest(name)


def sampler(**fields: Any) -> dict[str, Any]:
    return one({"generatePreview": {"sampler": fields}})


def download(**fields: Any) -> dict[str, Any]:
    return one({"downloadCheckpoint": {"repo": "google/ddpm-cat-256", **fields}})


def custom(**fields: Any) -> dict[str, Any]:
    return one({"custom": {"type": "own", "params": {}}, **fields})


AT = "spec.blocks[0]"
EXACTLY_ONE = (
    "a block needs exactly one of downloadCheckpoint, generatePreview, generateFull, "
    "train, evaluate, diagnose, infer, custom"
)
BAD: dict[str, tuple[dict[str, Any], list[str]]] = {
    "an unknown field": (
        one({"generatePreview": {"sample": 2}}),
        ['unknown field "spec.blocks[0].generatePreview.sample"'],
    ),
    "no steps": (
        sampler(steps=0),
        [f"{AT}.generatePreview.sampler.steps: Invalid value: 0: spec.blocks[0].generatePreview.sampler.steps in body "
         "should be greater than or equal to 1"],
    ),
    "negative steps": (sampler(steps=-1), ["sampler.steps in body should be greater than or equal to 1"]),
    "a billion steps": (sampler(steps=10**9), ["sampler.steps in body should be less than or equal to 1000"]),
    "NaN for a number": (
        sampler(eta="NaN"),
        [f'{AT}.generatePreview.sampler.eta: Invalid value: "string": spec.blocks[0].generatePreview.sampler.eta in '
         'body must be of type number: "string"'],
    ),
    "infinity for a number": (sampler(eta="Inf"), ["sampler.eta in body must be of type number"]),
    "eta beyond one": (sampler(eta=1.5), ["sampler.eta in body should be less than or equal to 1"]),
    "eta for a sampler without": (
        sampler(name="DDPM", eta=0.5),
        ["eta: only the DDIM sampler takes an eta other than 0"],
    ),
    "an unknown sampler": (
        sampler(name="Magic"),
        ['sampler.name: Unsupported value: "Magic": supported values: "DDIM"'],
    ),
    "an unknown block type": (
        one({"upscale": {}}),
        ['unknown field "spec.blocks[0].upscale"'],
    ),
    "two block types": (
        one({"generatePreview": {}, "generateFull": {}}),
        [f"{AT}: Invalid value", EXACTLY_ONE],
    ),
    "no block type": (one({}), [EXACTLY_ONE]),
    "a name of 41 characters": (
        named("a" * 41),
        ["metadata.name: at most 40 characters, so that the names of the run's Jobs fit"],
    ),
    "a name with a dot": (named("a.b"), ["metadata.name: a DNS label, so no dots"]),
    "an image of one's own": (custom(image="evil"), ['unknown field "spec.blocks[0].image"']),
    "a service account": (custom(serviceAccountName="admin"), ['unknown field "spec.blocks[0].serviceAccountName"']),
    "a piece of a pod": (custom(podSpecPatch="{}"), ['unknown field "spec.blocks[0].podSpecPatch"']),
    "a prompt of a mebibyte": (
        custom(gate={"prompt": "x" * (1 << 20)}),
        [f"{AT}.gate.prompt: Too long: may not be more than 1024"],
    ),
    "a path upwards": (
        one({"generatePreview": {"modelPath": "models/../../etc"}}),
        [f"{AT}.generatePreview.modelPath: Invalid value", "must not contain '..'"],
    ),
    "an absolute path": (
        one({"generatePreview": {"modelPath": "/etc/passwd"}}),
        ["modelPath in body should match"],
    ),
    "a Secret of another namespace": (
        download(tokenSecret={"name": "hf", "namespace": "kube-system"}),
        ['unknown field "spec.blocks[0].downloadCheckpoint.tokenSecret.namespace"'],
    ),
    "a URL for a repository": (
        download(repo="https://huggingface.co/google/ddpm-cat-256"),
        ["downloadCheckpoint.repo in body should match"],
    ),
    "a repository upwards": (download(repo="../etc"), ["downloadCheckpoint.repo in body should match"]),
    "a repository without an owner": (download(repo="ddpm"), ["downloadCheckpoint.repo in body should match"]),
    "a branch where a commit is required": (
        download(requireCommit=True),
        ["revision: requireCommit is set, so this must be a full 40-digit commit"],
    ),
    "more shards than samples": (
        one({"generatePreview": {"samples": 2}, "shards": 3}),
        ["shards: at most one shard for each of generatePreview.samples"],
    ),
    "a sharded download": (
        one({"downloadCheckpoint": {"repo": "a/b"}, "shards": 2}),
        ["shards: only generatePreview, generateFull, infer, custom can be split over several pods; leave shards at 1"],
    ),
    "no blocks": ({**manifest("bad"), "spec": {"blocks": []}}, ["spec.blocks in body should have at least 1 items"]),
    "two blocks of one name": (
        {**manifest("bad"), "spec": {"blocks": [{"name": "a", "custom": {"type": "t"}}] * 2}},
        ["blocks: every block needs a name of its own"],
    ),
    "65 blocks": (
        {**manifest("bad"), "spec": {"blocks": [{"name": f"b{i}", "custom": {"type": "t"}} for i in range(65)]}},
        ["spec.blocks: Too many: 65: must have at most 64 items"],
    ),
    "a negative seed": (manifest("bad", seed=-1), ["spec.seed in body should be greater than or equal to 0"]),
    "a word for a boolean": (
        manifest("bad", pause="yes"),
        ['spec.pause: Invalid value: "string": spec.pause in body must be of type boolean: "string"'],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_run_is_refused_with_the_field_and_the_reason(api: Kubectl, case: str) -> None:
    run, words = BAD[case]
    done = create(api, run)
    assert done.returncode != 0
    for word in words:
        assert word in done.stderr


SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_every_sample_is_taken_as_it_is(api: Kubectl, path: Path) -> None:
    done = api.try_run("apply", "--dry-run=server", "--validate=strict", "--filename", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    assert "created (server dry run)" in done.stdout


def test_a_run_as_large_as_the_schema_allows_is_taken(api: Kubectl) -> None:
    """The rules' cost at run time stays within the API server's budget too."""
    names = [f"{'b' * 37}-{i:02d}" for i in range(64)]
    blocks = [
        {
            "name": name,
            "generateFull": {"samples": 1000, "sampler": {"name": "DDIM", "steps": 50}},
            "dependsOn": names[:index][-63:],
            "shards": 1000,
            "gate": {"prompt": "x" * 1024},
        }
        for index, name in enumerate(names)
    ]
    done = create(api, {**manifest("a" * 40), "spec": {"blocks": blocks}})
    assert done.returncode == 0, done.stderr


def test_defaults_are_filled_in_by_the_api_server(api: Kubectl) -> None:
    assert create(api, one({"generatePreview": {}}, "defaults")).returncode == 0
    spec = api.get("dfr", "defaults")["spec"]
    assert (spec["seed"], spec["pause"], spec["cancel"]) == (0, False, False)
    assert spec["blocks"][0]["shards"] == 1
    assert spec["blocks"][0]["generatePreview"] == {
        "samples": 2,
        "batchSize": 2,
        "dtype": "float32",
        "sampler": {"name": "DDIM", "steps": 10, "eta": 0.0},
    }


@pytest.fixture
def started(api: Kubectl) -> str:
    """A run that has started."""
    name = f"started-{uuid.uuid4().hex[:6]}"
    run = manifest(name, seed=3, defaults={"retries": 1})
    assert create(api, run).returncode == 0
    status = json.dumps({"status": {"startTime": NOW}})
    api.run("patch", "dfr", name, "--subresource=status", "--type=merge", "-p", status)
    return name


FROZEN: dict[str, tuple[dict[str, Any], str]] = {
    "seed": ({"seed": 4}, "spec.seed: frozen once the run has started; create a new run"),
    "defaults": ({"defaults": {"retries": 2}}, "spec.defaults: frozen once the run has started; create a new run"),
    "no defaults": ({"defaults": None}, "spec.defaults: frozen once the run has started; create a new run"),
    "blocks": ({"blocks": "shorter"}, "spec.blocks: frozen once the run has started; create a new run"),
}


@pytest.mark.parametrize("case", FROZEN)
def test_a_started_run_keeps_its_spec(api: Kubectl, started: str, case: str) -> None:
    change, message = copy.deepcopy(FROZEN[case])
    if "blocks" in change:
        change["blocks"] = api.get("dfr", started)["spec"]["blocks"][:1]
    done = api.try_run("patch", "dfr", started, "--type=merge", "-p", json.dumps({"spec": change}))
    assert done.returncode != 0
    assert message in done.stderr


PARAMS = {
    "a value": {"deep": {"list": [1, 3]}},
    "a type": {"deep": {"list": [1, "2"]}},
    "a new key": {"deep": {"list": [1, 2]}, "more": 1},
    "nothing left": {},
}


@pytest.mark.parametrize("case", PARAMS)
def test_free_parameters_of_a_custom_block_are_frozen_with_the_rest(api: Kubectl, started: str, case: str) -> None:
    blocks = api.get("dfr", started)["spec"]["blocks"]
    assert blocks[2]["custom"]["params"] == {"deep": {"list": [1, 2]}}
    blocks[2]["custom"]["params"] = PARAMS[case]
    done = api.try_run("patch", "dfr", started, "--type=merge", "-p", json.dumps({"spec": {"blocks": blocks}}))
    assert done.returncode != 0
    assert FROZEN["blocks"][1] in done.stderr


def test_before_the_start_blocks_may_be_edited(api: Kubectl) -> None:
    assert create(api, manifest("unfrozen")).returncode == 0
    blocks = manifest("unfrozen")["spec"]["blocks"][:1]
    done = api.try_run("patch", "dfr", "unfrozen", "--type=merge", "-p", json.dumps({"spec": {"blocks": blocks}}))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "spec", [{"pause": True}, {"cancel": True}, {"inspectors": []}], ids=lambda each: next(iter(each))
)
def test_a_started_run_may_be_paused_cancelled_and_looked_at(api: Kubectl, started: str, spec: dict[str, Any]) -> None:
    done = api.try_run("patch", "dfr", started, "--type=merge", "-p", json.dumps({"spec": spec}))
    assert done.returncode == 0, done.stderr


def test_a_cancelled_run_stays_cancelled(api: Kubectl, started: str) -> None:
    api.run("patch", "dfr", started, "--type=merge", "-p", '{"spec":{"cancel":true}}')
    done = api.try_run("patch", "dfr", started, "--type=merge", "-p", '{"spec":{"cancel":false}}')
    assert done.returncode != 0
    assert "cancel: a cancelled run stays cancelled; create a new run" in done.stderr


def test_the_columns_of_kubectl_get_are_those_of_the_readme(api: Kubectl, started: str) -> None:
    header = api.run("get", "dfr", started).splitlines()[0].split()
    assert header == ["NAME", "SUCCEEDED", "REASON", "BLOCK", "DONE", "PROGRESS", "AGE"]


EXPLAINED = {
    "dfr.spec.blocks": [
        "The run's steps; each depends on the one before it",
        "downloadCheckpoint\t<Object>",
        "-required-",
    ],
    "dfr.spec.blocks.gate.onTimeout": ["ENUM: Reject Approve", "What the end of that time means"],
    "dfr.spec.blocks.generateFull.seedOffset": ["Keeps the full batch's seeds apart from the preview's"],
    "dfr.status.gates": ["The gates that have opened, by block"],
}


@pytest.mark.parametrize("path", EXPLAINED)
def test_kubectl_explain_reads_well(api: Kubectl, path: str) -> None:
    text = api.run("explain", path)
    flat = " ".join(text.split())
    for words in EXPLAINED[path]:
        assert " ".join(words.split()) in flat
