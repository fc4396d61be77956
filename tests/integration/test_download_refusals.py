"""downloadCheckpoint against a Hub that fails and repositories that are unsafe: each refused in words of its own."""

import errno
import hashlib
import re
from collections.abc import Mapping
from typing import Any, BinaryIO

import pytest
from download_kit import REPO, download, downloads
from huggingface_hub import constants, file_download

from diffrun_contracts.params import DownloadCheckpoint as Params
from diffrun_testkit import repos
from diffrun_testkit.faults import Fault
from diffrun_testkit.repos import lookalike
from diffrun_testkit.servers import HubThread
from diffrun_worker import hub as hub_module
from diffrun_worker.errors import BlockError, PermanentError, TemporaryError
from diffrun_worker.testing import RecordingContext
from diffrun_worker.workspace import Workspace

pytestmark = pytest.mark.usefixtures("no_waiting")

SHORT = lookalike().commit[:12]


def refused(ctx: RecordingContext, repo: str = REPO, **params: Any) -> BlockError:
    with pytest.raises(BlockError) as caught:
        download(ctx, repo, **params)
    assert not list(ctx.root.rglob("diffrun-checkpoint.json")), "a refused download is never taken for a checkpoint"
    return caught.value


# Every way that the Hub can refuse or fail: the code, whether it may be tried again, and the exact words.
FAULTS: Mapping[Fault, tuple[type[BlockError], str, str]] = {
    Fault.UNAUTHORIZED: (
        PermanentError,
        "Unauthorized",
        "{hub} shows {repo} to nobody without a token (HTTP 401): it is private or does not exist; name a Secret with "
        "a token in downloadCheckpoint.tokenSecret, or correct downloadCheckpoint.repo",
    ),
    Fault.FORBIDDEN: (
        PermanentError,
        "Unauthorized",
        "{hub} shows {repo} to nobody without a token (HTTP 403): it is private or does not exist; name a Secret with "
        "a token in downloadCheckpoint.tokenSecret, or correct downloadCheckpoint.repo",
    ),
    Fault.GATED: (
        PermanentError,
        "GatedRepo",
        "{repo} is gated on {hub}; accept its terms there, and name a Secret with a token of that account in "
        "downloadCheckpoint.tokenSecret",
    ),
    Fault.NOT_FOUND: (
        PermanentError,
        "RepoNotFound",
        "{repo} does not exist on {hub}; correct downloadCheckpoint.repo",
    ),
    Fault.RATE_LIMITED: (TemporaryError, "RateLimited", "{hub} limits requests (HTTP 429); it asks to wait 7 s"),
    Fault.SERVER_ERROR: (TemporaryError, "HubUnavailable", "{hub} answers HTTP 500 for {repo}"),
    Fault.TIMEOUT: (TemporaryError, "HubUnavailable", "{hub} does not answer in time"),
    Fault.TRUNCATE: (TemporaryError, "DownloadIncomplete", "the download of {repo} from {hub} broke off"),
    Fault.SHORT: (TemporaryError, "DownloadIncomplete", "the download of {repo} from {hub} broke off"),
    Fault.FLIP: (
        TemporaryError,
        "ChecksumMismatch",
        "diffusion_pytorch_model.safetensors of {repo} at {commit}: the SHA-256 of what came is {flipped}, the Hub "
        "says {sha256}; the file was removed",
    ),
    Fault.NO_CHECKSUM: (
        PermanentError,
        "ChecksumMissing",
        "{hub} gives no checksum of model_index.json, so it cannot be verified; use the Hub itself",
    ),
    Fault.NOT_A_HUB: (
        TemporaryError,
        "HubUnavailable",
        "{hub} does not answer as a Hub does; check HF_ENDPOINT and proxies",
    ),
}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_of_the_hub_has_its_own_words_and_is_retried_only_where_that_may_help(
    fault: Fault, hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "API_TIMEOUT", 0.5 if fault is Fault.TIMEOUT else 30)
    kind, code, words = FAULTS[fault]
    repo = f"{REPO}-fault-{fault}"
    error = refused(ctx, repo)
    weights = bytearray(lookalike().files[repos.WEIGHTS].read())
    weights[-1] ^= 1
    message = words.format(
        hub=hub.url,
        repo=repo,
        commit=SHORT,
        flipped=hashlib.sha256(weights).hexdigest(),
        sha256=lookalike().files[repos.WEIGHTS].sha256,
    )
    assert (type(error), error.code, error.message) == (kind, code, message)


