"""The sample manifest as it is shipped, only with a small model: download, preview, gate, full batch."""

import json
import struct
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from scenario import Runs, ledger, states

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Manifest, condition, eventually
from diffrun_devcluster.release import Release

MODEL = "diffrun/ddpm-digits"
METRICS = ("denoise/noise_level", "denoise/predicted_noise_mse", "denoise/snr")


def sample(root: Path, name: str) -> Manifest:
    """The primary sample under another name, with the small repository."""
    manifest: Manifest = yaml.safe_load((root / "manifests" / "samples" / "ddpm-cat.yaml").read_text())
    manifest["metadata"]["name"] = name
    manifest["spec"]["blocks"][0]["downloadCheckpoint"]["repo"] = MODEL
    return manifest


def artifacts(folder: Path, block: str, retry: str = "0") -> list[dict[str, Any]]:
    """The artifacts of a block by its manifests, over all shards, in the order of the shards."""
    found = sorted(folder.glob(f"{block}/1/*/{retry}/{names.MANIFEST_FILE}"), key=lambda path: int(path.parts[-3]))
    return [artifact for path in found for artifact in json.loads(path.read_text())["artifacts"]]


def points(folder: Path, block: str) -> list[dict[str, Any]]:
    """Every metric point of a block, from the durable events."""
    lines = [
        line for path in folder.glob(f"{block}/1/*/*/{names.EVENTS_FILE}") for line in path.read_text().splitlines()
    ]
    events = [json.loads(line) for line in lines]
    return [point for event in events if event["body"]["type"] == "metric" for point in event["body"]["points"]]


@pytest.fixture(scope="module")
def finished(root: Path, release: Release, tmp_path_factory: pytest.TempPathFactory) -> tuple[Manifest, Path]:
    """One run of the sample from apply to the end, approved by an approver; the run, and its files."""
    runs = Runs(release.kubectl)
    approver = release.ensure_approver("alice")
    name = runs.start(sample(root, "ddpm-cat"))
    waiting = runs.until_condition(name, "GatePending", timeout=420)
    assert states(waiting) == {"download": "Succeeded", "preview": "Succeeded", "full": "Pending"}
    digest = waiting["status"]["gates"]["preview"]["previewDigest"]
    decided = runs.decide(name, "preview", "Approved", approver, previewDigest=digest)
    assert decided.returncode == 0, decided.stderr
    ended = runs.finished(name, timeout=420)
    into = tmp_path_factory.mktemp("workspace")
    folder = names.run_dir(ended["metadata"]["uid"])
    release.workspace.fetch(folder, into)
    return ended, into / folder


def test_the_sample_runs_to_its_end_and_names_who_approved(finished: tuple[Manifest, Path]) -> None:
    run, _ = finished
    assert condition(run, "Succeeded")["status"] == "True", condition(run, "Succeeded")
    assert states(run) == {"download": "Succeeded", "preview": "Succeeded", "full": "Succeeded"}
    assert run["status"]["gates"]["preview"]["decidedBy"].endswith(":alice")
    assert run["status"]["done"] == "3/3"


def test_the_downloaded_model_is_passed_on_by_path_and_commit(finished: tuple[Manifest, Path]) -> None:
    run, _ = finished
    outputs = {name: line["outputs"] for name, line in ledger(run).items()}
    assert outputs["download"]["model_path"].startswith(names.HUB_CACHE_DIR)
    assert len(outputs["download"]["commit"]) == 40
    assert outputs["preview"]["model_path"] == outputs["full"]["model_path"] == outputs["download"]["model_path"]


@pytest.mark.parametrize(("block", "phase", "count"), [("preview", "preview", 2), ("full", "full", 16)])
def test_every_sample_is_a_png_artifact_with_its_tags(
    finished: tuple[Manifest, Path], block: str, phase: str, count: int
) -> None:
    _, folder = finished
    written = artifacts(folder, block)
    assert len(written) == count
    assert {artifact["schemaType"] for artifact in written} == {"generated_sample"}
    assert {artifact["contentType"] for artifact in written} == {"image/png"}
    assert {artifact["tags"]["phase"] for artifact in written} == {phase}
    assert {artifact["tags"]["sample_index"] for artifact in written} == {str(index) for index in range(count)}
    for artifact in written:
        data = (folder.parents[1] / artifact["path"]).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert struct.unpack(">II", data[16:24]) == (artifact["width"], artifact["height"])


def test_the_full_batch_shows_other_images_than_the_preview(finished: tuple[Manifest, Path]) -> None:
    _, folder = finished
    digests = [artifact["sha256"] for block in ("preview", "full") for artifact in artifacts(folder, block)]
    assert len(set(digests)) == len(digests) == 18


