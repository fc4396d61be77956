"""How each sample moves: measured on the device while it is denoised, told live, and kept as CSV and JSON.

Of the states x before and after step i (drift included), with the number of channels and pixels n = C·H·W:

    latent L2       ℓ_i = ‖x_after − x_before‖₂
    cumulative L2   Λ_i = Σ_{j ≤ i} ℓ_j                          the length of the way so far
    L2 velocity     v_i = ℓ_i − ℓ_{i−1}, v_0 = 0                 above 0 the sample speeds up, below it slows down
    pixel delta     p_i = (1/n) Σ |u_after − u_before|           u = clamp(x/2 + 1/2, 0, 1), what a viewer sees
    schedule        ᾱ at the step's timestep
    generation time seconds of the batch from its first step to its last, divided by its samples

Only ℓ and p are computed on the device, into a buffer whose rows travel to the host without anybody waiting; a thread
derives the rest, tells it and writes it.
"""

import csv
import json
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffrun_worker.block import Point
from diffrun_worker.inference.aggregates import LATENT_L2, PIXEL_DELTA, Aggregate, Floats, Video
from diffrun_worker.inference.output import metrics_name
from diffrun_worker.inference.result import FrameData
from diffrun_worker.sampling.transfer import Arrival, begin_copy, host_buffer
from diffrun_worker.side import Lane
from diffrun_worker.workspace import Workspace

METRIC_LATENT_L2 = "infer/latent_l2"
METRIC_CUMULATIVE_L2 = "infer/cumulative_l2"
METRIC_L2_VELOCITY = "infer/l2_velocity"
METRIC_PIXEL_DELTA = "infer/pixel_delta"
METRIC_SCHEDULE = "infer/schedule"
METRIC_GENERATION_TIME = "infer/generation_time"

STEPS_CSV = "steps.csv"
VIDEOS_CSV = "videos.csv"
METRICS_JSON = "metrics.json"
STEP_COLUMNS = (
    "sample_index",
    "step",
    "timestep",
    "latent_l2",
    "cumulative_l2",
    "l2_velocity",
    "pixel_delta",
    "schedule",
)
VIDEO_COLUMNS = ("sample_index", "generation_time", "total_l2", "total_pixel_delta")

FLUSH_SECONDS = 0.1
"""A row waits no longer than this for the next one: live for people, and no burden on a fast loop."""
_MAX_PENDING_BYTES = 16 * 2**20

Publish = Callable[[list[Point]], None]
OnSample = Callable[[int, Video], None]
"""Called on the tracker's thread with a finished sample's number and totals."""


@dataclass(frozen=True)
class _Rows:
    """Rows of one batch that are on their way to the host."""

    indexes: Sequence[int]
    first: int
    values: Tensor  # [steps of these rows, 2, N] on the host
    arrival: Arrival
    started: float
    ended: float | None
    """None on a GPU, where the rows' arrival tells."""


def derive(latent_l2: Floats) -> tuple[Floats, Floats]:
    """Cumulative L2 and velocity of latent L2, over the first axis: steps."""
    return np.cumsum(latent_l2, axis=0), np.diff(latent_l2, axis=0, prepend=latent_l2[:1])


