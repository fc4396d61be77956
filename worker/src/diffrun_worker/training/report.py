"""What a training says while it runs: metrics, progress and, every now and then, a line in the log."""

import logging
import math
import time
from collections import deque
from collections.abc import Callable

from diffrun_worker.block import BlockContext, Point
from diffrun_worker.training.config import TrainConfig
from diffrun_worker.training.readback import StepRow
from diffrun_worker.training.schedules import ema_decay, learning_rate

logger = logging.getLogger(__name__)

LOSS = "train/loss"
LEARNING_RATE = "train/lr"
GRAD_NORM = "train/grad_norm"
IMAGES_PER_SECOND = "train/images_per_second"
EMA_DECAY = "train/ema_decay"
ETA_SECONDS = "train/eta_seconds"

FLUSH_SECONDS = 0.25
"""Points wait no longer than this, and the next step: live for people, and no burden on a fast loop."""
LOG_SECONDS = 30.0
_RECENT = 100  # steps that the final loss is the mean of


class Report:
    """Takes the rows of a training in order, on the loop's thread; nothing here waits.

    Loss and gradient norm are told of every step; what changes slowly, or is a mean over time, once a flush.
    """

    def __init__(
        self, config: TrainConfig, total: int, ctx: BlockContext | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Without a context nothing is told: of several workers one speaks."""
        self._config = config
        self._total = total
        self._ctx = ctx
        self._clock = clock
        self._points: list[Point] = []
        self._recent: deque[float] = deque(maxlen=_RECENT)
        self._flushed_at = self._logged_at = clock()
        self._steps = 0  # since the last flush
        self._busy = 0.0  # seconds of training since the start, and the steps done in them
        self._done = 0

    @property
    def final_loss(self) -> float | None:
        """The mean loss of the last hundred steps, or of as many as there were; None where there was none."""
        return math.fsum(self._recent) / len(self._recent) if self._recent else None

    def add(self, row: StepRow) -> None:
        """Takes a step's row."""
        self._recent.append(row.loss)
        self._points.append(Point(LOSS, row.loss, row.step))
        self._points.append(Point(GRAD_NORM, row.grad_norm, row.step))
        self._steps += 1
        if self._clock() - self._flushed_at >= FLUSH_SECONDS or row.step + 1 == self._total:
            self.flush(row.step)

    def flush(self, step: int) -> None:
        """Hands over what is known up to `step`."""
        if not self._steps:
            return
        now = self._clock()
        seconds = max(now - self._flushed_at, 1e-9)
        self._busy, self._done = self._busy + seconds, self._done + self._steps
        remaining = (self._total - step - 1) * self._busy / self._done
        self._points += [
            Point(LEARNING_RATE, learning_rate(self._config.optimizer, step, self._total), step),
            Point(EMA_DECAY, ema_decay(self._config.ema, step), step),
            Point(IMAGES_PER_SECOND, self._steps * self._config.batch_size / seconds, step),
            Point(ETA_SECONDS, remaining, step),
        ]
        if self._ctx is not None:
            self._ctx.metrics(self._points)
            self._ctx.progress(step + 1, self._total)
        if now - self._logged_at >= LOG_SECONDS:
            self._log(step, remaining)
            self._logged_at = now
        self._points, self._steps, self._flushed_at = [], 0, now

    def resume_clock(self) -> None:
        """Call after a pause, a grid or a checkpoint: their time is no time of training."""
        self._flushed_at = self._clock()

    def _log(self, step: int, remaining: float) -> None:
        rate = self._done * self._config.batch_size / self._busy
        logger.info(
            "step %d of %d, loss %.4f, %.1f images/s, %s left",
            step + 1, self._total, self.final_loss or math.nan, rate, _duration(remaining),
        )  # fmt: skip


def _duration(seconds: float) -> str:
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}"
