"""Threads beside the loop: their order, their bounds, and who hears of what they meet with."""

import threading
from collections.abc import Callable

from diffrun_worker.side import Lane


class Gate:
    """A job that ends when it is let go."""

    def __init__(self) -> None:
        self.started = threading.Event()
        self.open = threading.Event()

    def __call__(self) -> None:
        self.started.set()
        assert self.open.wait(10)


def in_thread(work: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread


def test_a_lane_holds_whoever_puts_more_than_its_bound() -> None:
    lane, gate, done = Lane("test", 100), Gate(), []
    lane.put(gate, 60)
    lane.put(lambda: done.append("second"), 40)
    third = in_thread(lambda: lane.put(lambda: done.append("third"), 1))
    gate.started.wait(10)

    third.join(0.05)
    assert third.is_alive()

    gate.open.set()
    third.join(10)
    lane.close(drain=True)
    assert done == ["second", "third"]


def test_a_job_larger_than_the_bound_waits_until_it_is_alone() -> None:
    lane, done = Lane("test", 10), []
    lane.put(lambda: done.append("large"), 1000)
    lane.put(lambda: done.append("small"), 1)
    lane.close(drain=True)

    assert done == ["large", "small"]


def test_a_lane_that_failed_gives_up_what_waits_and_frees_whoever_is_held() -> None:
    lane, gate, done = Lane("test", 0), Gate(), []

    def fail() -> None:
        gate()
        raise ValueError("no")

    lane.put(fail, 1)
    gate.started.wait(10)
    errors: list[BaseException] = []

    def put() -> None:
        try:
            lane.put(lambda: done.append("never"), 1)
        except ValueError as error:
            errors.append(error)

    held = in_thread(put)
    gate.open.set()
    held.join(10)
    lane.close(drain=True)

    assert [str(error) for error in errors] == ["no"]
    assert done == []
