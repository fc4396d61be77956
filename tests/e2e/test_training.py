"""Training on a real cluster: a study from data to distance, pods that train together, pods that are lost."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from runs import run
from scenario import Runs, ledger, states
from training_runs import FAST, ONE_CORE, artifacts, curve, points, training

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Manifest, condition, eventually
from diffrun_devcluster.release import Release

STEPS = 40
SAVED_EVERY = 20
LONG = 400
"""Steps of a training that a test disturbs: more than are done before it is told to hold."""


# The sample, in small


def small_study(root: Path) -> Manifest:
    """The sample as it is shipped, only with a small network, few steps and few samples."""
    manifest: Manifest = yaml.safe_load((root / "manifests" / "samples" / "digits.yaml").read_text())
    blocks = {block["name"]: block for block in manifest["spec"]["blocks"]}
    tiny = training("train", size=16, steps=STEPS, checkpoint={"everySteps": 20})["train"]
    tiny["sampleGrid"] = {"everySteps": 20, "samples": 4, "sampler": FAST}
    blocks["train"]["train"] |= tiny
    blocks["diagnose"]["diagnose"] |= {"images": 2, "samples": 4, "sampler": FAST, "timesteps": [0, 500, 999]}
    blocks["preview"]["generatePreview"] |= {"samples": 2, "sampler": FAST}
    blocks["full"]["generateFull"] |= {"samples": 4, "sampler": FAST}
    blocks["evaluate"]["evaluate"] |= {"samples": 64, "sampler": FAST}
    manifest["spec"]["defaults"] |= ONE_CORE
    return manifest


@pytest.fixture(scope="module")
def study(root: Path, release: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """The digits' run from apply to the end, approved by an approver; the run, and its files."""
    runs = Runs(release.kubectl)
    approver = release.ensure_approver("alice")
    name = runs.start(small_study(root))
    waiting = runs.until_condition(name, "GatePending", timeout=600)
    assert states(waiting)["full"] == "Pending"
    digest = waiting["status"]["gates"]["preview"]["previewDigest"]
    decided = runs.decide(name, "preview", "Approved", approver, previewDigest=digest)
    assert decided.returncode == 0, decided.stderr
    ended = runs.finished(name, timeout=600)
    return ended, fetched(release, ended, tmp_path_factory.mktemp("workspace"))


def fetched(release: Release, ended: Manifest, into: Path) -> Path:
    """A run's files, on this machine."""
    folder = names.run_dir(ended["metadata"]["uid"])
    release.workspace.fetch(folder, into)
    return into / folder


def test_one_apply_trains_diagnoses_previews_and_evaluates(study: tuple[Manifest, Path]) -> None:
    ended, _ = study
    assert condition(ended, "Succeeded")["status"] == "True", condition(ended, "Succeeded")
    assert set(states(ended).values()) == {"Succeeded"}
    assert ended["status"]["done"] == "5/5"


def test_the_trained_model_is_what_the_later_blocks_draw_from(study: tuple[Manifest, Path]) -> None:
    ended, folder = study
    outputs = {name: line["outputs"] for name, line in ledger(ended).items()}
    path = outputs["train"]["model_path"]
    assert path.startswith(f"{names.block_dir(ended['metadata']['uid'], 'train')}/checkpoints")
    assert outputs["preview"]["model_path"] == outputs["full"]["model_path"] == path
    files = {file.name for file in (folder.parents[1] / path).iterdir()}
    assert files == {"config.json", "diffusion_pytorch_model.safetensors", "scheduler_config.json", "model_index.json"}


def test_every_step_has_a_loss_and_every_twentieth_a_grid(study: tuple[Manifest, Path]) -> None:
    _, folder = study
    losses = curve(folder, "train")
    assert sorted(losses) == list(range(STEPS))
    assert all(math.isfinite(loss) for loss in losses.values())
    assert sum(list(losses.values())[-10:]) < sum(list(losses.values())[:10])
    assert len(artifacts(folder, "train", "sample_grid")) == 2


def test_the_diagnosis_has_a_grid_and_an_error_for_each_timestep(study: tuple[Manifest, Path]) -> None:
    _, folder = study
    (path,) = folder.glob(f"diagnose/1/0/*/{names.EVENTS_FILE}")
    errors = [point["value"] for point in points(path) if point["name"] == "diagnose/x0_mse"]
    assert len(errors) == 3
    assert errors == sorted(errors), "the more noise, the harder"
    assert len(artifacts(folder, "diagnose", "sample_grid")) >= 1


def test_a_distance_of_other_features_is_not_called_a_fid(study: tuple[Manifest, Path]) -> None:
    ended, folder = study
    (path,) = folder.glob(f"evaluate/1/0/*/{names.EVENTS_FILE}")
    (distance,) = [point for point in points(path) if point["name"].startswith("eval/")]
    assert distance["name"] == ledger(ended)["evaluate"]["outputs"]["metric"] == "eval/classifier_distance"
    assert distance["value"] > 0
    assert distance["labels"]["n"] == 64
    assert distance["labels"]["nfe"] == FAST["steps"]


# Several pods


def test_two_pods_train_as_one_does(runs: Runs, release: Release, tmp_path: Path) -> None:
    alone = training("alone", steps=STEPS) | {"dependsOn": []}
    pair = training("pair", steps=STEPS, workers=2) | {"dependsOn": []}
    name = runs.start(run("together", alone, pair))
    ended = runs.finished(name, timeout=600)
    assert set(states(ended).values()) == {"Succeeded"}, condition(ended, "Succeeded")
    folder = fetched(release, ended, tmp_path)
    one, two = curve(folder, "alone"), curve(folder, "pair")
    assert sorted(one) == sorted(two) == list(range(STEPS))
    for step in one:
        assert two[step] == pytest.approx(one[step], rel=1e-3), f"step {step}"


