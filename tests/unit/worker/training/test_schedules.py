"""Learning rate and decay against torch's own schedules and values computed by hand."""

import math

import pytest
import torch

from diffrun_contracts.params.train import LearningRateSchedule
from diffrun_worker.training.config import EmaConfig, OptimizerConfig
from diffrun_worker.training.schedules import ema_decay, learning_rate


def config(warmup: int, schedule: LearningRateSchedule = LearningRateSchedule.COSINE) -> OptimizerConfig:
    return OptimizerConfig(
        learning_rate=2e-4, schedule=schedule, warmup_steps=warmup, weight_decay=0.01, max_grad_norm=1.0
    )


def test_the_warm_up_is_a_line_that_no_step_spends_at_zero() -> None:
    rates = [learning_rate(config(4), step, 100) for step in range(4)]
    assert rates == pytest.approx([5e-5, 1e-4, 1.5e-4, 2e-4])


def test_after_the_warm_up_a_half_cosine_falls_to_zero() -> None:
    assert learning_rate(config(500), 500, 2500) == pytest.approx(2e-4)
    assert learning_rate(config(500), 1500, 2500) == pytest.approx(1e-4)  # half way
    assert learning_rate(config(500), 2000, 2500) == pytest.approx(1e-4 * (1 + math.cos(0.75 * math.pi)))
    assert 0 < learning_rate(config(500), 2499, 2500) < 1e-9


def test_without_warm_up_it_is_torchs_cosine_annealing() -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-4)
    annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        assert learning_rate(config(0), step, 50) == pytest.approx(annealing.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        annealing.step()


def test_a_constant_rate_stays() -> None:
    constant = config(10, LearningRateSchedule.CONSTANT)
    assert [learning_rate(constant, step, 100) for step in (9, 10, 99)] == [2e-4] * 3


def test_the_decay_is_constant_unless_it_is_warmed_up() -> None:
    assert [ema_decay(EmaConfig(0.9999, warmup=False), step) for step in (0, 1, 10**6)] == [0.9999] * 3


def test_a_warmed_up_decay_forgets_the_first_weights_soon() -> None:
    warm = EmaConfig(0.995, warmup=True)
    assert [ema_decay(warm, step) for step in (0, 1, 89)] == pytest.approx([2 / 11, 3 / 12, 0.91])
    assert ema_decay(warm, 10_000) == 0.995
