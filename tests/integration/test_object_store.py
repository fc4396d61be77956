"""Whole blocks on an object store, over HTTP, and their pages from it alone."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import gateway
from PIL import Image
from s3_kit import BUCKET, S3Server

from diffrun_contracts import names
from diffrun_contracts.events import Manifest
from diffrun_testkit.servers import HubThread, RedisServer
from diffrun_worker.assignment import Assignment, from_file
from diffrun_worker.runner import Outcome, run_assignment
from diffrun_worker.stored_workspace import StoredWorkspace

URL = f"s3://{BUCKET}/team/runs"
MODEL = Path(__file__).parents[2] / "examples/digits/checkpoint"
UNET = {
    "block_out_channels": [4, 8], "norm_num_groups": 4, "layers_per_block": 1, "add_attention": False,
    "down_block_types": ["DownBlock2D", "DownBlock2D"], "up_block_types": ["UpBlock2D", "UpBlock2D"],
}  # fmt: skip
TRAIN: dict[str, Any] = {
    "model": {"name": "unet2d", "config": UNET}, "data": {"digits": {}}, "batchSize": 8, "steps": 4,
    "checkpoint": {"everySteps": 2, "keep": 2},
    "sampleGrid": {"everySteps": 1000, "samples": 2, "sampler": {"steps": 2}},
}  # fmt: skip
PREVIEW: dict[str, Any] = {"samples": 2, "modelPath": "models/digits", "sampler": {"name": "DDIM", "steps": 3}}


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(running: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """A store with a bucket, which this process' environment opens."""
    for name, value in {**running.environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    running.requests.clear()
    yield running
    running.fault = lambda _method, _path: None


@pytest.fixture
def stored(s3: S3Server) -> StoredWorkspace:
    """The workspace, as somebody who looks at it later has it; a model lies in it."""
    workspace = StoredWorkspace(URL)
    shutil.copytree(MODEL, workspace.place("models/digits"))
    workspace.keep(workspace.place("models/digits"), whole=True)
    return StoredWorkspace(URL)


def assignment(tmp_path: Path, block: str, params: dict[str, Any], **more: Any) -> Assignment:
    path = tmp_path / "block.yaml"
    path.write_text(json.dumps({"name": "work", "seed": 3, block: params}))
    return replace(from_file(path, URL, None, 0), **more)


def perform(tmp_path: Path, block: str, params: dict[str, Any], **more: Any) -> Outcome:
    return run_assignment(assignment(tmp_path, block, params, **more), signals=False)


def events(workspace: StoredWorkspace, outcome: Outcome) -> list[dict[str, Any]]:
    """The bodies, from the segments."""
    folder = f"{outcome.directory}/{names.EVENTS_DIR}"
    data = [workspace.read(f"{folder}/{name}") for name in sorted(workspace.sizes(folder))]
    return [json.loads(line)["body"] for line in b"".join(data).splitlines()]


async def test_a_preview_draws_from_a_model_in_the_store_and_its_pages_need_nothing_else(
    tmp_path: Path, stored: StoredWorkspace, redis_server: RedisServer
) -> None:
    redis_server.start()
    outcome = perform(tmp_path, "generatePreview", PREVIEW, redis_url=redis_server.url)
    assert outcome.exit_code == 0, outcome.result.error
    uid = re.match("runs/([^/]+)/", str(outcome.directory))[1]  # type: ignore[index]
    assert redis_server.events(names.events_key(uid))
    redis_server.client.flushall()
    async with gateway(None, redis_server.url, workspace_url=URL) as gate:
        await gate.run(uid)
        artifacts = (await gate.json("api/artifacts", run=uid))["artifacts"]
        assert sorted(entry["tags"]["sample_index"] for entry in artifacts) == ["0", "1"]
        where = f"{gate.url}/api/artifacts/{artifacts[0]['id']}"
        async with gate.http.get(where, params={"run": uid}) as response:
            whole = await response.read()
            assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
        assert Image.open(io.BytesIO(whole)).size == (16, 16)
        async with gate.http.get(where, params={"run": uid}, headers={"Range": "bytes=10-19"}) as response:
            assert (response.status, await response.read()) == (206, whole[10:20])
        async with gate.http.get(f"{where}/thumbnail", params={"run": uid, "size": 64}) as response:
            assert Image.open(io.BytesIO(await response.read())).format == "WEBP"
        series = await gate.json("api/series", run=uid, metric="denoise/snr")
        assert series["series"]
    assert not list((tmp_path / "cache").glob("diffrun-workspace-*/runs/*/work/1/0/0/artifacts/*")), "no copies"


def test_a_training_goes_on_from_the_states_in_the_store_and_keeps_as_many_as_asked(
    tmp_path: Path, stored: StoredWorkspace
) -> None:
    first = assignment(tmp_path, "train", TRAIN)
    outcome = run_assignment(first, signals=False)
    assert outcome.exit_code == 0, outcome.result.error
    longer = first.task.model_copy(update={"params": {**TRAIN, "steps": 7}, "attempt": 2})
    again = run_assignment(replace(first, task=longer, pod="another"), signals=False)
    assert again.exit_code == 0, again.result.error
    steps = [p["step"] for body in events(stored, again) if body["type"] == "metric" for p in body["points"]]
    assert min(steps) >= 4, "it went on from step 4"
    home = f"{names.block_dir(first.task.run.uid, 'work')}/checkpoints"
    found = {name.split("/")[1] for name in stored.sizes(home) if name.startswith("state/")}
    assert found == {"step-000000006", "step-000000007"}
    model = str(again.result.outputs["model_path"])
    other = perform(tmp_path, "train", {**TRAIN, "steps": 8, "resume": model})
    assert other.exit_code == 0, other.result.error
    assert min(p["step"] for b in events(stored, other) if b["type"] == "metric" for p in b["points"]) >= 7
    drawn = perform(tmp_path, "generatePreview", {**PREVIEW, "modelPath": model})
    assert drawn.exit_code == 0, drawn.result.error


def test_a_store_that_is_busy_for_a_moment_only_delays_what_is_announced(
    tmp_path: Path, s3: S3Server, stored: StoredWorkspace
) -> None:
    failed: set[str] = set()

    def once(method: str, path: str) -> int | None:
        if method == "PUT" and "/artifacts/" in path and path not in failed:
            failed.add(path)
            return 503
        return None

    s3.fault = once
    s3.requests.clear()
    outcome = perform(tmp_path, "test.sleep", {"steps": 3, "artifacts": 2})
    assert outcome.exit_code == 0, outcome.result.error
    assert len(failed) == 2
    stored_files = s3.puts("/runs/")
    manifest = Manifest.model_validate_json(stored.read(f"{outcome.directory}/{names.MANIFEST_FILE}"))
    announcing = next(i for i, path in enumerate(stored_files) if f"/{names.EVENTS_DIR}/" in path)
    before = [path for path in stored_files[:announcing] if "/artifacts/" in path]
    assert {path.partition("/runs/runs/")[2] for path in before} == {
        artifact.path.removeprefix("runs/") for artifact in manifest.artifacts
    }


def test_what_the_store_does_not_take_is_announced_nowhere_and_may_be_tried_again(
    tmp_path: Path, s3: S3Server, stored: StoredWorkspace, redis_server: RedisServer
) -> None:
    redis_server.start()
    s3.fault = lambda method, path: 503 if method == "PUT" and "/artifacts/" in path else None
    given = assignment(tmp_path, "test.sleep", {"steps": 3, "artifacts": 2}, redis_url=redis_server.url)
    outcome = run_assignment(given, signals=False)
    assert outcome.exit_code == 75
    assert outcome.result.error is not None
    assert outcome.result.error.code == "WorkspaceUnavailable"
    assert f"cannot write objects of {URL}" in outcome.result.error.message
    told = [event.body.type for event in redis_server.events(names.events_key(given.task.run.uid))]
    assert told == [body["type"] for body in events(stored, outcome)]
    assert "artifact_written" not in told
    assert told[-1] == "block_finished"
    manifest = Manifest.model_validate_json(stored.read(f"{outcome.directory}/{names.MANIFEST_FILE}"))
    assert manifest.artifacts == ()


@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_denied_access_is_permanent_and_names_bucket_and_secret(
    tmp_path: Path, s3: S3Server, stored: StoredWorkspace, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setenv("DIFFRUN_WORKSPACE_SECRET", "store-keys")
    s3.fault = lambda asked, _path: 403 if asked == method else None
    outcome = perform(tmp_path, "test.sleep", {"steps": 1})
    assert outcome.exit_code == 64
    assert outcome.result.error is not None
    assert outcome.result.error.code == "StoreAccessDenied"
    assert f"bucket {BUCKET!r} (Access Denied); check the keys in the Secret store-keys" in outcome.result.error.message
    assert "canary-secret" not in outcome.result.error.message


def test_a_bucket_that_does_not_exist_is_permanent(tmp_path: Path, s3: S3Server) -> None:
    outcome = perform(tmp_path, "test.sleep", {"steps": 1}, workspace="s3://elsewhere/runs")
    assert outcome.exit_code == 64
    assert outcome.result.error is not None
    assert outcome.result.error.code == "BucketNotFound"
    assert "there is no bucket 'elsewhere'" in outcome.result.error.message


def test_a_store_that_is_not_reached_may_come_back(
    tmp_path: Path, s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    outcome = perform(tmp_path, "test.sleep", {"steps": 1})
    assert outcome.exit_code == 75
    assert outcome.result.error is not None
    assert outcome.result.error.code == "WorkspaceUnavailable"


def test_a_second_run_downloads_nothing_from_the_hub(tmp_path: Path, stored: StoredWorkspace, hub: HubThread) -> None:
    params = {"repo": next(iter(hub.server.repos))}
    first = perform(tmp_path, "downloadCheckpoint", params)
    assert first.exit_code == 0, first.result.error
    second = perform(tmp_path, "downloadCheckpoint", params)
    assert second.result.outputs == {**first.result.outputs, "downloaded_bytes": 0}
    assert sum(stored.sizes(str(first.result.outputs["model_path"])).values()) > int(first.result.outputs["size"])


async def test_a_gateway_whose_store_is_away_says_so_and_finds_it_again(
    tmp_path: Path, s3: S3Server, stored: StoredWorkspace
) -> None:
    outcome = perform(tmp_path, "test.sleep", {"steps": 2, "artifacts": 1})
    uid = str(outcome.directory).split("/")[1]
    async with gateway(None, None, workspace_url=URL) as gate:
        await gate.run(uid)
        (entry,) = (await gate.json("api/artifacts", run=uid))["artifacts"]
        s3.fault = lambda _method, _path: 403
        status, problem = await gate.refused(f"api/artifacts/{entry['id']}", run=uid)
        assert (status, problem["code"]) == (503, "Unavailable")
        assert "the store does not let the gateway in" in problem["message"]
        s3.fault = lambda _method, _path: None
        async with gate.http.get(f"{gate.url}/api/artifacts/{entry['id']}", params={"run": uid}) as response:
            assert response.status == 200
