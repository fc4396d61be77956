"""Learning rate and decay of the average, as functions of the step alone: nothing to save, nothing to replay."""

import math

from diffrun_contracts.params.train import LearningRateSchedule
from diffrun_worker.training.config import EmaConfig, OptimizerConfig


def learning_rate(config: OptimizerConfig, step: int, total: int) -> float:
    """The learning rate of step `step` (from 0) of `total`.

    Warm-up: η · (step + 1) / warm-up steps. Then η, or with cosine annealing down to 0 (Loshchilov & Hutter 2017,
    eq. 5, one cycle): η/2 · (1 + cos(π · (step − warm-up) / (total − warm-up))).
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    if config.schedule is LearningRateSchedule.CONSTANT:
        return peak
    return peak / 2 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


def ema_decay(config: EmaConfig, step: int) -> float:
    """The weight that the average keeps at step `step` (from 0).

    With warm-up min(decay, (1 + n) / (10 + n)) after n = step + 1 updates, so that the random first weights are soon
    forgotten.
    """
    if not config.warmup:
        return config.decay
    return min(config.decay, (2 + step) / (11 + step))
