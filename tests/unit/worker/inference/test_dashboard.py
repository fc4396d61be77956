"""The terminal: four panels on a TTY, plain lines without escape codes anywhere else."""

import io
import logging
import sys

import pytest
import torch
from rich.console import Console

from diffrun_worker.block import Point
from diffrun_worker.inference.aggregates import Video
from diffrun_worker.inference.dashboard import RichDisplay, make_display, sparkline
from diffrun_worker.inference.display import PlainDisplay, Progress, line


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def points(step: int, *values: float) -> list[Point]:
    return [Point("infer/latent_l2", value, step, {"sample_index": i, "step": step}) for i, value in enumerate(values)]


def shown(display: RichDisplay, console: Console) -> str:
    with console.capture() as capture:
        console.print(display.render())
    return capture.get()


def make(device: str = "cpu", clock: Clock | None = None) -> tuple[RichDisplay, Console]:
    console = Console(file=io.StringIO(), width=120, height=40, force_terminal=True, color_system=None)
    return RichDisplay(10, "A, 50 steps", device, console, clock or Clock()), console


def test_a_terminal_gets_panels_and_anything_else_gets_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    assert isinstance(make_display(1, "A", "cpu", Terminal()), RichDisplay)
    assert isinstance(make_display(1, "A", "cpu", io.StringIO()), PlainDisplay)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert isinstance(make_display(1, "A", "cpu", io.StringIO()), PlainDisplay)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(make_display(1, "A", "cpu", Terminal()), PlainDisplay)


def test_four_panels_show_progress_gpu_metrics_and_recent_samples() -> None:
    clock = Clock()
    display, console = make(clock=clock)
    clock.now = 20.0
    display.progress(50, 100)
    display.points(points(0, 1.0, 3.0) + points(1, 5.0, 7.0))
    display.sample(4, Video(0.25, 21.5, 1.0))

    text = shown(display, console)

    for words in ("Progress · A, 50 steps", "GPU", "Metrics", "Recent samples"):
        assert words in text
    assert "1 of 10" in text
    assert "50 %" in text
    assert "0.25 samples/s" in text  # half of ten samples in twenty seconds
    assert "0:00:20 so far, 0:00:20 left" in text
    assert "no GPU" in text
    assert "▁█" in text
    assert "6" in text.split("latent L2")[1].split("\n")[0]  # the newest step's mean
    assert all(number in text for number in ("21.5", "0.25"))


def test_the_gpu_panel_shows_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (100 * gib, 140 * gib))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 2 * gib)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 3 * gib)
    display, console = make(device="cuda:0")

    text = shown(display, console)

    for words in ("NVIDIA H200", "40.0 of 140.0 GiB", "2.0 GiB", "3.0 GiB"):
        assert words in text


def test_only_the_newest_samples_are_listed() -> None:
    display, console = make()
    for index in range(100, 120):
        display.sample(index, Video(1.0, 1.0, 1.0))

    text = shown(display, console)

    assert "119" in text
    assert "111" not in text


def test_log_lines_go_above_the_panels_and_back_to_where_they_went(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "__stderr__", io.StringIO())
    handler = logging.StreamHandler(sys.__stderr__)
    logging.getLogger().addHandler(handler)
    display, console = make()
    try:
        with display:
            logging.getLogger("test").warning("look at this")
        assert handler.stream is sys.__stderr__
    finally:
        logging.getLogger().removeHandler(handler)

    output = console.file
    assert isinstance(output, io.StringIO)
    assert "look at this" in output.getvalue()
    assert isinstance(sys.__stderr__, io.StringIO)
    assert sys.__stderr__.getvalue() == ""


def test_plain_lines_come_every_few_seconds_and_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    with caplog.at_level(logging.INFO), PlainDisplay(10, clock) as display:
        for second in range(1, 21):
            clock.now = float(second)
            display.progress(second, 40)
        display.points(points(0, 2.0, 4.0))
        display.sample(0, Video(1.0, 1.0, 1.0))

    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "0 of 10 samples (25 %), 0.25 a second, 0:00:30 left",
        "0 of 10 samples (50 %), 0.25 a second, 0:00:20 left",
        "1 of 10 samples in 0:00:20, 0.25 a second",
    ]
    assert not any("\x1b" in text for text in lines)


def test_a_line_tells_the_newest_mean() -> None:
    state = Progress(4, Clock())
    state.points(points(0, 1.0, 3.0))

    assert line(state).endswith("latent L2 2")


@pytest.mark.parametrize(
    ("values", "expected"),
    [([], ""), ([1.0], "▁"), ([0, 1, 2, 3, 4, 5, 6, 7], "▁▂▃▄▅▆▇█"), ([5, 5], "▁▁"), ([0, float("nan"), 7], "▁█")],
)
def test_a_sparkline_goes_from_the_smallest_to_the_largest(values: list[float], expected: str) -> None:
    assert sparkline(values) == expected
