"""What every command that runs a block by hand does with it: run it, and tell in one line how it ended."""

from collections.abc import Callable
from pathlib import Path

from diffrun_worker.assignment import Assignment
from diffrun_worker.errors import PermanentError
from diffrun_worker.runner import Outcome, failed, run_assignment


def run_local(make: Callable[[], Assignment]) -> int:
    """Runs the block of an assignment without a cluster and returns its exit code.

    What `make` raises as a PermanentError is told and answered with its exit code.
    """
    try:
        assignment = make()
    except PermanentError as error:
        return failed(error).exit_code
    outcome = run_assignment(assignment)
    _tell(assignment, outcome)
    return outcome.exit_code


def _tell(assignment: Assignment, outcome: Outcome) -> None:
    """One line for whoever started the block by hand."""
    where = f"; files in {Path(assignment.workspace) / outcome.directory}" if outcome.directory else ""
    error = outcome.result.error
    if error is not None:
        print(f"failed: {error.code}: {error.message}{where}")
    else:
        print(f"done: {outcome.result.artifacts} artifacts, outputs {outcome.result.outputs}{where}")
