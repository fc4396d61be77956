"""Our training step beside that of diffusers' example for unconditional generation.

    OMP_NUM_THREADS=2 python benchmarks/training.py
    python benchmarks/training.py --models cifar32 --repeats 15 --json training.json
    python benchmarks/training.py --models ddpm64 --device cuda:0 --precision bfloat16 --batch 64 --steps 50

Same network and first weights, images, batch, AdamW, clipping and precision for all. How they are timed and compared:
`harness/comparison.py`.

    passes        forward and backward of one fixed batch: the limit
    example       the example's step, its batches prepared beforehand: AdamW as torch chooses it, EMAModel, `.item()`
    as typed      the same behind its loader: images decoded to PIL, resized, flipped, normalised one by one
    step          our step, whose measurements nobody reads
    train         our loop with everything on: metrics through a pod's own journal, progress, pause checks
    train+save    the same, with a state saved durably in each round: far more often than any training would

Exit status 1 where a limit is missed and --check was given.
"""

import argparse
import copy
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from diffusers import DDPMScheduler
from diffusers.optimization import get_scheduler
from diffusers.training_utils import EMAModel
from harness.comparison import (
    CLOCKS,
    Ratio,
    Spread,
    Times,
    compared,
    finish,
    interleaved,
    machine_of,
    options_of,
    spreads,
)
from PIL import Image
from torch import Tensor

from diffrun_contracts.params import Train
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.block import BlockContext, Shard
from diffrun_worker.blocks.preparation import configure_torch
from diffrun_worker.context import WorkerContext
from diffrun_worker.control import Control
from diffrun_worker.data import Images, to_unit
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.journal import Journal
from diffrun_worker.training.batches import Batches
from diffrun_worker.training.checkpoints import CheckpointFolder
from diffrun_worker.training.config import TrainConfig, resolve
from diffrun_worker.training.distributed import World
from diffrun_worker.training.network import Network, build_network, build_optimizer, computing_dtype
from diffrun_worker.training.presets import DIGITS_UNET
from diffrun_worker.training.randomness import Draws
from diffrun_worker.training.readback import Readback
from diffrun_worker.training.report import Report
from diffrun_worker.training.saver import Saver
from diffrun_worker.training.step import TrainStep
from diffrun_worker.training.trainer import Span, Trainer
from diffrun_worker.workspace import Workspace

IMAGES = 512
TOTAL = 1_000_000  # steps of the learning rate's schedule: a benchmark does not come to its end

# name -> (model, its preset's channels and side, batch, steps a round)
MODELS: dict[str, tuple[dict[str, Any], tuple[int, int], int, int]] = {
    "digits": ({"name": "unet2d", "config": DIGITS_UNET}, (1, 16), 16, 3),
    "cifar32": ({"name": "unet-cifar32"}, (3, 32), 4, 5),
    "enhanced64": ({"name": "enhanced-unet-64"}, (3, 64), 64, 5),
    "ddpm64": ({"name": "ddpm-64"}, (3, 64), 32, 5),
}


def ratios_on(device: torch.device) -> list[Ratio]:
    """What is asked of a device."""
    return [
        Ratio("example / train", "example", "train", at_least=1.5 if device.type == "cuda" else 1.0),
        Ratio("as typed / train", "as typed", "train"),
        Ratio("metrics on / off", "train", "step", at_most=1.01),
        Ratio("train / passes", "train", "passes"),
        Ratio("train+save / train", "train+save", "train"),
    ]


@dataclass(frozen=True)
class Case:
    """What all variants share."""

    name: str
    config: TrainConfig
    images: Images
    device: torch.device
    steps: int
    """Of one timing."""

    def network(self) -> Network:
        """The same first weights for everybody."""
        return build_network(self.config, self.images, self.device)

    def autocast(self) -> Any:
        """What the precision asks for."""
        dtype = computing_dtype(self.config.precision, self.device)
        return nullcontext() if dtype is torch.float32 else torch.autocast(self.device.type, dtype)


def make_case(name: str, options: argparse.Namespace) -> Case:
    """Random images: time does not depend on what they show."""
    model, (channels, side), batch, steps = MODELS[name]
    params = Train.model_validate({
        "model": model,
        "data": {"imageFolder": {"path": "images"}},
        "batchSize": options.batch or batch,
        "steps": TOTAL,
        "precision": options.precision,
        "compile": options.compile,
        "checkpoint": {"everySteps": TOTAL},
    })  # fmt: skip
    pixels = torch.randint(256, (IMAGES, channels, side, side), dtype=torch.uint8, generator=torch.Generator())
    images = Images(pixels, None, (), True, "random", "0" * 64)
    return Case(name, resolve(params, 0), images, torch.device(options.device), options.steps or steps)


