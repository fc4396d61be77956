"""Pause and stop as the loop meets them."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from diffrun_contracts.events import Body, Paused, Resumed
from diffrun_worker.control import Control
from diffrun_worker.errors import Stopped


class Heard:
    """Keeps the events, and lets a test wait for the first."""

    def __init__(self) -> None:
        self.events: list[Body] = []
        self.first = threading.Event()

    def __call__(self, body: Body) -> None:
        self.events.append(body)
        self.first.set()


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def make(tmp_path: Path, heard: Heard) -> Iterator[Callable[[], Control]]:
    made: list[Control] = []

    def build() -> Control:
        made.append(Control(heard, tmp_path / "pause", poll_seconds=0.005))
        return made[-1]

    yield build
    for control in made:
        control.close()


def on_a_thread(control: Control) -> tuple[threading.Thread, list[str]]:
    """`check_pause` on a thread of its own, and how it ended."""
    ended: list[str] = []

    def check() -> None:
        try:
            control.check_pause()
            ended.append("went on")
        except Stopped:
            ended.append("stopped")

    thread = threading.Thread(target=check, daemon=True)
    thread.start()
    return thread, ended


@pytest.mark.parametrize("text", [None, "", "false"], ids=["absent", "empty", "false"])
def test_a_run_that_is_not_paused_goes_on_and_says_nothing(
    text: str | None, tmp_path: Path, heard: Heard, make: Callable[[], Control]
) -> None:
    if text is not None:
        (tmp_path / "pause").write_text(text)
    make().check_pause()
    assert heard.events == []


def test_a_paused_run_holds_says_so_and_goes_on_when_the_file_says_so(
    tmp_path: Path, heard: Heard, make: Callable[[], Control]
) -> None:
    (tmp_path / "pause").write_text("true\n")
    thread, ended = on_a_thread(make())
    assert heard.first.wait(5)
    assert heard.events == [Paused()]
    assert ended == []
    (tmp_path / "pause").write_text("")
    thread.join(5)
    assert ended == ["went on"]
    assert isinstance(heard.events[1], Resumed)
    assert heard.events[1].held_seconds >= 0


def test_a_pause_that_comes_later_takes_hold_at_the_next_step(
    tmp_path: Path, heard: Heard, make: Callable[[], Control]
) -> None:
    control = make()
    control.check_pause()
    (tmp_path / "pause").write_text("true")
    stop = threading.Event()

    def loop() -> None:
        while not stop.is_set():
            control.check_pause()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    assert heard.first.wait(5)
    stop.set()
    (tmp_path / "pause").unlink()
    thread.join(5)
    assert not thread.is_alive()


def test_a_pause_that_no_step_notices_is_no_event(tmp_path: Path, heard: Heard, make: Callable[[], Control]) -> None:
    (tmp_path / "pause").write_text("true")
    make()
    assert heard.events == []


def test_sigterm_stops_between_two_steps_and_also_while_the_run_is_paused(
    tmp_path: Path, heard: Heard, make: Callable[[], Control]
) -> None:
    control = make()
    control.stop()
    with pytest.raises(Stopped):
        control.check_pause()
    (tmp_path / "pause").write_text("true")
    held = make()
    thread, ended = on_a_thread(held)
    assert heard.first.wait(5)
    held.stop()
    thread.join(5)
    assert ended == ["stopped"]


def test_stopped_is_not_swallowed_by_a_block_that_catches_exceptions() -> None:
    assert not issubclass(Stopped, Exception)