def kill(runs: Runs, pod: str) -> None:
    """Deletes a pod with no time to speak of to tidy up."""
    runs.kubectl.run("delete", "pod", pod, "--grace-period=1", "--wait=false")


def lose_a_pod(runs: Runs, release: Release, name: str, index: int, how: Callable[[Runs, str], None]) -> None:
    """Takes one pod of the training away in the midst of its steps: it is held there meanwhile."""
    key = names.events_key(runs.get(name)["metadata"]["uid"])

    def steps_done() -> int:
        bodies = [event["body"] for event in release.redis_events(key)]
        return max(
            (point["step"] for body in bodies if body["type"] == "metric" for point in body["points"]), default=0
        )

    eventually(lambda: steps_done() > 2 * SAVED_EVERY, 300, "steps are told that come after a checkpoint")
    runs.patch_spec(name, pause=True)
    runs.until_condition(name, "Paused", "Holding")
    (pod,) = [
        pod["metadata"]["name"]
        for pod in runs.pods(name)
        if pod["metadata"]["annotations"][names.ANNOTATION_INDEX] == str(index)
    ]
    how(runs, pod)
    runs.kubectl.wait(f"pod/{pod}", "delete", 60)
    runs.patch_spec(name, pause=False)


def assert_resumed(before: dict[int, float], after: dict[int, float]) -> None:
    """The second try goes on where a checkpoint of the first was made, and no step is missing."""
    assert 0 < min(after) <= max(before) + 1
    assert set(before) | set(after) == set(range(LONG))
    assert max(before) < LONG - 1, "the pod was not lost in the midst of its work"


def test_a_pod_that_is_lost_in_the_midst_of_training_resumes(runs: Runs, release: Release, tmp_path: Path) -> None:
    name = runs.start(run("resumes", training("train", steps=LONG, checkpoint={"everySteps": SAVED_EVERY})))
    lose_a_pod(runs, release, name, 0, kill)
    ended = runs.finished(name, timeout=600)
    assert condition(ended, "Succeeded")["status"] == "True", condition(ended, "Succeeded")
    assert ledger(ended)["train"]["attempt"] == 1
    folder = fetched(release, ended, tmp_path)
    assert_resumed(curve(folder, "train"), curve(folder, "train", retry=1))


@pytest.mark.parametrize(
    ("how", "retries", "disruptions"),
    [pytest.param(kill, 1, 0, id="killed"), pytest.param(Runs.evict, 0, 1, id="evicted, which costs no retry")],
)
def test_a_worker_that_is_lost_takes_the_others_along_and_all_resume(
    runs: Runs,
    release: Release,
    tmp_path: Path,
    how: Callable[[Runs, str], None],
    retries: int,
    disruptions: int,
) -> None:
    block = training("train", steps=LONG, workers=2, checkpoint={"everySteps": SAVED_EVERY}) | {"retries": retries}
    name = runs.start(run(f"restarts-{retries}", block))
    lose_a_pod(runs, release, name, 1, how)
    ended = runs.finished(name, timeout=600)
    assert condition(ended, "Succeeded")["status"] == "True", condition(ended, "Succeeded")
    line = ledger(ended)["train"]
    assert (line["attempt"], line["disruptions"]) == (2, disruptions)
    first, second = sorted(runs.jobs(name), key=lambda job: job["metadata"]["labels"][names.LABEL_ATTEMPT])
    assert first["status"].get("succeeded", 0) == 0
    assert second["status"]["succeeded"] == 2
    folder = fetched(release, ended, tmp_path)
    assert_resumed(curve(folder, "train"), curve(folder, "train", attempt=2))


def test_workers_meet_by_a_service_that_goes_with_the_run(runs: Runs) -> None:
    name = runs.start(run("meets", training("train", workers=2, batchSize=2, steps=1)))
    ended = runs.finished(name)
    service = names.peers_name(ended["metadata"]["uid"], "train")
    found = runs.kubectl.get("service", service)
    assert found["spec"]["clusterIP"] == "None"
    assert found["metadata"]["ownerReferences"][0]["uid"] == ended["metadata"]["uid"]
    runs.kubectl.run("delete", "dfr", name, "--wait=true")
    runs.kubectl.wait(f"service/{service}", "delete", 60)


# What the API server refuses


@pytest.mark.parametrize(
    ("block", "words"),
    [
        pytest.param(training("t", epochs=1), "epochs, steps: set one of them", id="two lengths"),
        pytest.param(training("t", workers=3), "batchSize is shared out", id="shares that differ"),
        pytest.param(training("t") | {"shards": 2}, "set train.workers", id="training in shards"),
        pytest.param(
            {"name": "d", "diagnose": {"data": {"digits": {}, "imageFolder": {"path": "p"}}}},
            "data needs exactly one of",
            id="two sources",
        ),
        pytest.param(
            {"name": "e", "evaluate": {"reference": {"statistics": "s.npz"}}},
            "weights: Inception features need them",
            id="no weights",
        ),
        pytest.param({"name": "i", "infer": {"total": 1}, "shards": 2}, "infer.total", id="more shards than samples"),
        pytest.param(
            {"name": "i", "infer": {"sampler": {"name": "PNDM"}}},
            "infer takes DDIM or DDPM",
            id="a sampler of another kind",
        ),
    ],
)
def test_a_block_that_cannot_work_is_refused_in_words(runs: Runs, block: Manifest, words: str) -> None:
    refused = runs.kubectl.try_run("create", "-f", "-", stdin=yaml.safe_dump(run("refused", block)))
    assert refused.returncode != 0
    assert words in refused.stderr
