"""A training from its configuration to its averaged weights: everything is made, checked and resumed here."""

import inspect
import logging
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch

from diffrun_worker.block import BlockContext
from diffrun_worker.data import Images, load_images
from diffrun_worker.device import versions
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import invalid_params
from diffrun_worker.models.registry import ARCHITECTURES
from diffrun_worker.models.store import save_model
from diffrun_worker.training import checkpoints
from diffrun_worker.training.batches import Batches
from diffrun_worker.training.checkpoints import CheckpointFolder
from diffrun_worker.training.config import TrainConfig
from diffrun_worker.training.distributed import World
from diffrun_worker.training.grids import Grids
from diffrun_worker.training.network import Network, build_network, build_optimizer
from diffrun_worker.training.randomness import Draws, Slice
from diffrun_worker.training.readback import Readback
from diffrun_worker.training.report import Report
from diffrun_worker.training.saver import Saver
from diffrun_worker.training.state import Snapshot, restore
from diffrun_worker.training.step import TrainStep
from diffrun_worker.training.trainer import Span, Trainer

logger = logging.getLogger(__name__)

MODEL = "model"
"""The folder of the averaged weights, beside the training states."""


@dataclass(frozen=True)
class Trained:
    """What a training leaves."""

    model_path: str
    """Workspace-relative."""
    steps: int
    epochs: int
    """Whole passes over the data."""
    final_loss: float | None
    """Mean of the last steps; None where nothing was left to do."""
    parameters: int
    images: Images


def train(config: TrainConfig, ctx: BlockContext, world: World, device: torch.device) -> Trained:
    """Trains, from the newest checkpoint of the block or of `resume` where there is one.

    Raises PermanentError: what data, model, sampler and checkpoints raise, `NonFiniteLoss`, `DiskFull`; and Stopped.
    """
    torch.backends.cudnn.benchmark = True  # images of one size let cuDNN choose its algorithms once
    images = _load(config, ctx, world)
    network = build_network(config, images, device)
    optimizer = build_optimizer(network, config.optimizer)
    batches = Batches(images, config.batch_size, config.seed, device, rank=world.rank, world=world.size)
    checkpoints_at = f"{ctx.directory}/checkpoints"  # of an object store only rank 0 fetches them to choose from
    folder = ctx.workspace.path(checkpoints_at) if world.leads else ctx.workspace.place(checkpoints_at)
    states = CheckpointFolder(folder, config.checkpoint.keep, ctx.workspace)
    first = _resume(config, ctx, states, network, optimizer, world)
    per_epoch = batches.order.steps_per_epoch
    span = Span(first, config.length.in_steps(per_epoch), per_epoch)
    _require_left(config, span)
    if world.leads:
        ctx.progress(first, span.total)  # of the training, no longer of the data
    diffusion, readback = _diffusion(config), Readback(device)
    step = _step(config, network, optimizer, diffusion, batches, readback, span.total, world)
    report = Report(config, span.total, ctx if world.leads else None)
    scheduler_config = _scheduler_config(diffusion, network)
    with ExitStack() as stack:
        grids = stack.enter_context(Grids(config.grid, network, scheduler_config, ctx)) if world.leads else None
        saver = stack.enter_context(Saver(states, scheduler_config, network.classes)) if world.leads else None
        trainer = Trainer(
            config, network, optimizer, step, readback, span, world, ctx,
            report=report, grids=grids, saver=saver, facts=_facts(config, images),
        )  # fmt: skip
        trainer.run()
    if world.leads:
        save_model(folder / MODEL, network.average, scheduler_config, network.classes)
        ctx.workspace.keep(folder / MODEL, whole=True)
    model_path = world.tell("model_path", ctx.workspace.relative(folder / MODEL) if world.leads else None)
    return Trained(model_path, span.total, span.epoch(span.total), report.final_loss, network.parameters, images)


