"""How a block ended, told in two places: `result.json` for later blocks, the termination message for people."""

import errno
import json
import logging
from pathlib import Path

from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.events import number_or_word
from diffrun_contracts.status import Scalar
from diffrun_contracts.task import BlockResult, BlockTask
from diffrun_worker.block import Outputs
from diffrun_worker.errors import ErrorCode, PermanentError, TemporaryError
from diffrun_worker.workspace import Workspace

logger = logging.getLogger(__name__)


def check_outputs(outputs: Outputs | None) -> dict[str, Scalar]:
    """The outputs as later blocks get them: plain scalars, of which NaN and the infinities are words as in events.

    Raises PermanentError `InvalidOutputs` naming the wrong one.
    """
    checked: dict[str, Scalar] = {}
    for name, value in dict(outputs or {}).items():
        if not isinstance(name, str) or not isinstance(value, str | int | float | bool):
            raise PermanentError(
                ErrorCode.INVALID_OUTPUTS,
                f"output {name!r} is a {type(value).__name__}; outputs are strings, numbers and booleans",
            )
        checked[name] = number_or_word(value) if isinstance(value, float) else value
    return checked


def write_result(workspace: Workspace, task: BlockTask, shard: int, result: BlockResult) -> None:
    """Writes a shard's `result.json` whole. Raises PermanentError `DiskFull`."""
    directory = names.shard_dir(task.run.uid, task.block, task.attempt, shard)
    workspace.write(f"{directory}/{names.RESULT_FILE}", result.to_json().encode())


def read_inputs(workspace: Workspace, task: BlockTask) -> dict[str, Scalar]:
    """The outputs of the blocks that this one depends on; of two of the same name that of the later block.

    Raises TemporaryError `MissingInput` where a result is not there (the volume may lag behind), PermanentError
    where it is no result.
    """
    inputs: dict[str, Scalar] = {}
    for dependency in task.dependencies:
        path = f"{names.shard_dir(task.run.uid, dependency.block, dependency.attempt, 0)}/{names.RESULT_FILE}"
        try:
            result = BlockResult.model_validate_json(workspace.path(path).read_bytes())
        except OSError as error:
            raise TemporaryError(
                ErrorCode.MISSING_INPUT, f"cannot read block {dependency.block!r}'s result {path}: {error.strerror}"
            ) from error
        except ValidationError as error:
            raise PermanentError(
                ErrorCode.MISSING_INPUT, f"block {dependency.block!r}'s result {path} is damaged; run it again"
            ) from error
        inputs |= result.outputs
    return inputs


def termination_message(result: BlockResult, limit: int = names.MAX_TERMINATION_BYTES) -> bytes:
    """The result in at most `limit` bytes: the longest outputs go first, then the end of the error's message."""
    outputs = dict(sorted(result.outputs.items(), key=lambda item: len(json.dumps(item[1])), reverse=True))
    while len(data := result.model_copy(update={"outputs": outputs}).to_json().encode()) > limit and outputs:
        del outputs[next(iter(outputs))]
    error = result.error
    while len(data) > limit and error is not None and error.message:
        keep = max(0, len(error.message) - max(1, (len(data) - limit) // 4) - 1)
        error = error.model_copy(update={"message": error.message[:keep] + "…" if keep else ""})
        data = result.model_copy(update={"outputs": outputs, "error": error}).to_json().encode()
    return data


def write_termination_message(path: Path, result: BlockResult) -> None:
    """Writes the termination message where the kubelet picks it up. Without it the block's outcome stands."""
    try:
        path.write_bytes(termination_message(result))
    except OSError as error:
        logger.warning("cannot write %s: %s", path, errno.errorcode.get(error.errno or 0, "OSError"))
