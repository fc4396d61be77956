"""Batches on their way to videos: which of them share an encoder, and who waits for it."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference import reels as module
from diffrun_worker.inference.reels import Reels
from diffrun_worker.inference.video import Geometry, VideoEncoder

STEPS = 2


class Noting(VideoEncoder):
    """Notes what it is to encode; holds each call until it is let go."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Geometry(4, 4, 1), 10)
        self.calls: list[list[str]] = []
        self.frames: list[NDArray[np.uint8]] = []
        self.go = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)

    def encode(self, frames: NDArray[np.uint8], names: list[str]) -> None:
        self.calls.append(names)
        self.frames.append(frames)
        self.begun.release()
        assert self.go.acquire(timeout=10)


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def encoder(tmp_path: Path) -> Noting:
    return Noting(tmp_path)


def name_of(index: int) -> str:
    return f"videos/v{index}.mp4"


def film(reels: Reels, indexes: Sequence[int], steps: int = STEPS) -> None:
    for step in range(steps):
        reels.add(indexes, np.full((len(indexes), 4, 4, 1), 10 * indexes[0] + step, np.uint8), step, STEPS)


def test_the_first_batch_is_encoded_at_once_and_those_of_the_next_seconds_together(encoder: Noting) -> None:
    heard: list[Sequence[int]] = []
    reels = Reels(encoder, name_of, heard.append, Clock())
    film(reels, [0, 1])
    assert encoder.begun.acquire(timeout=10)
    encoder.go.release(2)
    film(reels, [2])
    assert not encoder.begun.acquire(timeout=0.05)
    film(reels, [3, 4])
    reels.close(drain=True)

    assert encoder.calls == [["v0.mp4", "v1.mp4"], ["v2.mp4", "v3.mp4", "v4.mp4"]]
    assert heard == [[0, 1], [2, 3, 4]]
    np.testing.assert_array_equal(encoder.frames[1][:, :, 0, 0, 0], [[20, 21], [30, 31], [30, 31]])


def test_a_batch_that_nothing_follows_is_encoded_when_its_time_has_come(
    encoder: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "GATHER_SECONDS", 0.05)
    encoder.go.release(2)
    reels = Reels(encoder, name_of)
    for index in (0, 1):
        film(reels, [index])
        assert encoder.begun.acquire(timeout=10), "a paused run's videos would be missing until it goes on"
    reels.close(drain=True)


def test_batches_that_leave_no_room_for_another_are_encoded_before_their_time(
    encoder: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_GATHERED_BYTES", 3 * STEPS * 16)
    encoder.go.release(2)
    reels = Reels(encoder, name_of, clock=Clock())
    film(reels, [0])
    assert encoder.begun.acquire(timeout=10)
    film(reels, [1, 2])
    assert encoder.begun.acquire(timeout=10)
    reels.close(drain=True)


def test_whoever_adds_more_than_may_wait_waits_for_the_encoder(
    encoder: Noting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_GATHERED_BYTES", STEPS * 16)
    reels = Reels(encoder, name_of, clock=Clock())
    film(reels, [0])
    assert encoder.begun.acquire(timeout=10)
    film(reels, [1])
    third = threading.Thread(target=film, args=(reels, [2]), daemon=True)
    third.start()

    third.join(0.05)
    assert third.is_alive()

    encoder.go.release(3)
    third.join(10)
    reels.close(drain=True)
    assert encoder.calls == [["v0.mp4"], ["v1.mp4"], ["v2.mp4"]]


def test_what_encoding_met_with_is_raised_where_a_batch_is_added(encoder: Noting) -> None:
    def fail(_: Sequence[int]) -> None:
        raise PermanentError("VideoFailed", "no")

    encoder.go.release()
    reels = Reels(encoder, name_of, fail)
    film(reels, [0])
    reels.close(drain=True)

    with pytest.raises(PermanentError, match="VideoFailed"):
        film(reels, [1])


def test_what_waits_is_given_up_where_nobody_wants_it(encoder: Noting) -> None:
    reels = Reels(encoder, name_of, clock=Clock())
    film(reels, [0])
    assert encoder.begun.acquire(timeout=10)
    film(reels, [1])
    encoder.go.release(2)
    reels.close(drain=False)

    assert encoder.calls == [["v0.mp4"]]


def test_a_batch_that_begins_again_drops_what_it_had(encoder: Noting) -> None:
    encoder.go.release(2)
    reels = Reels(encoder, name_of)
    film(reels, [0, 1], steps=1)
    film(reels, [0])
    reels.close(drain=True)

    assert encoder.calls == [["v0.mp4"]]
    assert encoder.frames[0].shape == (1, STEPS, 4, 4, 1)