def passes(case: Case) -> Callable[[], None]:
    """The network alone, forward and backward."""
    network = case.network()
    clean = to_unit(case.images.pixels[: case.config.batch_size]).to(case.device)
    clean = clean.to(memory_format=network.memory_format)
    timesteps = torch.randint(1000, (case.config.batch_size,), device=case.device)

    def run() -> None:
        for _ in range(case.steps):
            with case.autocast():
                loss = F.mse_loss(network.unet(clean, timesteps, return_dict=False)[0].float(), clean)
            network.unet.zero_grad(set_to_none=True)
            loss.backward()

    return run


class Example:
    """diffusers' examples/unconditional_image_generation, its step written plainly.

    Its EMA takes the defaults of the example: a decay that is warmed up to 0.9999.
    """

    def __init__(self, case: Case, batches: Iterator[Tensor]) -> None:
        self.case = case
        self.batches = batches
        self.unet = copy.deepcopy(case.network().unet).to(memory_format=torch.contiguous_format)
        self.ema = EMAModel(
            self.unet.parameters(), decay=0.9999, use_ema_warmup=True, inv_gamma=1.0, power=0.75,
            model_cls=type(self.unet), model_config=self.unet.config,
        )  # fmt: skip
        self.ema.to(case.device)
        chosen = case.config.optimizer
        self.scheduler = DDPMScheduler(num_train_timesteps=1000, beta_schedule="linear")
        self.optimizer = torch.optim.AdamW(
            self.unet.parameters(), lr=chosen.learning_rate, betas=(0.9, 0.999), weight_decay=chosen.weight_decay
        )
        self.rate = get_scheduler("cosine", self.optimizer, num_warmup_steps=500, num_training_steps=TOTAL)
        self.logs: list[dict[str, float]] = []

    def __call__(self) -> None:
        for _ in range(self.case.steps):
            clean = next(self.batches).to(self.case.device)
            noise = torch.randn(clean.shape, dtype=clean.dtype, device=clean.device)
            timesteps = torch.randint(0, 1000, (clean.shape[0],), device=clean.device).long()
            noisy = self.scheduler.add_noise(clean, noise, timesteps)
            with self.case.autocast():
                output = self.unet(noisy, timesteps).sample
            loss = F.mse_loss(output.float(), noise.float())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.unet.parameters(), 1.0)
            self.optimizer.step()
            self.rate.step()
            self.optimizer.zero_grad()
            self.ema.step(self.unet.parameters())
            self.logs.append({
                "loss": loss.detach().item(), "lr": self.rate.get_last_lr()[0], "ema_decay": self.ema.cur_decay_value
            })  # fmt: skip


def prepared(case: Case) -> Iterator[Tensor]:
    """Batches that cost nothing."""
    clean = to_unit(case.images.pixels)
    while True:
        for start in range(0, IMAGES - case.config.batch_size + 1, case.config.batch_size):
            yield clean[start : start + case.config.batch_size]


def loaded(case: Case) -> Iterator[Tensor]:
    """Batches as the example makes them, in the loop's own process: an image at a time."""
    from torchvision import transforms

    _, side, _ = case.images.shape
    augment = transforms.Compose([
        transforms.Resize(side, interpolation=transforms.InterpolationMode.BILINEAR),
        transforms.CenterCrop(side),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.5], [0.5]),
    ])  # fmt: skip
    arrays = case.images.pixels.permute(0, 2, 3, 1).numpy()
    pictures = [Image.fromarray(one[:, :, 0] if one.shape[2] == 1 else np.ascontiguousarray(one)) for one in arrays]
    loader = torch.utils.data.DataLoader(
        [picture.copy() for picture in pictures], batch_size=case.config.batch_size, shuffle=True, drop_last=True,
        collate_fn=lambda chosen: torch.stack([augment(one) for one in chosen]),
    )  # fmt: skip
    while True:
        yield from loader


