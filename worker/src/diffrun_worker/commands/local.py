"""What the commands that run a block by hand share: the assignment, the run, and one line on how it ended."""

import os
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from diffrun_contracts import names
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.assignment import Assignment
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.runner import Outcome, failed, run_assignment
from diffrun_worker.workspace import Workspace


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


def local_assignment(
    block_type: str, params: Mapping[str, Any], workspace: Path, *, seed: int = 0, gpus: int = 0, redis: str | None
) -> Assignment:
    """A block in a run of its own. Whether the parameters are right is for the block's own model to say."""
    identity = f"local-{uuid.uuid4()}"
    task = BlockTask(
        run=RunRef(namespace="local", name=block_type, uid=identity),
        block=block_type.lower(),
        type=block_type,
        params=dict(params),
        seed=seed,
    )
    redis_url = redis or os.environ.get(names.ENV_REDIS_URL) or None
    return Assignment(task=task, workspace=str(workspace), pod=identity, gpus=gpus, redis_url=redis_url, inputs={})


def open_workspace(given: str | None) -> Path:
    """The workspace of `--workspace`, else of the environment, else `workspace` here; made where it is missing."""
    path = Path(given or os.environ.get(names.ENV_WORKSPACE) or "workspace")
    path.mkdir(parents=True, exist_ok=True)
    return path


def gpus_of(device: str) -> int:
    """How many GPUs `--device` asks for: `auto` takes one where there is one."""
    if device == "auto":
        import torch

        return int(torch.cuda.is_available())
    return int(device == "cuda")


def in_workspace(workspace: Path, path: Path, option: str) -> str:
    """The workspace-relative form of a path that somebody has typed, which may also be relative to where they are.

    Raises PermanentError `PathOutsideWorkspace`, naming the option.
    """
    root = Workspace(str(workspace)).root
    for candidate in (path.absolute(), root / path):
        if candidate.exists() and candidate.resolve().is_relative_to(root):
            return candidate.resolve().relative_to(root).as_posix()
    raise PermanentError(
        ErrorCode.PATH_OUTSIDE_WORKSPACE,
        f"{option}: {path} is not in the workspace {root}; put it there, or set --workspace to a folder above it",
    )


def _tell(assignment: Assignment, outcome: Outcome) -> None:
    """One line for whoever started the block by hand."""
    where = f"; files in {assignment.workspace.rstrip('/')}/{outcome.directory}" if outcome.directory else ""
    error = outcome.result.error
    if error is not None:
        print(f"failed: {error.code}: {error.message}{where}")
    else:
        print(f"done: {outcome.result.artifacts} artifacts, outputs {outcome.result.outputs}{where}")
