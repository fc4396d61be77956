"""Workers that train together: two real processes over gloo compute what one computes alone."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from diffrun_contracts.params import Train as TrainParams
from diffrun_testkit.servers import free_port
from diffrun_worker.blocks.train import Train
from diffrun_worker.errors import TemporaryError
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training.distributed import join

UNET = {
    "block_out_channels": [4, 8],
    # A channel alone in its group would have biases of no effect, whose gradients are rounding errors.
    "norm_num_groups": 2,
    "layers_per_block": 1,
    "down_block_types": ["DownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "UpBlock2D"],
    "add_attention": False,
}

# Two ranks at a time, forked from one process that has imported everything once.
RANKS = """
import json, os, sys, torch
from pathlib import Path
from diffrun_contracts.params import Train as TrainParams
from diffrun_worker.block import Interruption
from diffrun_worker.blocks.train import Train
from diffrun_worker.errors import BlockError, Stopped
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training import session, trainer
from diffrun_worker.training.readback import Readback
from diffrun_worker.training.step import TrainStep

class Context(RecordingContext):
    step, held, looks = -1, (), 0

    def check_pause(self):
        if self.interruption is Interruption.STOP:
            raise Stopped
        if self.interruption is Interruption.PAUSE:
            self.held, self.paused = (*self.held, self.step), False

    @property
    def interruption(self):
        if not self.step >= self.at:
            return None
        if self.kind == "pause":
            # The word reaches rank 0 only while it waits for it: a step looks twice.
            self.looks += 1
            return Interruption.PAUSE if self.paused and (self.number or self.looks > 6) else None
        return Interruption.STOP if self.kind == "stop" and self.number else None

    @interruption.setter
    def interruption(self, value):
        pass

def rank(root, params, number, phase):
    ctx = Context(root)
    ctx.number, ctx.kind, ctx.at, ctx.paused = number, phase["kind"], phase["at"], True
    session.Readback = lambda device: Readback(device, phase["lag"])
    run = TrainStep.run

    def counted(self, step, **options):
        if phase["kind"] == "die" and step == phase["at"] and number:
            os._exit(0)
        run(self, step, **options)
        ctx.step = step

    TrainStep.run = counted
    try:
        outputs = dict(Train().run(TrainParams.model_validate(params), ctx))
    except Stopped:
        outputs = {"stopped": True}
    except BlockError as error:
        outputs = {"code": error.code, "exit": error.exit_code}
    losses = [point.value for point in ctx.points if point.name == "train/loss"]
    said = {"outputs": outputs, "losses": losses, "held": ctx.held}
    return said | {"artifacts": len(ctx.artifacts), "progress": len(ctx.progressed)}

torch.set_num_threads(1)
trainer.PAUSE_SECONDS = 3600  # who waits for a word that never comes does not come back
params = json.loads(sys.argv[2])
for phase in json.loads(sys.argv[3]):
    root = Path(sys.argv[1]) / phase["root"]
    root.mkdir(exist_ok=True)
    children = []
    for number in range(2):
        if (child := os.fork()) == 0:
            os.environ |= {"RANK": str(number), "MASTER_PORT": phase["port"]}
            said = rank(root, params, number, phase)
            (Path(sys.argv[1]) / f"{phase['name']}-{number}.json").write_text(json.dumps(said))
            os._exit(0)
        children.append(child)
    for child in children:
        assert os.waitpid(child, 0)[1] == 0, phase
"""


def params(workers: int) -> dict[str, Any]:
    return {
        "model": {"name": "unet2d", "config": UNET, "conditional": True},
        "data": {"digits": {}, "flip": True},
        "batchSize": 8,
        "steps": 5,
        "workers": workers,
        "optimizer": {"learningRate": 1e-2, "warmupSteps": 0},
        "ema": {"decay": 0.5},
        "sampleGrid": {"everySteps": 5, "samples": 1, "sampler": {"steps": 1}},
        "checkpoint": {"everySteps": 100},
    }


PHASES = [
    {"name": "stopped", "root": "resumed", "kind": "stop", "at": 1, "lag": 0},
    {"name": "resumed", "root": "resumed", "kind": "none", "at": 0, "lag": 2},
    # Heard of two steps late, as on a GPU, when more rows are under way that tell of the same pause.
    {"name": "paused", "root": "paused", "kind": "pause", "at": 1, "lag": 2},
    {"name": "bereft", "root": "bereft", "kind": "die", "at": 2, "lag": 0},
]

Said = dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="module")
def said(folder: Path) -> Said:
    """What each of two workers said in each phase."""
    shared = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    planned = json.dumps([phase | {"port": str(free_port())} for phase in PHASES])
    done = subprocess.run(
        [sys.executable, "-c", RANKS, str(folder), json.dumps(params(workers=2)), planned],
        # What torch means to change is an error.
        env={**os.environ, **shared, "DIFFRUN_RENDEZVOUS_SECONDS": "60", "PYTHONWARNINGS": "error::FutureWarning"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    told = {}
    for phase in PHASES:
        files = [folder / f"{phase['name']}-{rank}.json" for rank in range(2)]
        told[str(phase["name"])] = [json.loads(file.read_text()) for file in files if file.exists()]
    return told


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> RecordingContext:
    """The same training in one process."""
    ctx = RecordingContext(tmp_path_factory.mktemp("alone"))
    Train().run(TrainParams.model_validate(params(workers=1)), ctx)
    return ctx


def losses(ctx: RecordingContext) -> list[float]:
    return [point.value for point in ctx.points if point.name == "train/loss"]


def weights(root: Path) -> dict[str, torch.Tensor]:
    return load_file(root / "runs/recorded/block/checkpoints/model/diffusion_pytorch_model.safetensors")


def test_two_workers_have_the_losses_and_the_weights_of_one_also_when_they_stop_and_resume(
    said: Said, folder: Path, alone: RecordingContext
) -> None:
    # SIGTERM reached the second worker alone, after step 1: both stopped after step 2, and the first saved.
    assert [one["outputs"] for one in said["stopped"]] == [{"stopped": True}] * 2
    assert len(said["stopped"][0]["losses"]) == 3
    together = said["stopped"][0]["losses"] + said["resumed"][0]["losses"]
    assert together == pytest.approx(losses(alone), rel=1e-4)
    found = weights(folder / "resumed")
    for name, value in weights(alone.root).items():
        torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)


def test_the_first_worker_alone_speaks_and_both_know_what_was_made(said: Said) -> None:
    first, second = said["resumed"]
    assert (first["artifacts"], second["artifacts"]) == (1, 0)
    assert (second["losses"], second["progress"]) == ([], 0)
    assert second["outputs"]["model_path"] == first["outputs"]["model_path"]


def test_a_pause_that_reaches_them_at_different_times_holds_them_after_the_same_step(
    said: Said, alone: RecordingContext
) -> None:
    assert [one["held"] for one in said["paused"]] == [[4], [4]]
    assert said["paused"][0]["losses"] == pytest.approx(losses(alone), rel=1e-4)


def test_a_worker_whose_peer_is_gone_fails_for_now(said: Said) -> None:
    assert said["bereft"][0]["outputs"] == {"code": "PeersUnavailable", "exit": 75}


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
