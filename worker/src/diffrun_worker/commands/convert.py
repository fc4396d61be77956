"""`diffrun-worker convert`: a `.pt` becomes a folder of safetensors. The only command that opens a pickle."""

import argparse
import json
from pathlib import Path
from typing import Any

from diffrun_contracts import names
from diffrun_worker.commands import Subparsers
from diffrun_worker.errors import BlockError, invalid_params
from diffrun_worker.runner import failed


def add(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("convert", help="turn the weights of a .pt file into a folder that infer loads")
    parser.add_argument("source", type=Path, metavar="FILE", help="a .pt with a UNet2DModel's weights")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the model's folder")
    parser.add_argument(
        "--config", type=Path, metavar="JSON", help="the UNet2DModel's config.json, if the .pt says none"
    )
    parser.add_argument("--classes", nargs="+", metavar="NAME", help="the classes, in the order of their embeddings")
    parser.add_argument("--key", metavar="NAME", help="where the weights are, if the .pt holds several")
    parser.add_argument("--num-train-timesteps", type=int, metavar="K", help="of the noise schedule (the file's, 1000)")
    parser.add_argument("--beta-start", type=float, metavar="F", help="of the noise schedule (the file's, 0.0001)")
    parser.add_argument("--beta-end", type=float, metavar="F", help="of the noise schedule (the file's, 0.02)")
    parser.add_argument(
        "--beta-schedule", choices=["linear", "scaled_linear", "squaredcos_cap_v2"], help="(the file's, linear)"
    )
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Converts the file and returns the exit code."""
    try:
        _refuse_pods()
        config = _config(options.config)
        from diffrun_worker.inference.convert import Noise, convert  # torch is imported once it is needed

        noise = Noise(options.num_train_timesteps, options.beta_start, options.beta_end, options.beta_schedule)
        folder = convert(
            options.source, options.output, config=config, classes=options.classes, key=options.key, noise=noise
        )
    except BlockError as error:
        return failed(error).exit_code
    print(f"done: {folder}")
    return 0


def _refuse_pods() -> None:
    if Path(names.POD_INFO_DIR).is_dir():
        raise invalid_params(
            "convert: a run's pod opens no pickles; convert the file where you trust it and put the folder into the "
            "workspace"
        )


def _config(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise invalid_params(f"--config: cannot read {path} as JSON: {error}") from error
    if not isinstance(config, dict):
        raise invalid_params(f"--config: {path} is not a JSON object")
    return config
