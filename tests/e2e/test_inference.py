"""Class-conditional inference on a real cluster: how the samples are split over pods changes none of them."""

from pathlib import Path

import pytest
from runs import run
from scenario import Runs, ledger, states
from training_runs import FAST, ONE_CORE, artifacts, training

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Manifest, condition
from diffrun_devcluster.release import Release

TOTAL = 6


def letters(name: str, **fields: object) -> Manifest:
    """Samples of one digit between two others, so that guidance, a force and two classes are at work."""
    infer = {
        "character": "3",
        "total": TOTAL,
        "batchSize": 4,
        "sampler": FAST,
        "force": {
            "guidanceScale": 2.0,
            "forceStack": [
                {"name": "force_subtract_two", "pos_class": "3", "neg_class": "8", "w_pos": 1.0, "w_neg": 0.5}
            ],
        },
        "capture": {"saveFrames": False, "saveDeltas": False, "saveVideo": False},
    }
    return {"name": name, "dependsOn": ["train"], "infer": infer, **ONE_CORE, **fields}


def recorded(name: str) -> Manifest:
    """Two samples of which everything is kept that is kept by default."""
    block = letters(name)
    block["infer"] = {key: value for key, value in block["infer"].items() if key != "capture"} | {"total": 2}
    return block


@pytest.fixture(scope="module")
def finished(release: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """A model trained with classes, then the same samples by one pod and by two, two of them whole; the files."""
    runs = Runs(release.kubectl)
    blocks = (training("train", conditional=True), letters("one"), letters("two", shards=2), recorded("recorded"))
    name = runs.start(run("letters", *blocks, seed=5))
    ended = runs.finished(name, timeout=600)
    assert set(states(ended).values()) == {"Succeeded"}, condition(ended, "Succeeded")
    into = tmp_path_factory.mktemp("workspace")
    folder = names.run_dir(ended["metadata"]["uid"])
    release.workspace.fetch(folder, into)
    return ended, into / folder


def images(folder: Path, block: str) -> dict[str, str]:
    """The checksums of a block's samples by their index."""
    found = artifacts(folder, block, "generated_sample")
    return {artifact["tags"]["sample_index"]: artifact["sha256"] for artifact in found}


def test_the_samples_are_the_same_however_they_are_split_over_pods(finished: tuple[Manifest, Path]) -> None:
    _, folder = finished
    one, two = images(folder, "one"), images(folder, "two")
    assert sorted(one) == [str(index) for index in range(TOTAL)]
    assert len(set(one.values())) == TOTAL
    assert two == one


def test_the_run_says_what_was_drawn_and_from_which_model(finished: tuple[Manifest, Path]) -> None:
    ended, _ = finished
    outputs = ledger(ended)["two"]["outputs"]
    assert outputs["model_path"] == ledger(ended)["train"]["outputs"]["model_path"]
    assert (outputs["character"], outputs["samples"], outputs["seed"]) == ("3", TOTAL, 5)


def test_videos_and_the_dashboard_of_the_metrics_are_shown_by_default(finished: tuple[Manifest, Path]) -> None:
    _, folder = finished
    videos = artifacts(folder, "recorded", "denoising_video")
    assert {video["tags"]["sample_index"] for video in videos} == {"0", "1"}
    assert {video["contentType"] for video in videos} == {"video/mp4"}
    assert len(artifacts(folder, "recorded", "inference_dashboard")) == 1


def test_a_class_that_the_model_does_not_know_is_refused_with_those_that_it_knows(
    finished: tuple[Manifest, Path], runs: Runs
) -> None:
    ended, _ = finished
    path = ledger(ended)["train"]["outputs"]["model_path"]
    unknown = {"name": "unknown", "infer": {"character": "Q", "total": 1, "modelPath": path}}
    name = runs.start(run("unknown-class", unknown))
    line = ledger(runs.finished(name))["unknown"]
    assert line["reason"] == "UserError"
    assert "Q" in line["message"]
    assert "3" in line["message"]


def test_code_of_a_users_own_does_not_run_unless_the_installation_allows_it(
    finished: tuple[Manifest, Path], runs: Runs
) -> None:
    ended, _ = finished
    path = ledger(ended)["train"]["outputs"]["model_path"]
    force = {"name": "force_user_custom", "fn": "runs/mine.py:force"}
    own = {"character": "3", "total": 1, "modelPath": path, "force": {"forceStack": [force]}}
    name = runs.start(run("own-code", {"name": "own", "infer": own}))
    line = ledger(runs.finished(name))["own"]
    assert line["reason"] == "UserError"
    assert "does not run" in line["message"]
