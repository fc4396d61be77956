"""The worker as a process: exit codes, SIGTERM, and what it costs to start."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts import names

COMMAND = [sys.executable, "-m", "diffrun_worker", "run"]


def start(tmp_path: Path, block: str, params: dict[str, Any]) -> subprocess.Popen[str]:
    path = tmp_path / "block.yaml"
    path.write_text(json.dumps({"name": "work", block: params}))
    command = [*COMMAND, "--file", str(path), "--workspace", str(tmp_path / "workspace")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def events(tmp_path: Path) -> list[dict[str, Any]]:
    found = list((tmp_path / "workspace").rglob(names.EVENTS_FILE))
    return [json.loads(line)["body"] for path in found for line in path.read_text().splitlines()]


@pytest.mark.parametrize(
    ("block", "params", "code", "said"),
    [
        ("test.sleep", {"steps": 1, "artifacts": 2}, 0, "done: 2 artifacts, outputs {}; files in "),
        ("test.fail", {"permanent": True}, 64, "failed: TestPermanent: told to fail for good; "),
        ("test.fail", {"times": 1}, 75, "failed: TestTemporary: told to fail 1 times, this is try 1"),
        ("test.kill", {}, -signal.SIGKILL, ""),
        ("test.sleep", {"steps": -1}, 64, "failed: InvalidParams: test.sleep: steps: Input should be greater than"),
        ("no.such.block", {}, 64, "failed: UnknownBlockType: no package in the worker's image brings a block type"),
    ],
    ids=["done", "permanent", "temporary", "killed", "params", "unknown"],
)
def test_the_exit_code_says_whether_to_try_again(
    tmp_path: Path, block: str, params: dict[str, Any], code: int, said: str
) -> None:
    process = start(tmp_path, block, params)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert out.startswith(said)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["sigterm", "ctrl-c"])
def test_a_signal_stops_between_two_steps_and_everything_is_told(tmp_path: Path, number: signal.Signals) -> None:
    process = start(tmp_path, "test.sleep", {"steps": 100_000, "stepSeconds": 0.01})
    deadline = time.monotonic() + 30
    while not any(event["type"] == "metric" for event in events(tmp_path)):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 143, err
    assert out.startswith("failed: Stopped: SIGTERM came")
    assert events(tmp_path)[-1]["error"]["code"] == "Stopped"


def test_a_killed_worker_leaves_whole_lines_up_to_its_last_moment(tmp_path: Path) -> None:
    process = start(tmp_path, "test.kill", {"steps": 30, "stepSeconds": 0.02, "artifacts": 3})
    process.communicate(timeout=60)
    kinds = [event["type"] for event in events(tmp_path)]
    assert kinds[0] == "block_started"
    assert kinds.count("artifact_written") >= 2
    assert "block_finished" not in kinds
    assert not list((tmp_path / "workspace").rglob(names.RESULT_FILE))


def test_outside_a_pod_the_message_names_the_way_to_run_a_file() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, check=False)
    assert done.returncode == 64
    assert "cannot read /etc/diffrun/task.json" in done.stderr
    assert "outside a pod give --file and --workspace" in done.stderr


def test_a_block_that_does_not_compute_imports_no_torch(tmp_path: Path) -> None:
    script = (
        "import sys; from diffrun_worker import cli; import diffrun_worker.blocks.download; "
        "code = cli.main(sys.argv[1:]); assert 'torch' not in sys.modules; sys.exit(code)"
    )
    path = tmp_path / "block.yaml"
    path.write_text("test.sleep: {steps: 1}\n")
    done = subprocess.run(
        [sys.executable, "-c", script, "run", "--file", str(path), "--workspace", str(tmp_path / "workspace")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
