import math
import threading

import pytest
import torch

from diffrun_contracts.params import Sampler
from diffrun_worker.block import Point
from diffrun_worker.sampling.metrics import NOISE_LEVEL, PREDICTED_NOISE_MSE, SNR, BatchMetrics, MetricPublisher
from diffrun_worker.sampling.schedules import Schedule

CPU = torch.device("cpu")


@pytest.fixture
def schedule() -> Schedule:
    return Schedule({"beta_start": 0.0001, "beta_end": 0.02}, Sampler(steps=4))


def output(call: int) -> torch.Tensor:
    """Two samples whose mean squares are known: (call + 1)² and 4 (call + 1)²."""
    return torch.stack([torch.full((1, 2, 2), call + 1.0), torch.full((1, 2, 2), -2 * (call + 1.0))])


def test_every_call_and_sample_has_its_three_points(schedule: Schedule) -> None:
    published: list[Point] = []
    with MetricPublisher(schedule, published.extend) as publisher:
        metrics = BatchMetrics(publisher, schedule, range(7, 9), CPU)
        for call in range(4):
            metrics.record(call, output(call), output(call))
    assert len(published) == 4 * 2 * 3
    found = {(point.name, point.step, point.labels["sample_index"]): point.value for point in published}
    assert all(point.labels["step"] == point.step for point in published)
    for call in range(4):
        assert found[PREDICTED_NOISE_MSE, call, 7] == pytest.approx((call + 1) ** 2)
        assert found[PREDICTED_NOISE_MSE, call, 8] == pytest.approx(4 * (call + 1) ** 2)
        for sample in (7, 8):
            assert found[NOISE_LEVEL, call, sample] == schedule.noise_levels[call]
            assert found[SNR, call, sample] == schedule.snrs[call]


def test_slow_steps_are_published_while_the_loop_runs(schedule: Schedule) -> None:
    batches: list[list[Point]] = []
    arrived = threading.Semaphore(0)

    def publish(points: list[Point]) -> None:
        batches.append(points)
        arrived.release()

    now = iter(range(100))
    with MetricPublisher(schedule, publish) as publisher:
        metrics = BatchMetrics(publisher, schedule, range(2), CPU, clock=lambda: float(next(now)))
        for call in range(4):
            metrics.record(call, output(call), output(call))
            assert arrived.acquire(timeout=10)
            assert len(batches) == call + 1


def test_fast_steps_travel_together(schedule: Schedule) -> None:
    batches: list[list[Point]] = []
    with MetricPublisher(schedule, batches.append) as publisher:
        metrics = BatchMetrics(publisher, schedule, range(2), CPU, clock=lambda: 0.0)
        for call in range(4):
            metrics.record(call, output(call), output(call))
    assert [len(batch) for batch in batches] == [4 * 2 * 3]


def test_a_batch_that_starts_again_in_halves_repeats_no_point(schedule: Schedule) -> None:
    published: list[Point] = []
    now = iter(range(100))
    with MetricPublisher(schedule, published.extend) as publisher:
        failed = BatchMetrics(publisher, schedule, range(2), CPU, clock=lambda: float(next(now)))
        for call in range(2):
            failed.record(call, output(call), output(call))
        for index in range(2):
            half = BatchMetrics(publisher, schedule, range(index, index + 1), CPU)
            for call in range(4):
                half.record(call, output(call)[index : index + 1], output(call)[index : index + 1])
    keys = [(point.name, point.step, point.labels["sample_index"]) for point in published]
    assert len(keys) == len(set(keys)) == 4 * 2 * 3


def test_values_that_are_not_finite_are_published_as_they_are(schedule: Schedule) -> None:
    published: list[Point] = []
    with MetricPublisher(schedule, published.extend) as publisher:
        metrics = BatchMetrics(publisher, schedule, range(1), CPU)
        for call in range(4):
            metrics.record(call, torch.zeros(1, 1, 2, 2), torch.full((1, 1, 2, 2), math.nan))
    assert all(math.isnan(point.value) for point in published if point.name == PREDICTED_NOISE_MSE)


def test_what_publishing_meets_with_reaches_the_loop(schedule: Schedule) -> None:
    def publish(points: list[Point]) -> None:
        raise OSError("the journal is gone")

    def measure() -> None:
        with MetricPublisher(schedule, publish) as publisher:
            metrics = BatchMetrics(publisher, schedule, range(2), CPU)
            for call in range(4):
                metrics.record(call, output(call), output(call))

    with pytest.raises(OSError, match="the journal is gone"):
        measure()
