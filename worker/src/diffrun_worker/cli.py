"""The command line: `diffrun-worker <command>`, or `python -m diffrun_worker <command>`."""

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn

from diffrun_contracts import names
from diffrun_worker.commands import convert, generate, infer, run, train

COMMANDS = (run, train, generate, infer, convert)
"""The modules of the commands, in the order in which `--help` shows them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code: 0 done, 64 permanent, 75 temporary, 143 stopped."""
    options = _parser().parse_args(arguments)
    _configure_logging()
    code: int = options.command(options)
    return code


class _Parser(argparse.ArgumentParser):
    """Ends with the worker's own code for a user's error: argparse's 2 means nothing to whoever retries."""

    def error(self, message: str) -> NoReturn:
        """Says what is wrong and how it is used, and ends the process."""
        self.print_usage(sys.stderr)
        self.exit(names.EXIT_PERMANENT, f"{self.prog}: error: {message}\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="diffrun-worker", description="Runs one block of a DiffusionRun.")
    subparsers = parser.add_subparsers(metavar="command", required=True)
    for command in COMMANDS:
        command.add(subparsers)
    return parser


def _configure_logging() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # The HTTP client tells every request at INFO, signed URLs included.
    for noisy in ("httpx", "httpx2", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
