"""Workers that train together: two real processes over gloo compute what one computes alone."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from diffrun_worker.errors import PermanentError, TemporaryError
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training.distributed import World, join

from .conftest import UNET, Fit

# Two ranks at a time, forked from one process that has imported everything once.
RANKS = """
import json, os, sys, torch
from pathlib import Path
from diffrun_contracts.params import Train as TrainParams
from diffrun_worker.block import Interruption
from diffrun_worker.blocks.train import Train
from diffrun_worker.errors import Stopped
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training.step import TrainStep

def rank(root, params, stop_at):
    ctx = RecordingContext(root)

    def check(calls):
        if ctx.interruption is Interruption.STOP:
            raise Stopped

    ctx.on_check_pause = check
    run = TrainStep.run

    def stopping(self, step, **options):
        run(self, step, **options)
        if step == stop_at:
            ctx.interruption = Interruption.STOP

    TrainStep.run = stopping
    try:
        outputs = dict(Train().run(TrainParams.model_validate(params), ctx))
    except Stopped:
        outputs = {"stopped": True}
    losses = [point.value for point in ctx.points if point.name == "train/loss"]
    return {"outputs": outputs, "losses": losses, "artifacts": len(ctx.artifacts), "progress": len(ctx.progressed)}

torch.set_num_threads(1)
root, params = Path(sys.argv[1]), json.loads(sys.argv[2])
for phase in json.loads(sys.argv[3]):
    children = []
    for number in range(2):
        if (child := os.fork()) == 0:
            os.environ |= {"RANK": str(number), "MASTER_PORT": phase["port"]}
            said = rank(root, params, phase["stop_rank_1_at"] if number else None)
            (root / f"{phase['name']}-{number}.json").write_text(json.dumps(said))
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0, phase
"""


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return int(opened.getsockname()[1])


def together(root: Path, params: dict[str, Any], *phases: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Runs two workers to their ends, phase after phase, and returns what each of them said in each."""
    shared = {
        "MASTER_ADDR": "127.0.0.1",
        "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1",
        "DIFFRUN_RENDEZVOUS_SECONDS": "60",
        "GLOO_SOCKET_IFNAME": "lo",
    }
    planned = json.dumps([phase | {"port": str(free_port())} for phase in phases])
    done = subprocess.run(
        [sys.executable, "-c", RANKS, str(root), json.dumps(params), planned],
        env={**os.environ, **shared},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return [[json.loads((root / f"{phase['name']}-{rank}.json").read_text()) for rank in range(2)] for phase in phases]


def params(workers: int, **changes: Any) -> dict[str, Any]:
    return {
        # A channel alone in its group has biases of no effect, whose gradients are rounding errors.
        "model": {"name": "unet2d", "config": UNET | {"norm_num_groups": 2}, "conditional": True},
        "data": {"digits": {}, "flip": True},
        "batchSize": 8,
        "steps": 5,
        "workers": workers,
        "optimizer": {"learningRate": 1e-2, "warmupSteps": 0},
        "ema": {"decay": 0.5},
        "sampleGrid": {"everySteps": 5, "samples": 1, "sampler": {"steps": 1}},
        "checkpoint": {"everySteps": 100},
        **changes,
    }


def weights(root: Path) -> dict[str, torch.Tensor]:
    return load_file(root / "runs/recorded/block/checkpoints/model/diffusion_pytorch_model.safetensors")


def test_two_workers_have_the_losses_and_the_weights_of_one_also_when_they_stop_and_resume(
    tmp_path: Path, ctx: RecordingContext, fit: Fit
) -> None:
    fit(ctx, **params(workers=1))
    alone = [point.value for point in ctx.points if point.name == "train/loss"]
    root = tmp_path / "shared"
    root.mkdir()
    # SIGTERM reaches the second worker alone, after step 1: both stop after step 2, and the first saves.
    stopped, resumed = together(
        root,
        params(workers=2),
        {"name": "stopped", "stop_rank_1_at": 1},
        {"name": "resumed", "stop_rank_1_at": None},
    )
    assert [one["outputs"] for one in stopped] == [{"stopped": True}] * 2
    assert stopped[0]["losses"] + resumed[0]["losses"] == pytest.approx(alone, rel=1e-4)
    assert len(stopped[0]["losses"]) == 3
    for name, value in weights(ctx.root).items():
        torch.testing.assert_close(weights(root)[name], value, rtol=1e-3, atol=1e-4)
    # Rank 0 alone speaks; both know what it has made.
    assert (resumed[1]["losses"], resumed[1]["artifacts"], resumed[1]["progress"]) == ([], 0, 0)
    assert resumed[0]["artifacts"] == 1
    assert resumed[1]["outputs"]["model_path"] == resumed[0]["outputs"]["model_path"]


def test_one_worker_meets_nobody() -> None:
    with join(1, torch.device("cpu"), {}) as world:
        assert world == World(rank=0, size=1)
        assert world.leads
        assert world.any(True) is True
        assert world.tell("key", "word") == "word"


@pytest.mark.parametrize(
    ("workers", "environment", "message"),
    [
        (2, {}, "workers: 2 need each other's addresses, and RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT"),
        (3, {"WORLD_SIZE": "2"}, "workers: is 3, but WORLD_SIZE is 2"),
        (2, {"WORLD_SIZE": "2", "RANK": "0"}, "workers: MASTER_ADDR, MASTER_PORT must be set"),
        (2, {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "RANK is 2, but there are 2"),
        (2, {"WORLD_SIZE": "two"}, "workers: WORLD_SIZE is 'two', and must be a number"),
    ],
    ids=["nothing set", "another size", "no address", "a rank too high", "no number"],
)
def test_an_environment_that_leads_nowhere_is_told(workers: int, environment: dict[str, str], message: str) -> None:
    with pytest.raises(PermanentError, match=message), join(workers, torch.device("cpu"), environment):
        pass


def test_workers_that_do_not_come_are_a_temporary_failure() -> None:
    environment = {
        "WORLD_SIZE": "2",
        "RANK": "0",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "DIFFRUN_RENDEZVOUS_SECONDS": "1",
    }
    with (
        pytest.raises(TemporaryError, match=r"workers: rank 0 of 2 did not meet the others .* within 1 s") as caught,
        join(2, torch.device("cpu"), environment),
    ):
        pass
    assert caught.value.code == "PeersUnavailable"
