"""downloadCheckpoint with the real Hub client against the Hub's look-alike: what comes, and what comes only once."""

import errno
import fcntl
import hashlib
import json
import logging
import threading
from collections.abc import Callable
from typing import Any

import pytest
from download_kit import REPO, download, downloads
from huggingface_hub import constants

from diffrun_testkit import repos
from diffrun_testkit.repos import lookalike
from diffrun_testkit.servers import HubThread
from diffrun_worker.block import Outputs
from diffrun_worker.blocks.download import _Download, complete_checkpoint
from diffrun_worker.errors import BlockError, PermanentError, Stopped, TemporaryError
from diffrun_worker.testing import RecordingContext

pytestmark = pytest.mark.usefixtures("no_waiting")


def test_a_checkpoint_arrives_whole_verified_and_without_its_pickle(hub: HubThread, ctx: RecordingContext) -> None:
    outputs = download(ctx)
    served = lookalike()
    path = ctx.workspace.path(str(outputs["model_path"]))
    names = {each.name for each in path.iterdir()}
    expected = {"config.json", "diffusion_pytorch_model.safetensors", "model_index.json", "scheduler_config.json"}
    assert names == {*expected, "diffrun-checkpoint.json"}
    for name in expected:
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == served.files[name].sha256
    assert outputs == {
        "model_path": f"cache/hub/models--google--ddpm-cat-256/{served.commit}",
        "commit": served.commit,
        "size": sum(served.files[name].size for name in expected),
        "downloaded_bytes": sum(served.files[name].size for name in expected),
    }
    manifest = json.loads((path / "diffrun-checkpoint.json").read_text())
    assert manifest["files"] == {name: served.files[name].sha256 for name in expected}
    assert ctx.progressed[-1] == (outputs["size"], outputs["size"])
    assert [done for done, _ in ctx.progressed] == sorted(done for done, _ in ctx.progressed)


def test_a_second_run_downloads_nothing(hub: HubThread, ctx: RecordingContext) -> None:
    first = download(ctx)
    hub.server.requests.clear()
    assert download(ctx) == {**first, "downloaded_bytes": 0}
    assert downloads(hub) == []


