"""What a terminal shows while samples are drawn by hand: four panels on a TTY, plain log lines anywhere else.

Both are told the same things, from several threads, and neither is ever waited for.
"""

import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Protocol, Self, TextIO

import torch
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

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
_REFRESH_PER_SECOND = 4
_RECENT = 8
_TREND = 32
_HEIGHT = 18
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = {
    METRIC_LATENT_L2: "latent L2",
    METRIC_CUMULATIVE_L2: "cumulative L2",
    METRIC_L2_VELOCITY: "L2 velocity",
    METRIC_PIXEL_DELTA: "pixel delta",
}

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
        self.trends: dict[str, deque[float]] = {name: deque(maxlen=_TREND) for name in _SHOWN}
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
            what = f"{state.finished} of {state.samples} samples in {_duration(state.seconds)}"
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
        parts.append(f"{_duration(state.remaining)} left")
    with state.lock:
        newest = state.trends[METRIC_LATENT_L2]
        if newest:
            parts.append(f"latent L2 {newest[-1]:.3g}")
    return ", ".join(parts)


class RichDisplay:
    """Four panels that follow along: progress, GPU, metrics, recent samples."""

    def __init__(self, samples: int, title: str, device: str, console: Console, clock: Clock = time.monotonic) -> None:
        """`device` is `cpu` or `cuda:N`."""
        self._state = Progress(samples, clock)
        self._title = title
        self._device = torch.device(device)
        self._live = Live(console=console, refresh_per_second=_REFRESH_PER_SECOND, get_renderable=self.render)
        self._moved: list[tuple[logging.StreamHandler[TextIO], TextIO]] = []
        self.progress = self._state.progress
        self.points: Callable[[list[Point]], None] = self._state.points
        self.sample = self._state.sample

    def __enter__(self) -> Self:
        """Takes the terminal; log lines go above the panels from now on."""
        self._live.start()
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.__stderr__, sys.__stdout__):
                self._moved.append((handler, handler.stream))
                handler.setStream(sys.stderr)  # which is the live display's own by now
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leaves the last state standing and gives the terminal back."""
        for handler, stream in self._moved:
            handler.setStream(stream)
        self._live.stop()

    def render(self) -> RenderableType:
        """The panels as they are now."""
        layout = Layout(size=_HEIGHT)
        layout.split_column(Layout(name="top", size=7), Layout(name="bottom", size=_HEIGHT - 7))
        layout["top"].split_row(
            Layout(Panel(self._progress(), title=f"Progress · {self._title}", border_style="blue")),
            Layout(Panel(self._gpu(), title="GPU", border_style="green")),
        )
        layout["bottom"].split_row(
            Layout(Panel(self._metrics(), title="Metrics (mean of the batch)", border_style="magenta")),
            Layout(Panel(self._recent(), title="Recent samples", border_style="yellow")),
        )
        return _Fixed(layout, _HEIGHT)

    def _progress(self) -> RenderableType:
        state = self._state
        table = Table.grid(padding=(0, 2))
        left = "…" if state.remaining is None else _duration(state.remaining)
        table.add_row(ProgressBar(total=1.0, completed=state.share, width=36), f"{100 * state.share:.0f} %")
        table.add_row("samples", f"{state.finished} of {state.samples}")
        table.add_row("speed", f"{state.rate:.3g} samples/s")
        table.add_row("time", f"{_duration(state.seconds)} so far, {left} left")
        return table

    def _gpu(self) -> RenderableType:
        if self._device.type != "cuda":
            return Text("no GPU: computing on the CPU", style="dim")
        free, total = torch.cuda.mem_get_info(self._device)
        used = total - free
        table = Table.grid(padding=(0, 2))
        table.add_row("name", torch.cuda.get_device_name(self._device))
        table.add_row(ProgressBar(total=1.0, completed=used / total, width=24), f"{_gib(used)} of {_gib(total)} GiB")
        table.add_row("this process", f"{_gib(torch.cuda.memory_allocated(self._device))} GiB")
        table.add_row("at most", f"{_gib(torch.cuda.max_memory_allocated(self._device))} GiB")
        return table

    def _metrics(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        with self._state.lock:
            trends = {label: list(self._state.trends[name]) for name, label in _SHOWN.items()}
        for label, values in trends.items():
            table.add_row(label, f"{values[-1]:.4g}" if values else "…", Text(sparkline(values), style="cyan"))
        return table

    def _recent(self) -> RenderableType:
        table = Table(box=None, padding=(0, 2), header_style="dim")
        for column in ("sample", "seconds", "total L2"):
            table.add_column(column, justify="right")
        with self._state.lock:
            recent = list(self._state.recent)
        for index, video in reversed(recent):
            table.add_row(str(index), f"{video.generation_time:.3g}", f"{video.total_l2:.4g}")
        return table


class _Fixed:
    """A layout of a fixed height: on its own one fills the whole terminal."""

    def __init__(self, layout: Layout, height: int) -> None:
        self._layout, self._height = layout, height

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._layout, options.update_dimensions(options.max_width, self._height))


def make_display(samples: int, title: str, device: str, stream: TextIO | None = None) -> Display:
    """Panels where the stream (standard output by default) is a terminal that can show them, else log lines."""
    stream = stream or sys.stdout
    if stream.isatty():
        console = Console(file=stream)
        if not console.is_dumb_terminal:
            return RichDisplay(samples, title, device, console)
    return PlainDisplay(samples)


def sparkline(values: Sequence[float]) -> str:
    """One block character a value, from the smallest to the largest; a level line where all are alike."""
    finite = [value for value in values if value == value and abs(value) != float("inf")]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    top = len(_BARS) - 1
    return "".join(_BARS[round((value - low) / span * top) if span else 0] for value in finite)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
