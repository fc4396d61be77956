"""What a run by hand knows of how far it has come, and the log lines that tell it where there is no terminal.

A display is told the same things from several threads, and is never waited for.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self

from diffrun_worker.block import Point
from diffrun_worker.inference.aggregates import Video
from diffrun_worker.inference.tracker import (
    METRIC_CUMULATIVE_L2,
    METRIC_L2_VELOCITY,
    METRIC_LATENT_L2,
    METRIC_PIXEL_DELTA,
)

logger = logging.getLogger(__name__)

LOG_SECONDS = 10.0
"""Between two lines of a plain log."""
SHOWN = {
    METRIC_LATENT_L2: "latent L2",
    METRIC_CUMULATIVE_L2: "cumulative L2",
    METRIC_L2_VELOCITY: "L2 velocity",
    METRIC_PIXEL_DELTA: "pixel delta",
}
"""The metrics that a display follows, with their words."""
_RECENT = 8
_TREND = 32

Clock = Callable[[], float]


class Display(Protocol):
    """Somebody who is told how far it has come. All methods may be called from any thread."""

    def __enter__(self) -> Self:
        """Begins to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Shows the end."""

    def progress(self, done: int, total: int) -> None:
        """Steps of all samples."""

    def points(self, points: list[Point]) -> None:
        """Metrics, as the tracker publishes them."""

    def sample(self, index: int, video: Video) -> None:
        """A sample is done."""


class Progress:
    """What is known so far, for either display."""

    def __init__(self, samples: int, clock: Clock = time.monotonic) -> None:
        """`samples` is how many this process draws."""
        self.samples = samples
        self.finished = 0
        self.share = 0.0
        """Of all steps, 0…1."""
        self.recent: deque[tuple[int, Video]] = deque(maxlen=_RECENT)
        self.trends: dict[str, deque[float]] = {name: deque(maxlen=_TREND) for name in SHOWN}
        self.lock = threading.Lock()
        self._clock = clock
        self._started = clock()

    def progress(self, done: int, total: int) -> None:
        """Steps of all samples."""
        with self.lock:
            self.share = done / max(total, 1)

    def points(self, points: Sequence[Point]) -> None:
        """Keeps the mean over the samples of each step."""
        sums: dict[tuple[str, int], tuple[float, int]] = {}
        for point in points:
            if point.name in self.trends:
                total, count = sums.get((point.name, point.step), (0.0, 0))
                sums[point.name, point.step] = total + point.value, count + 1
        with self.lock:
            for (name, _), (total, count) in sums.items():
                self.trends[name].append(total / count)

    def sample(self, index: int, video: Video) -> None:
        """A sample is done."""
        with self.lock:
            self.finished += 1
            self.recent.append((index, video))

    @property
    def seconds(self) -> float:
        """Since it began."""
        return self._clock() - self._started

    @property
    def rate(self) -> float:
        """Samples a second, by the steps that are done."""
        return self.share * self.samples / max(self.seconds, 1e-9)

    @property
    def remaining(self) -> float | None:
        """Seconds; None before anything is done."""
        return self.seconds * (1 - self.share) / self.share if self.share else None


class PlainDisplay:
    """A log line every few seconds, and one at the end."""

    def __init__(self, samples: int, clock: Clock = time.monotonic) -> None:
        """`samples` is how many this process draws."""
        self._state = Progress(samples, clock)
        self._clock = clock
        self._logged_at = clock()

    def __enter__(self) -> Self:
        """Nothing is shown yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Says how it ended, unless an error will."""
        if error is None:
            state = self._state
            what = f"{state.finished} of {state.samples} samples in {duration(state.seconds)}"
            logger.info("%s, %.3g a second", what, state.rate)

    def progress(self, done: int, total: int) -> None:
        """A line, if the last one is old."""
        self._state.progress(done, total)
        if self._clock() - self._logged_at >= LOG_SECONDS:
            self._logged_at = self._clock()
            logger.info("%s", line(self._state))

    def points(self, points: list[Point]) -> None:
        """Kept for the next line."""
        self._state.points(points)

    def sample(self, index: int, video: Video) -> None:
        """Counted for the next line."""
        self._state.sample(index, video)


def line(state: Progress) -> str:
    """`12 of 100 samples (14 %), 3.1 a second, 0:00:28 left, latent L2 0.42`."""
    parts = [f"{state.finished} of {state.samples} samples ({100 * state.share:.0f} %)", f"{state.rate:.3g} a second"]
    if state.remaining is not None:
        parts.append(f"{duration(state.remaining)} left")
    with state.lock:
        newest = state.trends[METRIC_LATENT_L2]
        if newest:
            parts.append(f"latent L2 {newest[-1]:.3g}")
    return ", ".join(parts)


def duration(seconds: float) -> str:
    """`0:00:28`."""
    return str(timedelta(seconds=round(seconds)))