@pytest.mark.parametrize(("block", "count"), [("preview", 2), ("full", 16)])
def test_every_step_of_every_sample_has_the_three_metrics(
    finished: tuple[Manifest, Path], block: str, count: int
) -> None:
    _, folder = finished
    seen = {
        (point["name"], point["labels"]["step"], point["labels"]["sample_index"]) for point in points(folder, block)
    }
    assert seen == {(name, step, sample) for name in METRICS for step in range(10) for sample in range(count)}


def test_the_noise_level_falls_and_the_snr_rises_and_both_tell_of_the_same_schedule(
    finished: tuple[Manifest, Path],
) -> None:
    _, folder = finished
    first = [point for point in points(folder, "preview") if point["labels"]["sample_index"] == 0]
    noise = [point["value"] for point in sorted(first, key=lambda p: p["step"]) if point["name"] == METRICS[0]]
    snr = [point["value"] for point in sorted(first, key=lambda p: p["step"]) if point["name"] == METRICS[2]]
    assert noise == sorted(noise, reverse=True)
    assert noise[0] > 0.9 > 0.1 > noise[-1]
    for level, ratio in zip(noise, snr, strict=True):
        assert ratio == pytest.approx(min((1 - level) / level, 1000))


def test_redis_has_the_events_of_the_durable_file(finished: tuple[Manifest, Path], release: Release) -> None:
    run, folder = finished
    streamed = {
        (event["pod"], event["seq"]) for event in release.redis_events(names.events_key(run["metadata"]["uid"]))
    }
    lines = [line for path in folder.rglob(names.EVENTS_FILE) for line in path.read_text().splitlines()]
    durable = {(event["pod"], event["seq"]) for event in map(json.loads, lines)}
    assert durable
    assert streamed == durable


def test_shards_make_the_same_images_as_one_pod_and_a_second_run_downloads_nothing(
    finished: tuple[Manifest, Path], root: Path, runs: Runs, release: Release, tmp_path: Path
) -> None:
    first, folder = finished
    manifest = sample(root, "sharded")
    blocks = manifest["spec"]["blocks"]
    del blocks[1]
    blocks[1]["shards"] = 2
    name = runs.start(manifest)
    ended = runs.finished(name, timeout=420)
    assert condition(ended, "Succeeded")["status"] == "True"
    assert ledger(ended)["download"]["outputs"]["model_path"] == ledger(first)["download"]["outputs"]["model_path"]
    assert ledger(ended)["download"]["outputs"]["downloaded_bytes"] == 0
    run_dir = names.run_dir(ended["metadata"]["uid"])
    release.workspace.fetch(run_dir, tmp_path)
    alone = {artifact["tags"]["sample_index"]: artifact["sha256"] for artifact in artifacts(folder, "full")}
    split = {artifact["tags"]["sample_index"]: artifact["sha256"] for artifact in artifacts(tmp_path / run_dir, "full")}
    assert split == alone


def count_points(release: Release, key: str) -> int:
    """How many metric points a run's stream holds."""
    bodies = [event["body"] for event in release.redis_events(key)]
    return sum(len(body["points"]) for body in bodies if body["type"] == "metric")


def unchanged_points(release: Release, key: str) -> int:
    """The number of points where two looks in a row see the same, 0 otherwise."""
    first, second = count_points(release, key), count_points(release, key)
    return first if first == second else 0


def test_a_pause_holds_the_denoising_loop_between_two_steps(runs: Runs, release: Release, root: Path) -> None:
    manifest = sample(root, "pause-loop")
    blocks = manifest["spec"]["blocks"]
    del blocks[1]
    blocks[1]["generateFull"] = {"samples": 64, "batchSize": 4, "sampler": {"name": "DDIM", "steps": 200}}
    name = runs.start(manifest)
    runs.until_block(name, "full", "Running", timeout=300)
    runs.until(name, "progress is told", lambda run: "progress" in ledger(run)["full"], timeout=120)
    runs.kubectl.run("patch", "dfr", name, "--type=merge", "-p", '{"spec":{"pause":true}}')
    held = runs.until_condition(name, "Paused", "Holding", timeout=60)
    key = names.events_key(held["metadata"]["uid"])
    at_rest = eventually(lambda: unchanged_points(release, key), 30, "what was measured before has arrived")
    time.sleep(2)  # time for a hundred steps of a loop that did not hold
    assert count_points(release, key) == at_rest
    runs.kubectl.run("patch", "dfr", name, "--type=merge", "-p", '{"spec":{"pause":false}}')
    runs.until_condition(name, "Paused", "NotRequested", status="False", timeout=60)
    runs.kubectl.run("patch", "dfr", name, "--type=merge", "-p", '{"spec":{"cancel":true}}')
    assert condition(runs.finished(name), "Succeeded")["reason"] == "Cancelled"
