"""What a terminal shows while samples are drawn by hand: four panels, where it can show them."""

import logging
import sys
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self, TextIO

import torch
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.layout import Layout
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from diffrun_worker.block import Point
from diffrun_worker.inference.display import SHOWN, Clock, Display, PlainDisplay, Progress, duration

_REFRESH_PER_SECOND = 4
_HEIGHT = 18
_BARS = "▁▂▃▄▅▆▇█"


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
        left = "…" if state.remaining is None else duration(state.remaining)
        table.add_row(ProgressBar(total=1.0, completed=state.share, width=36), f"{100 * state.share:.0f} %")
        table.add_row("samples", f"{state.finished} of {state.samples}")
        table.add_row("speed", f"{state.rate:.3g} samples/s")
        table.add_row("time", f"{duration(state.seconds)} so far, {left} left")
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
            trends = {label: list(self._state.trends[name]) for name, label in SHOWN.items()}
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


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f}"
