"""The command line: `diffrun-worker <command>`, or `python -m diffrun_worker <command>`."""

import argparse
import logging
import sys
from collections.abc import Sequence

from diffrun_worker.commands import generate, run, train

COMMANDS = (run, train, generate)
"""The modules of the commands, in the order in which `--help` shows them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 0 done, 64 permanent, 75 temporary, 143 stopped."""
    options = _parser().parse_args(arguments)
    _configure_logging()
    code: int = options.command(options)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="diffrun-worker", description="Runs one block of a DiffusionRun.")
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        command.add(subparsers)
    return parser


def _configure_logging() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The HTTP client tells every request at INFO, signed URLs included.
    for noisy in ("httpx", "httpx2", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