def test_every_fault_of_the_test_kit_is_accounted_for() -> None:
    harmless = {Fault.NONE, Fault.CUT_ONCE, Fault.FLIP_ONCE}
    assert set(FAULTS) == set(Fault) - harmless


def test_a_flipped_bit_is_removed_and_the_next_try_succeeds(hub: HubThread, ctx: RecordingContext) -> None:
    error = refused(ctx, f"{REPO}-fault-flip-once")
    assert (error.code, error.retryable) == ("ChecksumMismatch", True)
    assert not list(ctx.root.rglob("*.safetensors"))
    download(ctx, f"{REPO}-fault-flip-once")


def test_a_wrong_token_is_told_without_being_shown(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_0123456789")
    error = refused(ctx, f"{REPO}-fault-401")
    assert error.code == "Unauthorized"
    assert error.message == (
        f"{hub.url} refuses the token for {REPO}-fault-401 (HTTP 401); correct the token in the Secret that "
        "downloadCheckpoint.tokenSecret names"
    )


def test_a_hub_out_of_reach_may_come_back(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    error = refused(ctx)
    assert (error.code, error.retryable) == ("HubUnavailable", True)
    assert error.message == "http://127.0.0.1:1 cannot be reached (ConnectError)"


def test_a_revision_that_does_not_exist_is_told_by_name(hub: HubThread, ctx: RecordingContext) -> None:
    error = refused(ctx, revision="v9")
    assert (error.code, error.message) == (
        "RevisionNotFound",
        f"{REPO} has no revision 'v9' on {hub.url}; correct downloadCheckpoint.revision",
    )


def test_a_repository_that_does_not_exist_is_told_by_name(hub: HubThread, ctx: RecordingContext) -> None:
    error = refused(ctx, "nobody/nothing")
    assert (error.code, error.message) == (
        "RepoNotFound",
        f"nobody/nothing does not exist on {hub.url}; correct downloadCheckpoint.repo",
    )


def test_a_branch_is_refused_where_a_commit_is_required(hub: HubThread, ctx: RecordingContext) -> None:
    error = refused(ctx, requireCommit=True)
    assert (error.code, error.message) == (
        "CommitRequired",
        "downloadCheckpoint.revision: requireCommit asks for a full 40-digit commit, not 'main'",
    )
    assert hub.server.requests == []


INDEX = repos.MODEL_INDEX
ONLY_PICKLES = (
    "o/bad at {commit} has no diffusion_pytorch_model.safetensors, only pickles (diffusion_pytorch_model.bin), which "
    "run code when they are loaded; use a revision that was converted to safetensors"
)
RUNS_NONE = "which asks for code of the repository; diffrun runs none"
BAD_REPOS: Mapping[str, tuple[dict[str, bytes | None], str, str]] = {
    "only-pickles": ({repos.WEIGHTS: None}, "NoSafetensors", ONLY_PICKLES),
    "code": (
        {"pipeline.py": b"import os"},
        "RemoteCode",
        "o/bad at {commit} brings code (pipeline.py); diffrun runs none: use a repository without",
    ),
    "class-list": (
        {"model_index.json": repos.as_json({**INDEX, "_class_name": ["pipeline", "Evil"]})},
        "RemoteCode",
        f"model_index.json has a list as _class_name, {RUNS_NONE}",
    ),
    "custom-pipeline": (
        {"model_index.json": repos.as_json({**INDEX, "custom_pipeline": "someone/else"})},
        "RemoteCode",
        f"model_index.json has the key 'custom_pipeline', {RUNS_NONE}",
    ),
    "auto-map": (
        {"config.json": repos.as_json({**repos.UNET_CONFIG, "auto_map": {"AutoModel": "evil.Model"}})},
        "RemoteCode",
        f"config.json has the key 'auto_map', {RUNS_NONE}",
    ),
    "other-class": (
        {"config.json": repos.as_json({**repos.UNET_CONFIG, "_class_name": "UNet2DConditionModel"})},
        "UnsupportedClass",
        "config.json: _class_name 'UNet2DConditionModel' is not supported; supported are UNet2DModel",
    ),
    "no-config": (
        {"config.json": None},
        "NotACheckpoint",
        "o/bad at {commit} has no config.json; use a diffusers checkpoint of an unconditional UNet",
    ),
    "pickle-renamed": (
        {repos.WEIGHTS: b"PK\x03\x04" + bytes(400)},
        "CorruptCheckpoint",
        "diffusion_pytorch_model.safetensors: it is a pickle with another name; pickles run code and are never loaded",
    ),
    "truncated-at-the-source": (
        {repos.WEIGHTS: repos.safetensors({"a": 8})[:-4]},
        "CorruptCheckpoint",
        "diffusion_pytorch_model.safetensors: it is truncated: the tensors need 32 bytes, 28 are there",
    ),
}


@pytest.mark.parametrize("bad", BAD_REPOS)
def test_a_repository_that_is_no_safe_checkpoint_is_refused_for_good(
    bad: str, hub: HubThread, ctx: RecordingContext
) -> None:
    changes, code, words = BAD_REPOS[bad]
    repo = lookalike("o/bad", changes)
    hub.server.repos["o/bad"] = repo
    error = refused(ctx, "o/bad")
    expected = words.format(commit=repo.commit[:12])
    assert (type(error), error.code, error.message) == (PermanentError, code, expected)
    if "weights" not in words and code != "CorruptCheckpoint":
        assert repos.WEIGHTS not in downloads(hub), "judged before a weight is fetched"
    assert not list(ctx.root.rglob("*.partial")), "what will never be a checkpoint takes no room"


@pytest.mark.parametrize("repo", ["https://huggingface.co/google/ddpm-cat-256", "../ddpm", "ddpm-cat-256", "a/../b"])
def test_a_repository_that_is_no_owner_and_name_is_refused_by_its_field(repo: str) -> None:
    with pytest.raises(ValueError, match=r"repo\n +String should match pattern"):
        Params(repo=repo)


def test_a_workspace_without_room_is_told_before_a_weight_is_fetched(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Workspace, "free_bytes", lambda self: 1000)
    error = refused(ctx)
    needed = sum(
        lookalike().files[name].size
        for name in ("config.json", "model_index.json", "scheduler_config.json", repos.WEIGHTS)
    )
    assert (type(error), error.code) == (PermanentError, "DiskFull")
    assert error.message == (
        f"no room to download {REPO}: {needed + 16 * 1024 * 1024} bytes needed, 1000 free on the workspace; "
        "delete old runs' files or enlarge the volume"
    )
    assert downloads(hub) == []


def test_a_workspace_that_gets_full_amid_the_weights_is_told_and_whole_files_are_kept(
    hub: HubThread, ctx: RecordingContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = 0
    real = file_download.http_get

    class Filling:
        """A file of weights, on a disk with room for the first half of them."""

        def __init__(self, file: BinaryIO) -> None:
            self.file = file

        def write(self, data: bytes) -> int:
            nonlocal written
            if written + len(data) > weights.size // 2:
                raise OSError(errno.ENOSPC, "No space left on device")
            written += self.file.write(data)
            return len(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    def http_get(url: str, temp_file: BinaryIO, **options: Any) -> None:
        real(url, Filling(temp_file) if options["expected_size"] == weights.size else temp_file, **options)

    served = lookalike()
    weights = served.files[repos.WEIGHTS]
    needed = sum(
        served.files[name].size for name in ("config.json", "model_index.json", "scheduler_config.json", repos.WEIGHTS)
    )
    monkeypatch.setattr(Workspace, "free_bytes", lambda self: 7 if written else 2**40)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1024)
    monkeypatch.setattr(file_download, "http_get", http_get)
    error = refused(ctx)
    assert (type(error), error.code) == (PermanentError, "DiskFull")
    assert error.message == (
        f"no room to download {REPO}: {needed} bytes needed, 7 free on the workspace; "
        "delete old runs' files or enlarge the volume"
    )
    monkeypatch.undo()
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert download(ctx)["downloaded_bytes"] == weights.size, "whole files are kept"


def test_no_message_shows_a_url_that_might_be_signed(hub: HubThread, ctx: RecordingContext) -> None:
    for fault in FAULTS:
        if fault is not Fault.TIMEOUT:
            error = refused(ctx, f"{REPO}-fault-{fault}")
            assert not re.search(r"(resolve|_lfs|/api/)", error.message)
