"""Where a worker learns what to do: from the pod that the operator made, or from a file without a cluster."""

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.params import BLOCK_TYPES
from diffrun_contracts.status import Scalar
from diffrun_contracts.task import BlockTask, RunRef
from diffrun_worker.block import Shard
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.registry import describe

_LOCAL_FIELDS = ("name", "seed", "inputs")


@dataclass(frozen=True)
class Assignment:
    """One block for this process."""

    task: BlockTask
    workspace: str
    """The workspace's fsspec URL."""
    pod: str
    """The pod's UID, which numbers its events."""
    shard: Shard = field(default_factory=Shard)
    retry: int = 0
    """How often this shard has failed before."""
    gpus: int = 0
    """How many GPUs the pod asked for."""
    redis_url: str | None = field(default=None, repr=False)
    """May hold a password: never shown."""
    inputs: Mapping[str, Scalar] | None = None
    """Given by hand; None where they are the outputs of the task's dependencies."""
    pause_file: Path | None = None
    termination_log: Path | None = None


def from_pod(environment: Mapping[str, str], info: Path, termination_log: Path) -> Assignment:
    """What the operator wrote for this pod. Raises PermanentError `InvalidTask`."""
    path = info / names.FILE_TASK
    try:
        task = BlockTask.model_validate_json(path.read_bytes())
    except OSError as error:
        raise _invalid(f"cannot read {path}: {error.strerror}; outside a pod give --file and --workspace") from error
    except ValidationError as error:
        raise _invalid(f"{path}: {describe(error)}") from error
    index = _integer(environment, names.ENV_SHARD)
    if index >= task.shards:
        raise _invalid(f"{names.ENV_SHARD} is {index}, but the block has {task.shards} shards")
    return Assignment(
        task=task,
        workspace=environment.get(names.ENV_WORKSPACE) or names.WORKSPACE_MOUNT,
        pod=environment.get(names.ENV_POD_UID) or str(uuid.uuid4()),
        shard=Shard(index, task.shards),
        retry=_count(info / names.FILE_INDEX_FAILURES) + _count(info / names.FILE_INDEX_IGNORED),
        gpus=_integer(environment, names.ENV_GPUS),
        redis_url=environment.get(names.ENV_REDIS_URL) or None,
        pause_file=info / names.FILE_PAUSE,
        termination_log=termination_log,
    )


def from_file(path: Path, workspace: str, redis_url: str | None = None, gpus: int = 0) -> Assignment:
    """A block of a YAML file, in a run of its own. Raises PermanentError `InvalidTask` naming the field.

    The file: `name`, one block type with its parameters as in a DiffusionRun, and optionally `seed` and `inputs`.
    """
    try:
        document = yaml.safe_load(path.read_text())
    except OSError as error:
        raise _invalid(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise _invalid(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise _invalid(f"{path}: a mapping with name and one block type is needed")
    block_type, params = _block_type(path, {key: document[key] for key in document if key not in _LOCAL_FIELDS})
    inputs = document.get("inputs") or {}
    if not isinstance(inputs, dict):
        raise _invalid(f"{path}: inputs: a mapping of names to values is needed")
    identity = f"local-{uuid.uuid4()}"
    name = str(document.get("name") or "block")
    try:
        task = BlockTask(
            run=RunRef(namespace="local", name=path.stem, uid=identity),
            block=name,
            type=block_type,
            params=params,
            seed=document.get("seed", 0),
        )
    except ValidationError as error:
        raise _invalid(f"{path}: {describe(error)}") from error
    return Assignment(
        task=task, workspace=workspace, pod=identity, gpus=gpus, redis_url=redis_url or None, inputs=inputs
    )


def from_environment() -> Assignment:
    """What the operator wrote for the pod that this process runs in."""
    return from_pod(os.environ, Path(names.POD_INFO_DIR), Path(names.TERMINATION_LOG))


def _block_type(path: Path, candidates: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    if len(candidates) != 1:
        raise _invalid(
            f"{path}: exactly one block type beside {', '.join(_LOCAL_FIELDS)} is needed "
            f"(for example {next(iter(BLOCK_TYPES))}); got {', '.join(map(str, candidates)) or 'none'}"
        )
    ((block_type, params),) = candidates.items()
    params = params or {}
    if not isinstance(params, dict):
        raise _invalid(f"{path}: {block_type}: a mapping of parameters is needed")
    if block_type == "custom":
        if not isinstance(params.get("type"), str):
            raise _invalid(f"{path}: custom.type: the name of a block type is needed")
        return params["type"], params.get("params") or {}
    return str(block_type), params


def _integer(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name) or "0"
    if not text.isdecimal():
        raise _invalid(f"{name} is {text!r}; a number from 0 on is needed")
    return int(text)


def _count(path: Path) -> int:
    """A count that the Job controller keeps in an annotation, which is absent until there is something to count."""
    try:
        text = path.read_text().strip()
    except FileNotFoundError:
        return 0
    return int(text) if text.isdecimal() else 0


def _invalid(message: str) -> PermanentError:
    return PermanentError(ErrorCode.INVALID_TASK, message)
