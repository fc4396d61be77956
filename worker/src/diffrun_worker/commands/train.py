"""`diffrun-worker train`: the block `train` without a cluster, by the options that people know."""

import argparse
from pathlib import Path
from typing import Any

import yaml

from diffrun_contracts.params.dataset import SOURCES
from diffrun_contracts.params.train import ModelName, Preset
from diffrun_worker.assignment import Assignment
from diffrun_worker.commands import Subparsers
from diffrun_worker.commands.local import gpus_of, in_workspace, local_assignment, open_workspace, run_local
from diffrun_worker.errors import invalid_params

_WITH_PATH = ("cifar10", "emnist", "imageFolder")


def add(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("train", help="train a model: a preset, and whatever is to differ from it")
    parser.add_argument("--preset", choices=[str(one) for one in Preset], help="a whole configuration by name")
    parser.add_argument("--model", choices=[str(one) for one in ModelName], help="the architecture")
    parser.add_argument("--conditional", action="store_true", help="give the network the class of each image")
    parser.add_argument(
        "--data", metavar="SOURCE[:WHERE]", help="digits, cifar10:PATH, emnist:PATH, imageFolder:PATH, hub:OWNER/NAME"
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=int, help="passes over the data")
    length.add_argument("--steps", type=int, help="optimiser steps")
    parser.add_argument("--batch-size", type=int, help="images a step")
    parser.add_argument("--lr", type=float, help="the peak learning rate")
    parser.add_argument("--seed", type=int, help="of weights, order and noise; the preset's, else 0")
    parser.add_argument("--resume", type=Path, help="a checkpoint of an earlier training to go on from")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: a GPU if there is one")
    parser.add_argument("--workspace", help="the directory where files go, and where data and checkpoints lie")
    parser.add_argument("--redis", help="publish events there too")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
        help="any other parameter of the block, for example optimizer.warmupSteps=100 (may be repeated)",
    )  # fmt: skip
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Trains, and returns the exit code."""
    return run_local(lambda: _assignment(options))


def _assignment(options: argparse.Namespace) -> Assignment:
    workspace = open_workspace(options.workspace)
    params = parameters(options, workspace)
    return local_assignment("train", params, workspace, gpus=gpus_of(options.device), redis=options.redis)


def parameters(options: argparse.Namespace, workspace: Path) -> dict[str, Any]:
    """The block's parameters, as a DiffusionRun would have them.

    Raises PermanentError: `InvalidParams` for an option that says nothing the block knows, `PathOutsideWorkspace`.
    """
    plain = {"preset": options.preset, "epochs": options.epochs, "steps": options.steps, "seed": options.seed}
    params: dict[str, Any] = {name: value for name, value in plain.items() if value is not None}
    if options.batch_size is not None:
        params["batchSize"] = options.batch_size
    if options.lr is not None:
        params["optimizer"] = {"learningRate": options.lr}
    if options.model or options.conditional:
        params["model"] = {"name": options.model or str(ModelName.UNET2D)}
        if options.conditional:
            params["model"]["conditional"] = True
    if options.data is not None:
        params["data"] = _dataset(options.data, workspace)
    if options.resume is not None:
        params["resume"] = in_workspace(workspace, options.resume, "--resume")
    for setting in options.settings:
        _set(params, setting)
    return params


def _dataset(text: str, workspace: Path) -> dict[str, Any]:
    source, _, where = text.partition(":")
    if source not in SOURCES:
        raise invalid_params(f"--data: {source!r} is unknown; use one of {', '.join(SOURCES)}")
    if source == "digits":
        return {source: {}}
    if not where:
        raise invalid_params(
            f"--data: {source} needs to be told where, as {source}:{'PATH' if source != 'hub' else 'OWNER/NAME'}"
        )
    if source in _WITH_PATH:
        return {source: {"path": in_workspace(workspace, Path(where), "--data")}}
    return {source: {"repo": where}}


def _set(params: dict[str, Any], setting: str) -> None:
    """`a.b=value`, the value in YAML."""
    name, separator, value = setting.partition("=")
    if not separator or not name:
        raise invalid_params(f"--set: {setting!r} is not NAME=VALUE")
    *groups, last = name.split(".")
    place = params
    for group in groups:
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            raise invalid_params(f"--set: {name}: {group} is a value, not a group")
    try:
        place[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise invalid_params(f"--set: the value of {name} is not YAML: {value!r}") from error
