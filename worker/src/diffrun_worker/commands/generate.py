"""`diffrun-worker generate`: images of a checkpoint in a folder, by the block that generates them on a cluster."""

import argparse
import json
from pathlib import Path

from pydantic import ValidationError

from diffrun_contracts.params import DType, GenerateFull, Sampler, SamplerName
from diffrun_worker.commands import Subparsers
from diffrun_worker.commands.folder import FolderContext
from diffrun_worker.commands.local import gpus_of
from diffrun_worker.device import pick_device
from diffrun_worker.errors import BlockError, ErrorCode, PermanentError, Stopped, invalid_params
from diffrun_worker.registry import describe
from diffrun_worker.runner import failed

_SAMPLERS = {"ddpm": SamplerName.DDPM, "ddim": SamplerName.DDIM}


def add(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("generate", help="draw images with a checkpoint into a folder")
    parser.add_argument("--checkpoint", type=Path, required=True, help="a model, a training state, or what holds them")
    parser.add_argument("--num", type=int, default=16, help="how many images")
    parser.add_argument("--sampler", choices=sorted(_SAMPLERS), default="ddim", help="ddpm takes all training steps")
    parser.add_argument("--ddim-steps", type=int, default=50, help="steps of ddim")
    parser.add_argument("--batch-size", type=int, default=16, help="images at once; never changes an image")
    parser.add_argument("--seed", type=int, default=0, help="image i is seeded SEED + i")
    parser.add_argument("--dtype", choices=[str(one) for one in DType], default="float32", help="of the network")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--output", type=Path, default=Path("samples"), help="the folder for the images")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Draws the images and returns the exit code."""
    try:
        written = _generate(options)
    except BlockError as error:
        return failed(error).exit_code
    except Stopped as stopped:
        return stopped.exit_code
    print(f"done: {written} images in {options.output}")
    return 0


def _generate(options: argparse.Namespace) -> int:
    model = find_model(options.checkpoint)
    params = _parameters(options, model)
    device = pick_device(gpus_of(options.device))
    from diffrun_worker.blocks.generate import generate  # torch is imported once it is needed

    ctx = FolderContext(model.parent, options.output, device)
    generate(params, ctx, phase="full", first_seed=options.seed)
    return ctx.written


def _parameters(options: argparse.Namespace, model: Path) -> GenerateFull:
    sampler = _SAMPLERS[options.sampler]
    steps = _training_steps(model) if sampler is SamplerName.DDPM else options.ddim_steps
    try:
        return GenerateFull(
            samples=options.num,
            batch_size=options.batch_size,
            sampler=Sampler(name=sampler, steps=steps),
            dtype=DType(options.dtype),
            # The context's workspace is the folder above, so that a name is a path; its own rules are for runs.
            model_path="model",
        ).model_copy(update={"model_path": model.name})
    except ValidationError as error:
        raise invalid_params(f"generate: {describe(error)}") from error


def find_model(given: Path) -> Path:
    """The model's folder: the one given, else the trained model in it, else its newest training state.

    Raises PermanentError `ModelNotFound`.
    """
    folder = given.absolute()
    for candidate in (folder, folder / "model", *_states(folder / "state")):
        if any((candidate / part / "config.json").is_file() for part in ("", "unet")):
            return candidate.resolve()
    raise PermanentError(
        ErrorCode.MODEL_NOT_FOUND,
        f"--checkpoint: {given} holds no model; give the folder with config.json, or a training's `checkpoints`",
    )


def _states(folder: Path) -> list[Path]:
    """Newest first."""
    return sorted(folder.glob("step-*"), reverse=True) if folder.is_dir() else []


def _training_steps(model: Path) -> int:
    """K of the checkpoint: what DDPM takes. Raises PermanentError `CorruptCheckpoint`."""
    for file in (model / "scheduler_config.json", model / "scheduler" / "scheduler_config.json"):
        if file.is_file():
            try:
                return int(json.loads(file.read_text())["num_train_timesteps"])
            except (ValueError, KeyError, TypeError) as error:
                raise PermanentError(
                    ErrorCode.CORRUPT_CHECKPOINT, f"{file.name} has no num_train_timesteps that is a number"
                ) from error
    raise PermanentError(ErrorCode.MODEL_NOT_FOUND, f"--checkpoint: {model.name} has no scheduler_config.json")
