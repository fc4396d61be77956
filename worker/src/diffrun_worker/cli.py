"""The command line: `python -m diffrun_worker run`, in a pod or with a file."""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from diffrun_contracts import names
from diffrun_worker.assignment import Assignment, from_environment, from_file
from diffrun_worker.errors import PermanentError
from diffrun_worker.result import write_termination_message
from diffrun_worker.runner import Outcome, failed, run_assignment


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one block and returns the exit code: 0 done, 64 permanent, 75 temporary, 143 stopped."""
    options = _parser().parse_args(arguments)
    _configure_logging()
    local = options.file is not None
    try:
        assignment = _local(options) if local else from_environment()
    except PermanentError as error:
        outcome = failed(error)
        if not local and Path(names.POD_INFO_DIR).is_dir():
            write_termination_message(Path(names.TERMINATION_LOG), outcome.result)
        return outcome.exit_code
    outcome = run_assignment(assignment)
    if local:
        _tell(assignment, outcome)
    return outcome.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="diffrun-worker", description="Runs one block of a DiffusionRun.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="run the block that the pod was made for, or that of a file")
    run.add_argument("--file", type=Path, help="a block in YAML: name, one block type, optionally seed and inputs")
    run.add_argument("--workspace", help="with --file: the directory where files go")
    run.add_argument("--redis", help=f"with --file: publish events there too (or set {names.ENV_REDIS_URL})")
    run.add_argument("--gpus", type=int, default=0, help="with --file: above 0, compute on cuda:0 or fail")
    return parser


def _local(options: argparse.Namespace) -> Assignment:
    workspace = Path(options.workspace or os.environ.get(names.ENV_WORKSPACE) or "workspace")
    workspace.mkdir(parents=True, exist_ok=True)
    redis_url = options.redis or os.environ.get(names.ENV_REDIS_URL)
    return from_file(options.file, str(workspace), redis_url, max(0, options.gpus))


def _configure_logging() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The HTTP client tells every request at INFO, signed URLs included.
    for noisy in ("httpx", "httpx2", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _tell(assignment: Assignment, outcome: Outcome) -> None:
    """One line for whoever started the block by hand."""
    where = f"; files in {Path(assignment.workspace) / outcome.directory}" if outcome.directory else ""
    error = outcome.result.error
    if error is not None:
        print(f"failed: {error.code}: {error.message}{where}")
    else:
        print(f"done: {outcome.result.artifacts} artifacts, outputs {outcome.result.outputs}{where}")