def _step(
    config: TrainConfig,
    network: Network,
    optimizer: torch.optim.AdamW,
    diffusion: GaussianDiffusion,
    batches: Batches,
    readback: Readback,
    total: int,
    world: World,
) -> TrainStep:
    """The steps of this worker, through the network's compiled and data-parallel form where one is wanted."""
    draws = Draws(
        config.seed, config.batch_size, batches.images.shape, config.diffusion.timesteps, network.device,
        sampling=config.diffusion.timestep_sampling, part=Slice(world.rank, world.size),
    )  # fmt: skip
    forward = world.parallel(network.unet)
    return TrainStep(
        config, network, optimizer, diffusion, batches, draws, readback, total,
        forward=torch.compile(forward) if config.compile else forward, world=world,
    )  # fmt: skip


def _load(config: TrainConfig, ctx: BlockContext, world: World) -> Images:
    """The images; rank 0 tells how far a download and the decoding are."""
    return load_images(
        config.data,
        ctx.workspace,
        image_size=_image_size(config),
        channels=_channels(config),
        progress=ctx.progress if world.leads else lambda *_: None,
        check=ctx.check_pause,
    )


def _image_size(config: TrainConfig) -> int | None:
    """What the network takes; None where it takes what the data have. `data.imageSize` is checked against it later."""
    if config.model_config is not None:
        size = config.model_config.get("sample_size")
        return size if isinstance(size, int) else None
    network = ARCHITECTURES.get(config.model)
    if network is None:
        return None
    size = inspect.signature(network.__init__).parameters["sample_size"].default
    return int(size)


def _channels(config: TrainConfig) -> int | None:
    """1 or 3 where the network's configuration says so."""
    return None if config.model_config is None else config.model_config.get("in_channels")


def _diffusion(config: TrainConfig) -> GaussianDiffusion:
    chosen = config.diffusion
    return GaussianDiffusion(chosen.timesteps, chosen.beta_schedule, chosen.beta_start, chosen.beta_end)


def _scheduler_config(diffusion: GaussianDiffusion, network: Network) -> dict[str, Any]:
    """How the model is sampled from: a conditional one without clipping x̂₀.

    Guidance pushes x̂₀ far outside [-1, 1]. diffusers' DDIM clips it there but goes on with the ε that it was made
    from, and the two together are no x_t any more. Measured on the digits, 50 steps of DDIM with guidance 7.5: of
    200 samples 1 % are of the asked class with clipping, 99 % without.
    """
    config = diffusion.scheduler_config()
    return config if network.classes is None else {**config, "clip_sample": False}


def _resume(
    config: TrainConfig,
    ctx: BlockContext,
    states: CheckpointFolder,
    network: Network,
    optimizer: torch.optim.AdamW,
    world: World,
) -> int:
    """Puts the newest state into network and optimiser and returns its step; 0 where there is none.

    Rank 0 chooses, and all read the same folder of the workspace.
    """
    found: tuple[Snapshot, Path] | None = None
    if world.leads:
        found = states.newest()
        if found is None and config.resume is not None:
            beside = PurePosixPath(config.resume).parent / checkpoints.STATES  # where `resume` names a training's model
            ctx.workspace.path(str(beside))
            found = checkpoints.find(ctx.workspace.path(config.resume))
    chosen = world.tell("resume", None if found is None else ctx.workspace.relative(found[1]))
    if not chosen:
        return 0
    snapshot = found[0] if found is not None else checkpoints.read(ctx.workspace.path(chosen))
    restore(snapshot, network, optimizer, "resume" if config.resume else chosen)
    logger.info("going on from step %d, saved in %s", snapshot.step, chosen)
    return snapshot.step


def _require_left(config: TrainConfig, span: Span) -> None:
    """A checkpoint of another run that has already gone further is a mistake; one's own was merely finished."""
    if config.resume is not None and span.first > span.total:
        field = "steps" if config.length.steps is not None else "epochs"
        raise invalid_params(
            f"{field}: the training has {span.total} steps, and the checkpoint in resume has done {span.first}; "
            f"set {field} to more than that"
        )


def _facts(config: TrainConfig, images: Images) -> dict[str, Any]:
    """What a checkpoint says about its training beside the state."""
    return {
        "seed": config.seed,
        "batchSize": config.batch_size,
        "length": {"epochs": config.length.epochs, "steps": config.length.steps},
        "dataset": {"name": images.name, "digest": images.digest, "images": len(images)},
        "versions": versions(),
    }
