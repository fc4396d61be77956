"""One block from its assignment to its exit code: what it leaves in the workspace and in the termination message."""

import errno
import hashlib
import json
import os
import sys
import time
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts import names
from diffrun_contracts.task import BlockResult, BlockTask, RunRef
from diffrun_worker import registry
from diffrun_worker.assignment import Assignment
from diffrun_worker.block import BlockContext, Interruption, Shard
from diffrun_worker.control import Control
from diffrun_worker.errors import PermanentError, Stopped
from diffrun_worker.runner import run_assignment


class Scripted:
    """A block that does what a test says."""

    @staticmethod
    def script(ctx: BlockContext) -> Any:
        return {}

    def run(self, params: Any, ctx: BlockContext) -> Any:
        return type(self).script(ctx)


class ScriptedPoint(EntryPoint):
    def load(self) -> Any:
        return Scripted


class Worker:
    """Runs a scripted block and reads what it left."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.workspace = root / "workspace"
        self.workspace.mkdir()
        self.monkeypatch = monkeypatch
        monkeypatch.setattr(
            registry, "entry_points", lambda group: [ScriptedPoint("scripted", "m:Scripted", "diffrun.blocks")]
        )

    def run(self, script: Any = lambda ctx: {}, **changes: Any) -> int:
        self.monkeypatch.setattr(Scripted, "script", staticmethod(script))
        block_type = changes.pop("block_type", "scripted")
        task = BlockTask(run=RunRef(namespace="d", name="r", uid="u-1"), block="work", type=block_type, shards=2)
        assignment = Assignment(
            task=task,
            workspace=str(self.workspace),
            pod="pod-1",
            shard=Shard(1, 2),
            termination_log=self.root / "termination-log",
            **changes,
        )
        return run_assignment(assignment, signals=False).exit_code

    @property
    def directory(self) -> Path:
        return self.workspace / names.retry_dir("u-1", "work", 1, 1, 0)

    @property
    def result(self) -> Path:
        return self.workspace / names.shard_dir("u-1", "work", 1, 1) / names.RESULT_FILE

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line)["body"] for line in (self.directory / names.EVENTS_FILE).read_text().splitlines()]

    def told(self) -> BlockResult:
        return BlockResult.model_validate_json((self.root / "termination-log").read_bytes())


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Worker:
    return Worker(tmp_path, monkeypatch)


def test_a_block_that_succeeds_leaves_events_artifacts_and_its_result(worker: Worker) -> None:
    def script(ctx: BlockContext) -> dict[str, Any]:
        ctx.metric("a", 0.5, step=0, sample_index=3)
        ctx.artifact(b"png", schema_type="s", content_type="image/png", tags={"phase": "test"}, width=1, height=2)
        ctx.progress(1, 1)
        return {"model_path": "m", "shard": ctx.shard.index}

    assert worker.run(script) == 0
    kinds = [event["type"] for event in worker.events()]
    assert kinds[0] == "block_started"
    assert kinds[-1] == "block_finished"
    assert {"metric", "artifact_written", "progress"} <= set(kinds)
    (written,) = [event["artifact"] for event in worker.events() if event["type"] == "artifact_written"]
    assert (worker.workspace / written["path"]).read_bytes() == b"png"
    assert written["path"].startswith(names.retry_dir("u-1", "work", 1, 1, 0))
    assert written["path"].endswith(".png")
    result = BlockResult.model_validate_json(worker.result.read_bytes())
    assert result.outputs == {"model_path": "m", "shard": 1}
    expected = hashlib.sha256((hashlib.sha256(b"png").hexdigest() + "\n").encode()).hexdigest()
    assert result.artifacts_digest == f"sha256:{expected}"
    assert result.artifacts == 1
    assert worker.told() == result


def fail(error: BaseException) -> Any:
    def script(ctx: BlockContext) -> Any:
        raise error

    return script


@pytest.mark.parametrize(
    ("error", "exit_code", "code", "retryable"),
    [
        (PermanentError("Mine", "do this"), 64, "Mine", False),
        (ValueError("surprise"), 75, "UnexpectedError", True),
        (OSError(errno.ENOSPC, "No space left", "x"), 64, "DiskFull", False),
        (Stopped(), 143, "Stopped", True),
    ],
    ids=["permanent", "unexpected", "disk-full", "sigterm"],
)
def test_a_block_that_fails_says_why_everywhere_and_leaves_no_result(
    worker: Worker, error: BaseException, exit_code: int, code: str, retryable: bool
) -> None:
    assert worker.run(fail(error)) == exit_code
    finished = worker.events()[-1]
    assert finished["type"] == "block_finished"
    assert finished["succeeded"] is False
    assert (finished["error"]["code"], finished["error"]["retryable"]) == (code, retryable)
    told = worker.told().error
    assert told is not None
    assert (told.code, told.message) == (code, finished["error"]["message"])
    assert not worker.result.exists()


@pytest.mark.parametrize(
    ("given", "exit_code", "code", "message"),
    [
        (None, 64, "InvalidBlock", "the block called sys.exit(): return from run instead"),
        (0, 64, "InvalidBlock", "the block called sys.exit(0): return from run instead"),
        (3, 75, "UnexpectedError", "the block called sys.exit(3): raise an error from run instead"),
        ("no", 75, "UnexpectedError", "the block called sys.exit('no'): raise an error from run instead"),
    ],
)
def test_a_block_that_ends_the_process_has_failed(
    worker: Worker, given: Any, exit_code: int, code: str, message: str
) -> None:
    assert worker.run(lambda ctx: sys.exit(given)) == exit_code
    told = worker.told().error
    assert told is not None
    assert (told.code, told.message) == (code, message)
    assert worker.events()[-1]["error"]["message"] == message
    assert not worker.result.exists()


def test_an_unknown_type_is_a_permanent_error_that_names_the_known_ones(worker: Worker) -> None:
    assert worker.run(block_type="nope") == 64
    told = worker.told().error
    assert told is not None
    assert told.code == "UnknownBlockType"
    assert told.message.endswith("known types: scripted")


def test_outputs_that_are_no_scalars_fail_the_block(worker: Worker) -> None:
    assert worker.run(lambda ctx: {"x": [1]}) == 64
    assert worker.events()[-1]["error"]["code"] == "InvalidOutputs"


def test_an_output_that_is_not_finite_fails_nothing(worker: Worker) -> None:
    assert worker.run(lambda ctx: {"loss": float("nan")}) == 0
    assert worker.told() == BlockResult.model_validate_json(worker.result.read_bytes())
    assert worker.told().outputs == worker.events()[-1]["outputs"] == {"loss": "NaN"}


def test_a_gpu_that_was_asked_for_and_is_not_there_is_never_replaced_by_the_cpu(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoCuda:
        class cuda:
            @staticmethod
            def is_available() -> bool:
                return False

    monkeypatch.setitem(sys.modules, "torch", NoCuda)
    ran: list[int] = []
    assert worker.run(lambda ctx: ran.append(1), gpus=1) == 64
    told = worker.told().error
    assert told is not None
    assert str(told.code) == "GpuNotAvailable"
    assert told.message == (
        "gpus is 1, but CUDA is not available in the pod; give the block a node with a GPU and an image with CUDA, "
        "or set gpus: 0 to run on the CPU"
    )
    assert ran == []


def test_without_a_workspace_the_termination_message_still_tells(worker: Worker) -> None:
    worker.workspace.rmdir()
    assert worker.run() == 75
    told = worker.told().error
    assert told is not None
    assert told.code == "WorkspaceUnavailable"


def test_a_disk_that_is_full_when_the_result_is_written_makes_the_block_fail(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def script(ctx: BlockContext) -> dict[str, Any]:
        real = os.fsync

        def fsync(descriptor: int) -> None:
            if names.RESULT_FILE in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                raise OSError(errno.ENOSPC, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fsync)
        return {"x": 1}

    assert worker.run(script) == 64
    assert worker.events()[-1]["error"]["code"] == "DiskFull"
    assert worker.told().outputs == {}
    assert not worker.result.exists()


def test_a_metric_that_no_reader_would_take_fails_the_block_at_the_latest_at_its_end(worker: Worker) -> None:
    assert worker.run(lambda ctx: ctx.metric("not a name", 1.0, step=0)) == 64
    assert worker.events()[-1]["error"]["code"] == "InvalidMetric"


def test_a_signed_url_or_password_of_redis_is_in_no_log(
    worker: Worker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diffrun_worker import runner

    monkeypatch.setattr(runner, "SETTLE_SECONDS", 0.3)
    monkeypatch.setattr(runner, "FAREWELL_SECONDS", 0.05)
    assert worker.run(redis_url="redis://worker:hunter2@127.0.0.1:1/0") == 0
    assert "Redis does not take events" in caplog.text
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("moment", ["in the block", "after it"])
def test_sigterm_leaves_redis_little_time_and_every_file_is_there(
    worker: Worker, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    from diffrun_worker import runner

    monkeypatch.setattr(runner, "SETTLE_SECONDS", 20.0)
    monkeypatch.setattr(runner, "FAREWELL_SECONDS", 0.3)

    def script(ctx: BlockContext) -> dict[str, Any]:
        ctx.metric("a", 0.5, step=0)
        monkeypatch.setattr(Control, "interruption", Interruption.STOP)
        if moment == "in the block":
            raise Stopped
        return {}

    started = time.monotonic()
    expected = 143 if moment == "in the block" else 0
    assert worker.run(script, redis_url="redis://127.0.0.1:1/0") == expected
    assert time.monotonic() - started < 10
    assert [event["type"] for event in worker.events()] == ["block_started", "metric", "block_finished"]
    assert (worker.told().error is not None, worker.told().dropped_metrics) == (expected == 143, 1)
