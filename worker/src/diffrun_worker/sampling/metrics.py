"""The three metrics of a denoising trajectory, for every sample at every UNet call.

Noise level and SNR are constants of the schedule and known beforehand. The mean squared prediction is
computed on the device into a buffer; rows travel to pinned memory without anybody waiting, and a thread
publishes them once they have arrived.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Thread
from types import TracebackType

import torch
from torch import Tensor

from diffrun_worker.block import Point
from diffrun_worker.sampling.schedules import Schedule
from diffrun_worker.sampling.transfer import Arrival, begin_copy, host_buffer

NOISE_LEVEL = "denoise/noise_level"
PREDICTED_NOISE_MSE = "denoise/predicted_noise_mse"
SNR = "denoise/snr"

FLUSH_SECONDS = 0.1
"""A row waits no longer than this for the next one: live for people, and no burden on a fast loop."""

Publish = Callable[[list[Point]], None]


@dataclass(frozen=True)
class _Rows:
    """Rows of one batch that are on their way to the host."""

    values: Tensor  # [calls of these rows, N] on the host
    first_call: int
    indexes: Sequence[int]
    arrival: Arrival


class MetricPublisher:
    """A thread that turns rows into points. Leaving its context publishes what is left and raises what failed."""

    def __init__(self, schedule: Schedule, publish: Publish) -> None:
        self._schedule = schedule
        self._publish = publish
        self._queue: SimpleQueue[_Rows | None] = SimpleQueue()
        self._failure: BaseException | None = None
        self._published: dict[int, int] = {}  # sample index -> calls that its points are out for
        self._thread = Thread(target=self._work, name="metrics", daemon=True)

    def __enter__(self) -> "MetricPublisher":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queue.put(None)
        self._thread.join()
        if error is None:
            self.raise_failure()

    def raise_failure(self) -> None:
        """Raises what the thread met with."""
        if self._failure is not None:
            raise self._failure

    def put(self, rows: _Rows) -> None:
        """Hands over rows. Never blocks."""
        self.raise_failure()
        self._queue.put(rows)

    def _work(self) -> None:
        try:
            while (rows := self._queue.get()) is not None:
                rows.arrival.wait()
                points = self._points(rows)
                if points:
                    self._publish(points)
        except BaseException as error:  # noqa: BLE001 - handed to the loop's thread, which raises it
            self._failure = error

    def _points(self, rows: _Rows) -> list[Point]:
        if rows.first_call == 0:  # samples come in ascending order: those before this batch are complete
            self._published = {index: out for index, out in self._published.items() if index >= rows.indexes[0]}
        points: list[Point] = []
        for call, values in enumerate(rows.values.tolist(), rows.first_call):
            level, snr = self._schedule.noise_levels[call], self._schedule.snrs[call]
            for index, mse in zip(rows.indexes, values, strict=True):
                # A batch that ran out of memory starts again in halves: what is out stays out, once.
                if self._published.get(index, 0) > call:
                    continue
                self._published[index] = call + 1
                labels = {"step": call, "sample_index": index}
                points.append(Point(NOISE_LEVEL, level, call, labels))
                points.append(Point(PREDICTED_NOISE_MSE, mse, call, labels))
                points.append(Point(SNR, snr, call, labels))
        return points


class BatchMetrics:
    """The metrics of one batch: give `record` to the loop's callback."""

    def __init__(
        self,
        publisher: MetricPublisher,
        schedule: Schedule,
        indexes: Sequence[int],
        device: torch.device,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._publisher = publisher
        self._schedule = schedule
        self._indexes = indexes
        self._clock = clock
        self._buffer = torch.empty(schedule.calls, len(indexes), device=device)
        self._host = host_buffer(self._buffer)
        self._sent = 0
        self._sent_at = clock()

    def record(self, call: int, model_input: Tensor, output: Tensor) -> None:
        """Measures one UNet call, [N, C, H, W] each; sends rows off when it is time. Never waits."""
        noise = self._schedule.predicted_noise(call, model_input, output)
        torch.mean(noise.square(), dim=(1, 2, 3), dtype=torch.float32, out=self._buffer[call])
        now = self._clock()
        if call + 1 == self._schedule.calls or now - self._sent_at >= FLUSH_SECONDS:
            self._send(call + 1)
            self._sent_at = now

    def _send(self, end: int) -> None:
        rows = slice(self._sent, end)
        begin_copy(self._host[rows], self._buffer[rows])
        arrival = Arrival(self._buffer.device)
        self._publisher.put(_Rows(self._host[rows], self._sent, self._indexes, arrival))
        self._sent = end
