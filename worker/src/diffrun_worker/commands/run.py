"""`diffrun-worker run`: the block of the pod that this process runs in, or that of a file."""

import argparse
import os
from pathlib import Path

from diffrun_contracts import names
from diffrun_worker.assignment import Assignment, from_environment, from_file
from diffrun_worker.commands import Subparsers
from diffrun_worker.commands.local import run_local
from diffrun_worker.errors import PermanentError
from diffrun_worker.result import write_termination_message
from diffrun_worker.runner import failed, run_assignment


def add(subparsers: Subparsers) -> None:
    """Adds the command."""
    parser = subparsers.add_parser("run", help="run the block that the pod was made for, or that of a file")
    parser.add_argument("--file", type=Path, help="a block in YAML: name, one block type, optionally seed and inputs")
    parser.add_argument("--workspace", help="with --file: where files go, a directory or an URL such as s3://bucket/x")
    parser.add_argument("--redis", help=f"with --file: publish events there too (or set {names.ENV_REDIS_URL})")
    parser.add_argument("--gpus", type=int, default=0, help="with --file: above 0, compute on cuda:0 or fail")
    parser.set_defaults(command=run)


def run(options: argparse.Namespace) -> int:
    """Runs one block and returns its exit code."""
    if options.file is not None:
        return run_local(lambda: _local(options))
    try:
        assignment = from_environment()
    except PermanentError as error:
        outcome = failed(error)
        if Path(names.POD_INFO_DIR).is_dir():
            write_termination_message(Path(names.TERMINATION_LOG), outcome.result)
        return outcome.exit_code
    return run_assignment(assignment).exit_code


def _local(options: argparse.Namespace) -> Assignment:
    workspace = options.workspace or os.environ.get(names.ENV_WORKSPACE) or "workspace"
    if "://" not in workspace:
        Path(workspace).mkdir(parents=True, exist_ok=True)
    redis_url = options.redis or os.environ.get(names.ENV_REDIS_URL)
    return from_file(options.file, workspace, redis_url, max(0, options.gpus))