def test_a_commit_that_is_there_needs_no_hub_at_all(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = download(ctx)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert download(ctx, revision=first["commit"], requireCommit=True) == {**first, "downloaded_bytes": 0}
    assert refused_by_reach(ctx).code == "HubUnavailable", "a branch may have moved on"


def refused_by_reach(ctx: RecordingContext) -> BlockError:
    with pytest.raises(TemporaryError) as caught:
        download(ctx)
    return caught.value


def test_a_checkpoint_that_lost_a_byte_is_downloaded_again(hub: HubThread, ctx: RecordingContext) -> None:
    model = str(download(ctx)["model_path"])
    weights = ctx.workspace.path(model) / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert complete_checkpoint(ctx.workspace, model) is None
    download(ctx)
    assert complete_checkpoint(ctx.workspace, model) is not None


def test_two_downloads_at_once_share_one(hub: HubThread, ctx: RecordingContext) -> None:
    outputs: list[Outputs] = []
    threads = [threading.Thread(target=lambda: outputs.append(download(RecordingContext(ctx.root)))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(outputs) == 4
    assert {each["model_path"] for each in outputs} == {outputs[0]["model_path"]}
    assert sorted(each["downloaded_bytes"] for each in outputs) == [0, 0, 0, outputs[0]["size"]]
    assert sorted(downloads(hub)) == sorted(set(downloads(hub)))


def between(monkeypatch: pytest.MonkeyPatch, method: str, other: Callable[[], Outputs]) -> list[Outputs]:
    """Lets another download of the same commit run from its beginning to its end when the first gets to a method."""
    met: list[Outputs] = []
    real = getattr(_Download, method)

    def patched(self: _Download, *arguments: Any) -> Any:
        monkeypatch.setattr(_Download, method, real)
        met.append(other())
        return real(self, *arguments)

    monkeypatch.setattr(_Download, method, patched)
    return met


@pytest.mark.parametrize("moment", ["_judge", "_publish"])
def test_where_locks_are_ignored_two_downloads_only_do_the_work_twice(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    monkeypatch.setattr(fcntl, "flock", lambda file, operation: None)
    met = between(monkeypatch, moment, lambda: download(RecordingContext(ctx.root)))
    outputs = download(ctx)
    assert outputs["model_path"] == met[0]["model_path"]
    assert complete_checkpoint(ctx.workspace, str(outputs["model_path"])) is not None
    assert not list(ctx.root.rglob("*.partial"))


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP], ids=["ENOLCK", "EOPNOTSUPP"])
def test_a_filesystem_that_refuses_locks_is_refused_with_what_to_do(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def flock(file: int, operation: int) -> None:
        raise OSError(number, "not here")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(PermanentError) as caught:
        download(ctx)
    assert caught.value.code == "UnsupportedWorkspace"
    assert "the workspace's filesystem has no file locks (not here), and downloads need them" in caught.value.message


def test_a_complete_checkpoint_that_others_may_be_reading_is_not_replaced(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def restore() -> Outputs:
        spare.rename(folder)
        return outputs

    outputs = download(ctx)
    folder = ctx.workspace.path(str(outputs["model_path"]))
    node, spare = folder.stat().st_ino, ctx.root / "spare"
    folder.rename(spare)
    between(monkeypatch, "_publish", restore)
    assert download(ctx)["downloaded_bytes"] == outputs["size"]
    assert folder.stat().st_ino == node
    assert not list(ctx.root.rglob("*.partial"))


def test_a_download_that_lost_its_files_to_nobody_may_be_tried_again(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(self: _Download) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(_Download, "_judge", taken)
    with pytest.raises(TemporaryError) as caught:
        download(ctx)
    assert str(caught.value) == f"DownloadIncomplete: another download of {REPO} took or removed this one's files"


def test_the_folder_layout_is_kept(hub: HubThread, ctx: RecordingContext) -> None:
    root = lookalike().files
    moved: dict[str, bytes | None] = {
        "config.json": None,
        "scheduler_config.json": None,
        repos.WEIGHTS: None,
        "unet/config.json": root["config.json"].read(),
        "scheduler/scheduler_config.json": root["scheduler_config.json"].read(),
        f"unet/{repos.WEIGHTS}": root[repos.WEIGHTS].read(),
    }
    hub.server.repos["o/folders"] = lookalike("o/folders", moved)
    path = ctx.workspace.path(str(download(ctx, "o/folders")["model_path"]))
    assert (path / "unet" / repos.WEIGHTS).is_file()
    assert (path / "scheduler" / "scheduler_config.json").is_file()


def sent(hub: HubThread) -> list[str]:
    """The SHA-256 of each large file that was sent, as often as it was."""
    return [path.rsplit("/", 1)[-1] for method, path in hub.server.requests if method == "GET" and "/_lfs/" in path]


def test_a_connection_that_breaks_once_goes_on_where_it_was(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)  # of what was begun of a chunk nothing is kept
    outputs = download(ctx, f"{REPO}-fault-cut-once")
    assert sum(each == lookalike().files[repos.WEIGHTS].sha256 for each in sent(hub)) == 2, "it broke, once"
    assert outputs["downloaded_bytes"] == outputs["size"]
    done = [done for done, _ in ctx.progressed]
    assert done == sorted(done), "the client takes back what it begins anew"


def test_a_token_opens_a_gated_repository_and_is_told_nowhere(
    hub: HubThread, ctx: RecordingContext, token: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HF_TOKEN", token)
    download(ctx, f"{REPO}-fault-gated")
    assert token not in caplog.text
    assert not [path for path in ctx.root.rglob("*") if path.is_file() and token.encode() in path.read_bytes()]


def test_sigterm_stops_a_download_in_the_middle(hub: HubThread, ctx: RecordingContext) -> None:
    def stop(checks: int) -> None:
        if checks == 8:
            raise Stopped

    ctx.on_check_pause = stop
    with pytest.raises(Stopped):
        download(ctx)
    ctx.on_check_pause = None
    hub.server.requests.clear()
    download(ctx)
    assert len(downloads(hub)) < 4, "files that were complete are not fetched again"
