import io
import queue
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image

from diffrun_worker.errors import PermanentError
from diffrun_worker.sampling.images import ImageWriter, Indexed, encode_png, to_pixels


def test_samples_are_rounded_as_diffusers_rounds_them() -> None:
    values = torch.tensor([-2.0, -1.0, -0.5, 0.0, 0.003, 1.0, 7.0])
    expected = ((values / 2 + 0.5).clamp(0, 1).numpy() * 255).round().astype("uint8")
    assert to_pixels(values.reshape(1, 1, 1, 7)).flatten().tolist() == expected.tolist()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_png_holds_the_very_pixels(channels: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, channels), dtype=np.uint8)
    encoded = encode_png(pixels)
    read = np.asarray(Image.open(io.BytesIO(encoded.data))).reshape(5, 7, channels)
    assert (encoded.width, encoded.height) == (7, 5)
    np.testing.assert_array_equal(read, pixels)


def test_images_are_saved_in_the_order_of_the_samples_off_the_callers_thread() -> None:
    saved: list[tuple[int, str]] = []

    def save(images: Sequence[Indexed]) -> None:
        for index, image in images:
            saved.append((index, threading.current_thread().name))
            assert image.data.startswith(b"\x89PNG")

    with ImageWriter(save) as writer:
        for start in (10, 14):
            writer.put(range(start, start + 4), torch.zeros(4, 1, 8, 8))
    assert [index for index, _ in saved] == list(range(10, 18))
    assert {name for _, name in saved} == {"save"}


def test_the_first_images_are_saved_at_once_and_those_of_the_next_moments_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("diffrun_worker.sampling.images._SAVE_SECONDS", 1000)
    saved: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    with ImageWriter(lambda images: saved.put([index for index, _ in images])) as writer:
        writer.put(range(2), torch.zeros(2, 1, 8, 8))
        assert saved.get(timeout=10) == [0, 1]
        for start in (2, 4):
            writer.put(range(start, start + 2), torch.zeros(2, 1, 8, 8))
        assert saved.empty()
    assert saved.get(timeout=10) == [2, 3, 4, 5]


def test_images_that_nothing_follows_are_saved_when_their_moment_has_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffrun_worker.sampling.images._SAVE_SECONDS", 0.05)
    saved: queue.SimpleQueue[list[int]] = queue.SimpleQueue()
    with ImageWriter(lambda images: saved.put([index for index, _ in images])) as writer:
        for start in (0, 2):
            writer.put(range(start, start + 2), torch.zeros(2, 1, 8, 8))
            assert saved.get(timeout=10) == [start, start + 1], (
                "a paused run's images would be missing until it goes on"
            )


def test_what_saving_meets_with_reaches_the_caller_and_nothing_more_is_saved() -> None:
    saved: list[int] = []
    begun = threading.Event()

    def save(images: Sequence[Indexed]) -> None:
        begun.set()
        if images[0].sample == 2:
            raise PermanentError("DiskFull", "no room")
        saved.extend(index for index, _ in images)

    def write() -> None:
        with ImageWriter(save) as writer:
            for start in (0, 2, 4):
                writer.put(range(start, start + 2), torch.zeros(2, 1, 8, 8))
                assert begun.wait(10)

    with pytest.raises(PermanentError, match="no room"):
        write()
    assert saved == [0, 1]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith(("save", "encode"))]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_sample_that_is_not_finite_is_an_error_and_no_image(value: float) -> None:
    samples = torch.zeros(2, 1, 4, 4)
    samples[1, 0, 2, 2] = value
    saved: list[int] = []
    with (
        pytest.raises(PermanentError, match="NonFiniteSample: sample 8 holds NaN or infinity"),
        ImageWriter(lambda images: saved.extend(index for index, _ in images)) as writer,
    ):
        writer.put(range(7, 9), samples)
    assert saved == [7]


def test_a_slow_disk_holds_the_loop_back_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffrun_worker.sampling.images._MAX_WAITING", 2)
    begun, gate, saved = threading.Event(), threading.Event(), []

    def save(images: Sequence[Indexed]) -> None:
        begun.set()
        assert gate.wait(10)
        saved.extend(index for index, _ in images)

    put = threading.Event()

    def feed(writer: ImageWriter) -> None:
        for index in range(1, 4):
            writer.put([index], torch.zeros(1, 1, 2, 2))
        put.set()

    with ImageWriter(save) as writer:
        writer.put([0], torch.zeros(1, 1, 2, 2))
        assert begun.wait(10)
        feeder = threading.Thread(target=feed, args=(writer,))
        feeder.start()
        assert not put.wait(0.2)  # one is being saved, two may wait: the last finds no room
        gate.set()
        assert put.wait(10)
        feeder.join()
    assert saved == [0, 1, 2, 3]
