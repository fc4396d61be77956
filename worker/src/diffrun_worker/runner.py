"""Runs one block from its assignment to its exit code, and leaves the traces that others read.

In this order: the block's work; every event in `events.jsonl`; as many of them in Redis as a bounded wait brings
there; `result.json`; the event `block_finished`; the termination message; the exit code.
"""

import gc
import logging
import time
from dataclasses import dataclass

from diffrun_contracts import names
from diffrun_contracts.events import BlockFinished, BlockStarted
from diffrun_contracts.task import BlockResult, ErrorInfo
from diffrun_worker.assignment import Assignment
from diffrun_worker.block import Interruption
from diffrun_worker.context import WorkerContext
from diffrun_worker.control import Control
from diffrun_worker.device import pick_device, versions
from diffrun_worker.errors import BlockError, ErrorCode, Stopped, TemporaryError, exited
from diffrun_worker.journal import Journal
from diffrun_worker.publisher import Publisher, RedisTransport
from diffrun_worker.registry import load_block, parse_params
from diffrun_worker.result import check_outputs, read_inputs, write_result, write_termination_message
from diffrun_worker.stored_workspace import open_workspace
from diffrun_worker.workspace import DISK_FULL_ERRNOS

logger = logging.getLogger(__name__)

SETTLE_SECONDS = 10.0
"""How long a finished block waits for Redis to take its events."""
FAREWELL_SECONDS = 2.0
"""How long the very last event waits for Redis; also how long the others do after SIGTERM, when SIGKILL is near."""
_LOOK_SECONDS = 0.1  # between two looks at whether SIGTERM has come


@dataclass(frozen=True)
class Outcome:
    """How a block ended."""

    exit_code: int
    result: BlockResult
    directory: str | None = None
    """Where the pod's files lie, relative to the workspace."""


def run_assignment(assignment: Assignment, *, signals: bool = True) -> Outcome:
    """Runs the block. Never raises for what the block did; `signals` must be False off the main thread."""
    try:
        outcome = _Session(assignment, signals=signals).run()
    except BlockError as error:  # nothing could be opened: there is nowhere to write but the termination message
        outcome = failed(error)
    if assignment.termination_log is not None:
        write_termination_message(assignment.termination_log, outcome.result)
    return outcome


def failed(error: BlockError) -> Outcome:
    """The outcome of a block that never began."""
    logger.error("%s", error)
    return Outcome(error.exit_code, BlockResult(error=error.info()))


class _Session:
    """Everything that is open while a block runs."""

    def __init__(self, assignment: Assignment, *, signals: bool) -> None:
        self.assignment = assignment
        task = assignment.task
        self.workspace = open_workspace(assignment.workspace)
        self.publisher: Publisher | None = None
        if assignment.redis_url is not None:
            self.publisher = Publisher(RedisTransport(assignment.redis_url, names.events_key(task.run.uid)))
        self.journal = Journal(
            self.workspace,
            task,
            shard=assignment.shard.index,
            retry=assignment.retry,
            pod=assignment.pod,
            offer=self.publisher.offer if self.publisher else None,
        )
        self.control = Control(self.journal.event, assignment.pause_file)
        if signals:
            self.control.install_signals()

    def run(self) -> Outcome:
        """Runs the block and closes everything."""
        code, result = self._outcome()
        try:
            self.journal.flush()
        except BlockError as error:
            code, result = self._failure(error, code, result)
        dropped = self._settle(self.publisher, stopped=code == names.EXIT_TERMINATED) if self.publisher else 0
        result = result.model_copy(update={"dropped_metrics": dropped})
        if code == names.EXIT_DONE:
            try:
                write_result(self.workspace, self.assignment.task, self.assignment.shard.index, result)
            except BlockError as error:
                code, result = self._failure(error, code, result)
        return self._close(code, result)

    def _settle(self, publisher: Publisher, *, stopped: bool) -> int:
        """Waits for Redis, and returns how many points it did not get. SIGTERM may also come meanwhile."""
        started = time.monotonic()
        while not publisher.wait_sent(_LOOK_SECONDS):
            stopped = stopped or self.control.interruption is Interruption.STOP
            if time.monotonic() - started >= (FAREWELL_SECONDS if stopped else SETTLE_SECONDS):
                break
        return publisher.settle(0)

    def _close(self, code: int, result: BlockResult) -> Outcome:
        last = BlockFinished(
            succeeded=code == names.EXIT_DONE,
            outputs=result.outputs,
            error=result.error,
            dropped_metrics=result.dropped_metrics,
        )
        self.control.close()
        try:
            self.journal.close(last)
        except BlockError as error:
            code, result = self._failure(error, code, result)
        if self.publisher is not None:
            self.publisher.close(FAREWELL_SECONDS)
        return Outcome(code, result, self.journal.directory)

    def _outcome(self) -> tuple[int, BlockResult]:
        try:
            result = self._work()
        except Stopped:
            message = "SIGTERM came: the pod was evicted, or its Job deleted"
            logger.warning("%s", message)
            error = ErrorInfo(code=ErrorCode.STOPPED, message=message, retryable=True)
            return names.EXIT_TERMINATED, BlockResult(error=error)
        except BlockError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says it all, a trace would bury it
            return error.exit_code, BlockResult(error=error.info())
        except SystemExit as error:
            logger.exception("the block ended the process instead of returning")
            mapped = exited(error)
            return mapped.exit_code, BlockResult(error=mapped.info())
        except Exception as error:
            logger.exception("the block failed unexpectedly")
            mapped = self._unexpected(error)
            return mapped.exit_code, BlockResult(error=mapped.info())
        return names.EXIT_DONE, result

    def _work(self) -> BlockResult:
        assignment, task = self.assignment, self.assignment.task
        block = load_block(task.type)
        params = parse_params(block, task.type, task.params)
        device = pick_device(assignment.gpus)
        inputs = read_inputs(self.workspace, task) if assignment.inputs is None else assignment.inputs
        ctx = WorkerContext(
            inputs=inputs,
            seed=task.seed,
            shard=assignment.shard,
            retry=assignment.retry,
            device=device,
            workspace=self.workspace,
            journal=self.journal,
            control=self.control,
            pod=assignment.pod,
        )
        self.journal.event(BlockStarted(block_type=task.type, device=device, versions=versions()))
        ctx.check_pause()
        gc.freeze()  # what has been imported stays: no collection in the block's loops has to look through it
        try:
            outputs = check_outputs(block.run(params, ctx))
        finally:
            gc.unfreeze()  # native modules complain of what is never collected
        return BlockResult(outputs=outputs, artifacts=ctx.artifacts.count, artifacts_digest=ctx.artifacts.digest())

    def _unexpected(self, error: Exception) -> BlockError:
        if isinstance(error, OSError) and error.errno in DISK_FULL_ERRNOS:
            return self.workspace.disk_full(f"write {error.filename or 'a file'}", 1)
        return TemporaryError(ErrorCode.UNEXPECTED_ERROR, f"{type(error).__name__}: {error}"[:2000])

    def _failure(self, error: BlockError, code: int, result: BlockResult) -> tuple[int, BlockResult]:
        """What the worker met with itself makes a success a failure; an earlier failure stands."""
        if code != names.EXIT_DONE:
            return code, result
        logger.error("%s", error)
        return error.exit_code, result.model_copy(update={"outputs": {}, "error": error.info()})
