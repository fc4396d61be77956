"""The sub-commands of `diffrun-worker`, one module each.

A command's module has `add(subparsers)`, which adds its parser and sets `command` to a function of the parsed
options that returns the exit code:

    def add(subparsers: Subparsers) -> None:
        parser = subparsers.add_parser("blur", help="…")
        parser.add_argument("--radius", type=int)
        parser.set_defaults(command=blur)

Its import must be cheap, since every start of the worker pays for it: torch and what needs it are imported where the
command runs.
"""

import argparse
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:  # at run time argparse's class is not generic
    Subparsers: TypeAlias = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Subparsers: TypeAlias = argparse._SubParsersAction
