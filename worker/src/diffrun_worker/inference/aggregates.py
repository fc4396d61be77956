"""What the charts need of any number of samples, in memory that does not grow with them.

Sums are exact over all samples. Quantiles come from whole curves of some: those whose number is a multiple of a
stride, which doubles whenever too many are kept. Samples differ by their seeds alone, so that every stride is a fair
choice; and two shards, whatever strides they have come to, merge into what one would have kept.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Value = TypeVar("Value")

MAX_CURVES = 512
"""Curves kept: enough for a 5 % quantile that is right to a few percent of rank."""
MAX_CURVE_VALUES = 250_000
"""Values kept of one metric: with 1000 steps 250 curves."""
MAX_VIDEOS = 4096
"""Samples whose totals are kept."""

LATENT_L2, PIXEL_DELTA = 0, 1
"""Rows of a curve; cumulative L2 and velocity follow from the first."""


@dataclass(frozen=True)
class Video:
    """One sample in three numbers."""

    generation_time: float
    """Seconds."""
    total_l2: float
    """Σ of its steps' latent L2: the length of its way."""
    total_pixel_delta: float
    """Σ of its steps' pixel delta."""


def capacity(steps: int) -> int:
    """How many curves of so many steps are kept."""
    return max(16, min(MAX_CURVES, MAX_CURVE_VALUES // steps))


@dataclass
class Thinned(Generic[Value]):
    """Values by sample number; of too many, those whose number is a multiple of `stride`."""

    limit: int
    stride: int = 1
    kept: dict[int, Value] = field(default_factory=dict)

    def add(self, index: int, value: Value) -> None:
        """Takes a sample's value, or replaces it."""
        if index % self.stride == 0:
            self.kept[index] = value
        self._thin()

    def update(self, other: "Thinned[Value]") -> None:
        """Takes another's values."""
        self.stride = max(self.stride, other.stride)
        self.kept |= other.kept
        self.kept = {index: value for index, value in self.kept.items() if index % self.stride == 0}
        self._thin()

    def _thin(self) -> None:
        while len(self.kept) > self.limit:
            self.stride *= 2
            self.kept = {index: value for index, value in self.kept.items() if index % self.stride == 0}

    def values(self) -> list[Value]:
        """In the order of the samples."""
        return [self.kept[index] for index in sorted(self.kept)]


class Aggregate:
    """All samples' ways: exact means of each step, some whole curves, some samples' totals."""

    def __init__(self, timesteps: Sequence[int], schedule: Sequence[float]) -> None:
        """`timesteps` and `schedule` (ᾱ) of each step, descending in t."""
        self.timesteps = tuple(timesteps)
        self.schedule = tuple(schedule)
        self.count = 0
        """Samples added."""
        self._sum = np.zeros((2, self.steps))
        self._seconds = 0.0
        self._curves: Thinned[Floats] = Thinned(capacity(self.steps))
        self._videos: Thinned[Video] = Thinned(MAX_VIDEOS)

    @property
    def steps(self) -> int:
        """Steps of a way."""
        return len(self.timesteps)

    def add(self, index: int, curve: Floats, generation_time: float) -> Video:
        """Adds a sample by its number, latent L2 and pixel delta [2, T], and seconds."""
        video = Video(generation_time, *(float(total) for total in curve.sum(axis=1)))
        self.count += 1
        self._sum += curve
        self._seconds += generation_time
        self._curves.add(index, curve)
        self._videos.add(index, video)
        return video

    def update(self, other: "Aggregate") -> None:
        """Adds another shard's samples. Raises ValueError where its steps are others."""
        if (other.timesteps, other.schedule) != (self.timesteps, self.schedule):
            raise ValueError("aggregates of different schedules cannot be merged")
        self.count += other.count
        self._sum += other._sum
        self._seconds += other._seconds
        self._curves.update(other._curves)
        self._videos.update(other._videos)

    def mean(self, metric: int) -> Floats:
        """A metric's mean over all samples, at each step: [T]; NaN without samples."""
        return self._sum[metric] / self.count if self.count else np.full(self.steps, np.nan)

    def curves(self, metric: int) -> Floats:
        """The kept curves of a metric, in the order of the samples: [M, T]."""
        return np.array([curve[metric] for curve in self._curves.values()]).reshape(-1, self.steps)

    def videos(self) -> list[tuple[int, Video]]:
        """The kept samples' numbers and totals, ascending."""
        return sorted(self._videos.kept.items())

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Floats keep nine digits, which is all that float32 has."""
        return {
            "samples": self.count,
            "seconds": round(self._seconds, 6),
            "steps": {
                "timestep": list(self.timesteps),
                "schedule": list(self.schedule),
                "latent_l2_sum": self._sum[LATENT_L2].tolist(),
                "pixel_delta_sum": self._sum[PIXEL_DELTA].tolist(),
            },
            "curves": {
                "stride": self._curves.stride,
                "sample_index": sorted(self._curves.kept),
                "latent_l2": _rows(curve[LATENT_L2] for curve in self._curves.values()),
                "pixel_delta": _rows(curve[PIXEL_DELTA] for curve in self._curves.values()),
            },
            "videos": {
                "stride": self._videos.stride,
                "sample_index": sorted(self._videos.kept),
                "generation_time": [video.generation_time for video in self._videos.values()],
                "total_l2": [video.total_l2 for video in self._videos.values()],
                "total_pixel_delta": [video.total_pixel_delta for video in self._videos.values()],
            },
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Aggregate":
        """What `to_dict` gave. Raises KeyError, TypeError or ValueError for anything else."""
        steps, curves, videos = document["steps"], document["curves"], document["videos"]
        aggregate = cls(steps["timestep"], steps["schedule"])
        aggregate.count = int(document["samples"])
        aggregate._seconds = float(document["seconds"])
        aggregate._sum = np.array([steps["latent_l2_sum"], steps["pixel_delta_sum"]], np.float64)
        both = zip(curves["sample_index"], curves["latent_l2"], curves["pixel_delta"], strict=True)
        aggregate._curves.stride = int(curves["stride"])
        aggregate._curves.kept = {int(index): np.array([l2, pixel], np.float64) for index, l2, pixel in both}
        totals = zip(videos["generation_time"], videos["total_l2"], videos["total_pixel_delta"], strict=True)
        aggregate._videos.stride = int(videos["stride"])
        aggregate._videos.kept = {
            int(index): Video(*numbers) for index, numbers in zip(videos["sample_index"], totals, strict=True)
        }
        return aggregate


def _rows(curves: Iterable[Floats]) -> list[list[float]]:
    return [[float(f"{value:.9g}") for value in curve] for curve in curves]