@dataclass
class Ours:
    """Our training, a few steps at a time."""

    case: Case
    ctx: BlockContext | None = None
    """Where everything is told; None for the bare step."""
    saver: Saver | None = None
    done: int = 0
    step: Any = field(init=False)

    def __post_init__(self) -> None:
        case, config = self.case, self.case.config
        self.network = case.network()
        self.optimizer = build_optimizer(self.network, config.optimizer)
        self.readback = Readback(case.device)
        self.batches = Batches(case.images, config.batch_size, 0, case.device)
        draws = Draws(0, config.batch_size, case.images.shape, 1000, case.device)
        self.step = TrainStep(
            config, self.network, self.optimizer, GaussianDiffusion(), self.batches, draws, self.readback, TOTAL,
            forward=torch.compile(self.network.unet) if config.compile else self.network.unet, world=World(),
        )  # fmt: skip
        self.report = Report(config, TOTAL, self.ctx) if self.ctx is not None else None

    def __call__(self) -> None:
        first, self.done = self.done, self.done + self.case.steps
        if self.ctx is None or self.report is None:
            for step in range(first, self.done):
                self.step.run(step)
            return
        span = Span(first, self.done, self.batches.order.steps_per_epoch)
        Trainer(
            self.case.config, self.network, self.optimizer, self.step, self.readback, span, World(), self.ctx,
            report=self.report, grids=None, saver=self.saver, facts={},
        ).run()  # fmt: skip


def make_context(stack: ExitStack, device: torch.device) -> WorkerContext:
    """A pod's own, over a folder of the disk."""
    workspace = Workspace(stack.enter_context(tempfile.TemporaryDirectory()))
    task = BlockTask(run=RunRef(namespace="local", name="benchmark", uid="benchmark"), block="train", type="train")
    journal = Journal(workspace, task, pod="benchmark")
    stack.callback(journal.close)
    return WorkerContext(
        inputs={}, seed=0, shard=Shard(), retry=0, device=str(device), workspace=workspace, journal=journal,
        control=Control(journal.event, None), pod="benchmark",
    )  # fmt: skip


def variants(case: Case, stack: ExitStack) -> dict[str, Callable[[], Callable[[], None]]]:
    """How each is made: only those that are asked for take memory."""

    def saving() -> Ours:
        ctx = make_context(stack, case.device)
        folder = CheckpointFolder(ctx.workspace.path("checkpoints"), keep=2)
        saver = stack.enter_context(Saver(folder, GaussianDiffusion().scheduler_config(), None))
        return Ours(case, ctx, saver)

    return {
        "passes": lambda: passes(case),
        "example": lambda: Example(case, prepared(case)),
        "as typed": lambda: Example(case, loaded(case)),
        "step": lambda: Ours(case),
        "train": lambda: Ours(case, make_context(stack, case.device)),
        "train+save": saving,
    }


def measure(case: Case, options: argparse.Namespace) -> Times:
    """Seconds a step, for every variant and repeat."""
    with ExitStack() as stack:
        chosen = {name: make for name, make in variants(case, stack).items() if name in (options.variants or [name])}
        runs = {name: make() for name, make in chosen.items()}
        return interleaved(runs, options.repeats, clock=CLOCKS[options.clock], units=lambda _name: case.steps)


def report(case: Case, times: Times) -> dict[str, Any]:
    """Prints a table, and returns it."""
    batch = case.config.batch_size
    dtype = computing_dtype(case.config.precision, case.device)
    print(f"\n{case.name}: batch {batch}, {case.steps} steps a round, {dtype}, {case.network().memory_format}")
    for name, seconds in times.items():
        print(f"  {name:12s} {Spread.of([batch / one for one in seconds]):10.1f} images/s")
    ratios = compared(times, ratios_on(case.device))
    return {"model": case.name, "batch": batch, "seconds": spreads(times), "ratios": ratios}


def main() -> int:
    """The command line."""
    parser = options_of(__doc__)
    parser.add_argument("--models", nargs="+", choices=sorted(MODELS), default=["digits", "cifar32"])
    parser.add_argument("--batch", type=int, help="the model's own by default")
    parser.add_argument("--steps", type=int, help="of one timing; the model's own by default")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=["auto", "float32", "bfloat16"], default="auto")
    parser.add_argument("--compile", action="store_true", help="compile our network, and only ours")
    options = parser.parse_args()

    configure_torch(options.device)
    machine = machine_of(options.device)
    torch.backends.cudnn.benchmark = True  # for all alike
    print(f"{machine}, {options.repeats} repeats, {options.clock} clock")
    cases = [make_case(name, options) for name in options.models]
    return finish(options, machine, [report(case, measure(case, options)) for case in cases])


if __name__ == "__main__":
    sys.exit(main())
