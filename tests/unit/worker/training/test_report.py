"""What a training says: rates over the time of training alone, and estimates that follow from them."""

from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts.params import Train as TrainParams
from diffrun_worker.testing import RecordingContext
from diffrun_worker.training.config import resolve
from diffrun_worker.training.readback import StepRow
from diffrun_worker.training.report import Report


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def told(tmp_path: Path) -> tuple[Report, RecordingContext, Clock]:
    config = resolve(TrainParams.model_validate({"preset": "digits", "batchSize": 10}), run_seed=0)
    ctx, clock = RecordingContext(tmp_path), Clock()
    return Report(config, 100, ctx, clock), ctx, clock


def last(ctx: RecordingContext, name: str) -> Any:
    return [point for point in ctx.points if point.name == name][-1]


def row(step: int, loss: float = 1.0) -> StepRow:
    return StepRow(step, loss, 2.0, pause=False, stop=False)


def test_points_wait_for_one_another_and_lose_nothing(told: tuple[Report, RecordingContext, Clock]) -> None:
    report, ctx, clock = told
    report.add(row(0))
    report.add(row(1))
    assert ctx.points == []
    clock.now += 1.0
    report.add(row(2))
    assert [point.step for point in ctx.points if point.name == "train/loss"] == [0, 1, 2]
    assert ctx.progressed == [(3, 100)]


def test_images_per_second_leave_pauses_out(told: tuple[Report, RecordingContext, Clock]) -> None:
    report, ctx, clock = told
    clock.now += 500.0  # a pause, a grid or a checkpoint
    report.resume_clock()
    for step in range(4):
        clock.now += 0.5
        report.add(row(step))
    assert last(ctx, "train/images_per_second").value == pytest.approx(10 / 0.5)


def test_the_time_left_follows_from_the_steps_left(told: tuple[Report, RecordingContext, Clock]) -> None:
    report, ctx, clock = told
    for step in range(20):
        clock.now += 2.0
        report.add(row(step))
    assert last(ctx, "train/eta_seconds").value == pytest.approx(80 * 2.0)


def test_the_last_step_is_told_at_once(told: tuple[Report, RecordingContext, Clock]) -> None:
    report, ctx, _ = told
    report.add(row(99))
    assert last(ctx, "train/loss").step == 99


def test_the_final_loss_is_the_mean_of_the_last_hundred(told: tuple[Report, RecordingContext, Clock]) -> None:
    report, _, _ = told
    assert report.final_loss is None
    for step in range(150):
        report.add(row(step, loss=float(step)))
    assert report.final_loss == pytest.approx(sum(range(50, 150)) / 100)