class Tracker:
    """The metrics of one shard: `begin` before each batch, `record` as the loop's callback.

    Leaving its context writes the files and raises what failed; after an exception nothing more is written.
    """

    def __init__(
        self,
        folder: Path,
        timesteps: Sequence[int],
        schedule: Sequence[float],
        *,
        shard: int = 0,
        shards: int = 1,
        publish: Publish | None = None,
        on_sample: OnSample | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`folder` is the class's own; `timesteps` and `schedule` (ᾱ) are those of each step."""
        self.aggregate = Aggregate(timesteps, schedule)
        """Filled by the thread: read it after the context."""
        self.generation_times: dict[int, float] = {}
        """Seconds by sample number; filled by the thread too."""
        self._folder = folder
        self._publish = publish or (lambda _: None)
        self._on_sample = on_sample or (lambda _index, _video: None)
        self._clock = clock
        self._metrics_json = metrics_name(shard, shards, METRICS_JSON)
        self._paths = [folder / metrics_name(shard, shards, name) for name in (STEPS_CSV, VIDEOS_CSV)]
        self._paths[0].parent.mkdir(parents=True, exist_ok=True)
        self._batch: _Batch | None = None
        self._told: dict[int, int] = {}  # sample -> steps that its points are out for
        self._schedule_told = False
        self._values = np.empty((2, 0, 0))  # [2, T, N] of the batch whose rows arrive
        for path, columns in zip(self._paths, (STEP_COLUMNS, VIDEO_COLUMNS), strict=True):
            path.write_text(",".join(columns) + "\n")
        self._lane = Lane("tracker", _MAX_PENDING_BYTES)

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lane.close(drain=error is None)
        if error is None:
            self._lane.raise_failure()
            document = json.dumps(self.aggregate.to_dict(), separators=(",", ":")).encode()
            Workspace(str(self._folder)).write(self._metrics_json, document)

    def begin(self, indexes: Sequence[int]) -> None:
        """A batch is about to be denoised. One that ran out of memory may begin again in halves."""
        self._batch = _Batch(tuple(indexes), self._clock())

    def record(self, frame: FrameData) -> None:
        """Measures one step. Never waits for the device. Raises what the thread met with."""
        batch = self._batch
        if batch is None or batch.indexes != tuple(frame.indexes):
            raise ValueError("begin() the batch before its first step")
        rows = batch.measure(frame, self._clock)
        if rows is not None:
            size = rows.values.numel() * rows.values.element_size()
            self._lane.put(partial(self._take, rows), size)

    def _take(self, rows: _Rows) -> None:
        rows.arrival.wait()
        seconds = (self._clock() if rows.ended is None else rows.ended) - rows.started
        values = rows.values.double().numpy().transpose(1, 0, 2)
        steps, end = self.aggregate.steps, rows.first + values.shape[1]
        if rows.first == 0:
            self._values = np.zeros((2, steps, len(rows.indexes)))
        self._values[:, rows.first : end] = values
        points = self._points(rows.indexes, rows.first, end)
        if end == steps:
            points += self._finish(rows.indexes, seconds / len(rows.indexes))
        self._publish(points)

    def _points(self, indexes: Sequence[int], first: int, end: int) -> list[Point]:
        """The points of the steps first…end − 1, but for those that are out already."""
        latent_l2 = self._values[LATENT_L2, :end]
        cumulative, velocity = derive(latent_l2)
        columns = (
            (METRIC_LATENT_L2, latent_l2),
            (METRIC_CUMULATIVE_L2, cumulative),
            (METRIC_L2_VELOCITY, velocity),
            (METRIC_PIXEL_DELTA, self._values[PIXEL_DELTA, :end]),
        )
        points = self._schedule_points()
        for row, index in enumerate(indexes):
            # A batch that ran out of memory starts again in halves: what is out stays out, once.
            for step in range(max(first, self._told.get(index, 0)), end):
                labels = {"step": step, "sample_index": index}
                points += [Point(name, float(column[step, row]), step, labels) for name, column in columns]
            self._told[index] = max(end, self._told.get(index, 0))
        return points

    def _schedule_points(self) -> list[Point]:
        """ᾱ is the same for every sample: one line, told once."""
        if self._schedule_told:
            return []
        self._schedule_told = True
        return [
            Point(METRIC_SCHEDULE, alpha, step, {"step": step}) for step, alpha in enumerate(self.aggregate.schedule)
        ]

    def _finish(self, indexes: Sequence[int], seconds: float) -> list[Point]:
        """The last rows of a batch are here: `seconds` is each of its samples' share."""
        # A batch may run out of memory after its last step too; what it has counted is not counted again.
        rows = [(row, index) for row, index in enumerate(indexes) if index not in self.generation_times]
        videos = []
        for row, index in rows:
            video = self.aggregate.add(index, self._values[:, :, row].copy(), seconds)
            videos.append((index, _short(seconds), _short(video.total_l2), _short(video.total_pixel_delta)))
            self.generation_times[index] = seconds
            self._told.pop(index, None)
            self._on_sample(index, video)
        self._append(self._paths[0], self._step_rows(rows))
        self._append(self._paths[1], videos)
        return [Point(METRIC_GENERATION_TIME, seconds, index, {"sample_index": index}) for _, index in rows]

    def _step_rows(self, rows: Iterable[tuple[int, int]]) -> Iterable[tuple[Any, ...]]:
        latent_l2, pixel_delta = self._values
        cumulative, velocity = derive(latent_l2)
        schedule = [_short(alpha) for alpha in self.aggregate.schedule]
        for row, index in rows:
            columns = [map(_short, column[:, row]) for column in (latent_l2, cumulative, velocity, pixel_delta)]
            steps = zip(self.aggregate.timesteps, *columns, schedule, strict=True)
            yield from ((index, step, *numbers) for step, numbers in enumerate(steps))

    @staticmethod
    def _append(path: Path, rows: Iterable[tuple[Any, ...]]) -> None:
        with path.open("a", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)


class _Batch:
    """The buffers of a batch that is being denoised."""

    def __init__(self, indexes: tuple[int, ...], started: float) -> None:
        self.indexes = indexes
        self._started = started
        self._sent = 0
        self._sent_at = started
        self._buffer: Tensor | None = None  # [T, 2, N] on the device
        self._host: Tensor | None = None

    def measure(self, frame: FrameData, clock: Callable[[], float]) -> _Rows | None:
        """Measures a step; gives rows where it is time to send some."""
        step = frame.t_index
        if self._buffer is None or self._host is None:
            shape = (frame.total_steps, 2, len(self.indexes))
            self._buffer = torch.empty(shape, dtype=frame.latent.dtype, device=frame.latent.device)
            self._host = host_buffer(self._buffer)
        buffer = self._buffer
        torch.linalg.vector_norm(frame.delta.flatten(1), dim=1, out=buffer[step, LATENT_L2])
        change = (decoded(frame.latent) - decoded(frame.previous)).abs_()
        torch.mean(change, dim=(1, 2, 3), out=buffer[step, PIXEL_DELTA])
        end, now = step + 1, clock()
        if end < frame.total_steps and now - self._sent_at < FLUSH_SECONDS:
            return None
        first, self._sent, self._sent_at = self._sent, end, now
        begin_copy(self._host[first:end], buffer[first:end])
        ended = now if buffer.device.type == "cpu" else None
        return _Rows(self.indexes, first, self._host[first:end], Arrival(buffer.device), self._started, ended)


def decoded(latent: Tensor) -> Tensor:
    """A state in [-1, 1] as intensities in 0…1: what a viewer sees, before it is rounded to 8 bits."""
    return torch.clamp(latent / 2 + 0.5, 0, 1)


def _short(value: float) -> float:
    """Nine digits: all that float32 has."""
    return float(f"{value:.9g}")
