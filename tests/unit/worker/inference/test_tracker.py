"""The tracker against ways whose lengths are known, and what it leaves."""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from diffrun_worker.block import Point
from diffrun_worker.inference import aggregates, tracker
from diffrun_worker.inference.aggregates import LATENT_L2, PIXEL_DELTA, Aggregate, Thinned, Video
from diffrun_worker.inference.result import FrameData
from diffrun_worker.inference.tracker import Tracker

TIMESTEPS, SCHEDULE = (999, 500, 1), (0.01, 0.5, 0.99)


class Clock:
    """Says the time that it was told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def frame(indexes: Sequence[int], step: int, previous: Tensor, latent: Tensor) -> FrameData:
    return FrameData(
        indexes=indexes,
        t=TIMESTEPS[step],
        t_index=step,
        total_steps=3,
        previous=previous,
        latent=latent,
        model_output=latent,
        class_idx=0,
        null_class=1,
    )


def level(value: float, count: int = 1) -> Tensor:
    """A state of one value, [count, 1, 2, 2]."""
    return torch.full((count, 1, 2, 2), float(value))


def walk(
    tracked: Tracker, indexes: Sequence[int], levels: Sequence[float], clock: Clock | None = None, steps: int = 3
) -> None:
    """Goes from level to level; each step takes a second."""
    tracked.begin(indexes)
    for step in range(steps):
        if clock is not None:
            clock.now += 1
        tracked.record(frame(indexes, step, level(levels[step], len(indexes)), level(levels[step + 1], len(indexes))))


def series(points: Sequence[Point], name: str, index: int) -> list[tuple[int, float]]:
    return [(p.step, p.value) for p in points if p.name == name and p.labels.get("sample_index") == index]


def test_every_metric_equals_its_formula(tmp_path: Path) -> None:
    points: list[Point] = []
    clock = Clock()
    with Tracker(tmp_path, TIMESTEPS, SCHEDULE, publish=points.extend, clock=clock) as tracked:
        walk(tracked, [0, 1], [3.0, 0.0, 0.5, -0.5], clock)

    # ‖·‖₂ of four equal values is twice one; 3 and 0 look like white and grey, u = 1 and 0.5.
    assert series(points, "infer/latent_l2", 1) == [(0, 6.0), (1, 1.0), (2, 2.0)]
    assert series(points, "infer/cumulative_l2", 1) == [(0, 6.0), (1, 7.0), (2, 9.0)]
    assert series(points, "infer/l2_velocity", 1) == [(0, 0.0), (1, -5.0), (2, 1.0)]
    assert series(points, "infer/pixel_delta", 1) == [(0, 0.5), (1, 0.25), (2, 0.5)]
    assert [(p.step, p.value) for p in points if p.name == "infer/schedule"] == list(enumerate(SCHEDULE))
    times = [(p.step, p.value) for p in points if p.name == "infer/generation_time"]
    assert times == [(0, 1.5), (1, 1.5)]  # three seconds, two samples


def test_live_points_come_before_the_batch_is_done(tmp_path: Path) -> None:
    points: list[Point] = []
    clock = Clock()
    with Tracker(tmp_path, TIMESTEPS, SCHEDULE, publish=points.extend, clock=clock) as tracked:
        walk(tracked, [0], [0, 1, 2, 3], clock, steps=2)

    assert [step for step, _ in series(points, "infer/latent_l2", 0)] == [0, 1]
    assert tracked.aggregate.count == 0


def test_a_batch_that_begins_again_in_halves_is_told_and_counted_once(tmp_path: Path) -> None:
    points: list[Point] = []
    clock = Clock()
    with Tracker(tmp_path, TIMESTEPS, SCHEDULE, publish=points.extend, clock=clock) as tracked:
        walk(tracked, [0, 1], [0, 1, 2, 3], clock, steps=2)
        walk(tracked, [0], [0, 1, 2, 3], clock)
        walk(tracked, [1], [0, 1, 2, 3], clock)

    for index in (0, 1):
        assert series(points, "infer/cumulative_l2", index) == [(0, 2.0), (1, 4.0), (2, 6.0)]
    assert tracked.aggregate.count == 2
    assert len((tmp_path / "metrics" / "0000_steps.csv").read_text().splitlines()) == 1 + 6


def test_a_batch_that_runs_out_of_memory_after_its_last_step_is_counted_once(tmp_path: Path) -> None:
    points: list[Point] = []
    with Tracker(tmp_path, TIMESTEPS, SCHEDULE, publish=points.extend, clock=Clock()) as tracked:
        walk(tracked, [0, 1], [0, 1, 2, 3])
        walk(tracked, [0], [0, 1, 2, 3])
        walk(tracked, [1], [0, 1, 2, 3])

    assert tracked.aggregate.count == 2
    assert [point.step for point in points if point.name == "infer/generation_time"] == [0, 1]
    for file, rows in (("0000_steps.csv", 6), ("0000_videos.csv", 2)):
        assert len((tmp_path / "metrics" / file).read_text().splitlines()) == 1 + rows


def test_csv_and_json_hold_what_was_measured(tmp_path: Path) -> None:
    with Tracker(tmp_path, TIMESTEPS, SCHEDULE, shard=2, shards=3, clock=Clock()) as tracked:
        walk(tracked, [7], [3.0, 0.0, 0.5, -0.5])

    with (tmp_path / "metrics" / "0002_steps.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[1] == {
        "sample_index": "7",
        "step": "1",
        "timestep": "500",
        "latent_l2": "1.0",
        "cumulative_l2": "7.0",
        "l2_velocity": "-5.0",
        "pixel_delta": "0.25",
        "schedule": "0.5",
    }
    videos = (tmp_path / "metrics" / "0002_videos.csv").read_text().splitlines()
    assert videos == ["sample_index,generation_time,total_l2,total_pixel_delta", "7,0.0,9.0,1.25"]
    document = json.loads((tmp_path / "metrics" / "0002_metrics.json").read_text())
    assert document["samples"] == 1
    assert document["curves"]["latent_l2"] == [[6.0, 1.0, 2.0]]


def test_a_shard_that_is_tried_again_writes_its_files_anew(tmp_path: Path) -> None:
    for _ in range(2):
        with Tracker(tmp_path, TIMESTEPS, SCHEDULE) as tracked:
            walk(tracked, [0], [0, 1, 2, 3])

    assert len((tmp_path / "metrics" / "0000_steps.csv").read_text().splitlines()) == 4


def test_a_thread_that_fails_is_heard_in_the_loop(tmp_path: Path) -> None:
    def fail(points: list[Point]) -> None:
        raise OSError("no journal")

    def loop() -> None:
        with Tracker(tmp_path, TIMESTEPS, SCHEDULE, publish=fail) as tracked:
            walk(tracked, [0], [0, 1, 2, 3])

    with pytest.raises(OSError, match="no journal"):
        loop()


def test_a_step_of_a_batch_that_was_not_begun_is_refused(tmp_path: Path) -> None:
    def loop() -> None:
        with Tracker(tmp_path, TIMESTEPS, SCHEDULE) as tracked:
            tracked.begin([0])
            tracked.record(frame([1], 0, level(0), level(1)))

    with pytest.raises(ValueError, match="begin"):
        loop()


def test_whoever_asked_hears_of_each_finished_sample(tmp_path: Path) -> None:
    heard: list[tuple[int, Video]] = []
    clock = Clock()
    with Tracker(tmp_path, TIMESTEPS, SCHEDULE, on_sample=lambda *sample: heard.append(sample), clock=clock) as tracked:
        walk(tracked, [4, 5], [0, 1, 2, 3], clock)

    assert heard == [(4, Video(1.5, 6.0, 0.5)), (5, Video(1.5, 6.0, 0.5))]
    assert tracked.generation_times == {4: 1.5, 5: 1.5}


def fill(aggregate: Aggregate, indexes: Sequence[int]) -> Aggregate:
    for index in indexes:
        aggregate.add(index, np.array([[index, 1.0, 2.0], [0.5, 0.25, 0.125]]), generation_time=float(index))
    return aggregate


def make() -> Aggregate:
    return Aggregate(TIMESTEPS, SCHEDULE)


def test_means_are_exact_over_all_samples_though_only_some_curves_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aggregates, "MAX_CURVES", 16)
    aggregate = fill(make(), range(1000))

    assert aggregate.mean(LATENT_L2).tolist() == [499.5, 1.0, 2.0]
    assert aggregate.mean(PIXEL_DELTA).tolist() == [0.5, 0.25, 0.125]
    kept = aggregate.curves(LATENT_L2)[:, 0].tolist()
    assert kept == list(range(0, 1000, 64))


def test_memory_is_the_same_for_ten_and_for_a_thousand_samples() -> None:
    few, many = fill(make(), range(aggregates.MAX_CURVES)), fill(make(), range(aggregates.MAX_VIDEOS + 1))

    assert len(many.curves(LATENT_L2)) <= len(few.curves(LATENT_L2))
    assert len(many.videos()) <= aggregates.MAX_VIDEOS


@given(st.lists(st.integers(0, 3), min_size=1, max_size=200), st.permutations(range(4)))
def test_shards_merge_into_what_one_would_have_kept(shards: list[int], order: list[int]) -> None:
    whole: Thinned[int] = Thinned(10)
    parts = [Thinned[int](10) for _ in range(4)]
    for index, shard in enumerate(shards):
        whole.add(index, index)
        parts[shard].add(index, index)

    merged: Thinned[int] = Thinned(10)
    for shard in order:
        merged.update(parts[shard])

    assert (merged.stride, merged.kept) == (whole.stride, whole.kept)


def test_an_aggregate_survives_json_and_merges_after_it() -> None:
    halves = [fill(make(), range(0, 5)), fill(make(), range(5, 10))]
    merged = make()
    for half in halves:
        merged.update(Aggregate.from_dict(json.loads(json.dumps(half.to_dict()))))

    assert merged.to_dict() == fill(make(), range(10)).to_dict()


def test_other_schedules_are_not_merged() -> None:
    with pytest.raises(ValueError, match="different schedules"):
        make().update(Aggregate((1, 0), (0.1, 0.2)))


def test_an_aggregate_without_samples_has_no_mean() -> None:
    assert all(math.isnan(value) for value in make().mean(LATENT_L2))
    assert make().curves(PIXEL_DELTA).shape == (0, 3)


def test_the_names_of_the_metrics_are_those_of_the_documents() -> None:
    names = {value for name, value in vars(tracker).items() if name.startswith("METRIC_")}
    documented = ("latent_l2", "cumulative_l2", "l2_velocity", "pixel_delta", "schedule", "generation_time")
    assert names == {f"infer/{name}" for name in documented}
