"""The training loop: steps, and between them what the host hears, saves, draws and is asked for.

All workers make the same decisions at the same steps, since they decide by rows that are the mean over all of them.
"""

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from diffrun_worker.block import BlockContext, Interruption
from diffrun_worker.errors import ErrorCode, PermanentError, Stopped
from diffrun_worker.training.config import TrainConfig
from diffrun_worker.training.distributed import World
from diffrun_worker.training.grids import Grids
from diffrun_worker.training.network import Network
from diffrun_worker.training.readback import Readback, StepRow
from diffrun_worker.training.report import GRAD_NORM, LOSS, Report
from diffrun_worker.training.saver import Saver
from diffrun_worker.training.state import capture
from diffrun_worker.training.step import TrainStep

logger = logging.getLogger(__name__)

PAUSE_SECONDS = 90.0
"""How long a worker waits to be asked itself to hold after another was: the kubelet brings the word once a minute."""
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Span:
    """The steps of a training."""

    first: int
    """The first that is left to do: 0, or where the checkpoint was made."""
    total: int
    """Of the whole training."""
    per_epoch: int

    def epoch(self, done: int) -> int:
        """Whole epochs in `done` steps."""
        return done // self.per_epoch


class Trainer:
    """Trains from one step to the last."""

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        optimizer: torch.optim.AdamW,
        step: TrainStep,
        readback: Readback,
        span: Span,
        world: World,
        ctx: BlockContext,
        *,
        report: Report,
        grids: Grids | None,
        saver: Saver | None,
        facts: Mapping[str, Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`report`, `grids` and `saver` speak on rank 0; `facts` go into each checkpoint."""
        self._config = config
        self._network = network
        self._optimizer = optimizer
        self._step = step
        self._readback = readback
        self._span = span
        self._world = world
        self._ctx = ctx
        self._report = report
        self._grids = grids
        self._saver = saver
        self._facts = facts
        self._clock = clock
        self._grid_every = config.grid.every.in_steps(span.per_epoch)
        self._save_every = config.checkpoint.every.in_steps(span.per_epoch)
        self._settled = span.first  # steps whose rows were read
        self._begun = span.first  # steps that the device was asked for, the same on all workers
        self._heeded = span.first  # steps whose wish for a pause has been met
        self._stopping = False

    def run(self) -> None:
        """Raises PermanentError `NonFiniteLoss`, and Stopped after saving what can be resumed."""
        span = self._span
        for step in range(span.first, span.total):
            self._check(step)
            self._step.run(step, pause=self._asked(Interruption.PAUSE), stop=self._asked(Interruption.STOP))
            self._begun = step + 1
            self._read_until(step + 1 - self._readback.lag)
            done = step + 1
            if done % self._grid_every == 0 or done == span.total:
                self._draw(done)
            if done % self._save_every == 0 or done == span.total:
                self._save(done)
        self._read_until(span.total)

    def _check(self, step: int) -> None:
        """Holds or stops a training of one worker; several agree on it by their rows."""
        if self._world.size > 1:
            return
        try:
            held = self._ctx.interruption is not None
            self._ctx.check_pause()
        except Stopped:
            self._stop(step)
        if held:
            self._report.resume_clock()

    def _asked(self, kind: Interruption) -> bool:
        if self._world.size == 1:
            return False
        return self._ctx.interruption is kind or (kind is Interruption.STOP and self._stopping)

    def _read_until(self, end: int, *, heed: bool = True) -> None:
        """Reads the rows of all steps before `end`. Raises PermanentError `NonFiniteLoss`; saves and raises Stopped."""
        while self._settled < end:
            row = self._readback.read(self._settled)
            self._settled += 1
            self._report.add(row)
            if not (math.isfinite(row.loss) and math.isfinite(row.grad_norm)):
                self._diverged(row)
            if heed and row.stop:
                self._stop(self._begun)
            if heed and row.pause and row.step >= self._heeded:
                self._hold()

    def _hold(self) -> None:
        """Holds all workers after the same step, each once it was itself asked to."""
        deadline = self._clock() + PAUSE_SECONDS
        while self._ctx.interruption is None and self._clock() < deadline:
            time.sleep(_POLL_SECONDS)
        try:
            self._ctx.check_pause()
        except Stopped:
            self._stopping = True
        if self._world.any(self._stopping):
            self._stop(self._begun)
        self._heeded = self._begun  # the rows that are still to be read tell of this same pause
        self._report.resume_clock()

    def _draw(self, done: int) -> None:
        if self._grids is None:
            return
        try:
            self._grids.draw(done, self._span.epoch(done), self._check_while_drawing)
        except Stopped:
            self._stopping = True  # several workers stop together, after the next step
            if self._world.size == 1:
                self._stop(done)
        self._report.resume_clock()

    def _check_while_drawing(self) -> None:
        """Of several workers one draws: it may give the grid up, but must not hold while the others wait for it."""
        if self._world.size == 1:
            self._ctx.check_pause()
        elif self._ctx.interruption is Interruption.STOP:
            raise Stopped

    def _save(self, done: int) -> None:
        """Saves the state after `done` steps, once all of their losses are known to be finite."""
        self._read_until(done, heed=not self._stopping)
        self._report.flush(done - 1)
        if self._saver is not None:
            self._saver.put(capture(self._network, self._optimizer, done, self._facts_at(done)))
        self._report.resume_clock()

    def _stop(self, done: int) -> None:
        """Saves what was done since the start, and raises Stopped."""
        self._stopping = True
        if done > self._span.first:
            self._save(done)
        if self._saver is not None:
            self._saver.wait()
            kept = "its state is saved" if done > self._span.first else "there is nothing new to save"
            logger.info("stopped after step %d of %d; %s", done, self._span.total, kept)
        raise Stopped

    def _diverged(self, row: StepRow) -> None:
        """Saves the state of before the step, which nothing has changed since, and raises."""
        self._report.flush(row.step)
        name, value = (GRAD_NORM, row.grad_norm) if math.isfinite(row.loss) else (LOSS, row.loss)
        kept = ""
        if self._saver is not None and _finite(self._network):
            self._saver.put(capture(self._network, self._optimizer, row.step, self._facts_at(row.step)))
            self._saver.wait()
            kept = f"; the state of before it is saved as step {row.step}"
        raise PermanentError(
            ErrorCode.NON_FINITE_LOSS,
            f"{name}: is {value} at step {row.step}{kept}; "
            "lower optimizer.learningRate or optimizer.maxGradNorm, or set precision: float32, and resume from there",
        )

    def _facts_at(self, done: int) -> dict[str, Any]:
        return {**self._facts, "epoch": self._span.epoch(done)}


def _finite(network: Network) -> bool:
    weights = [*network.unet.parameters(), *network.average.parameters()]
    return all(bool(torch.isfinite(weight).all()) for weight in weights)
