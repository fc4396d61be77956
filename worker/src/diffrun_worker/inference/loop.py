"""The generation loop: prediction, guidance, forces, scheduler step, drift, callback.

It is pure: it reads no file, writes none and speaks to nobody. Whoever wants to keep what passes gives it a callback.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.inference.config import InferenceConfig
from diffrun_worker.inference.result import FrameCallback, SampleResult
from diffrun_worker.inference.user_code import UserCode


class Generation:
    """A configuration held against a checkpoint, ready to draw any of its samples in any batches."""

    seed: int
    """Sample i is seeded `seed + i`; drawn once where the configuration names none."""
    timesteps: tuple[int, ...]
    """The training timestep of each step, descending."""

    def __init__(
        self,
        model: Any,
        scheduler: Any,
        config: InferenceConfig,
        ckpt_info: CheckpointInfo,
        *,
        user_code: UserCode | None = None,
    ) -> None:
        """Takes what `load_unet`, `build_scheduler` and `load_checkpoint` give.

        Raises PermanentError: `UnknownClass`, `UnknownForce`, `UnknownDrift`, `UnknownPreset`, `InvalidParams`,
        `UserCodeForbidden`, `UserCodeFailed`.
        """
        raise NotImplementedError

    def draw(self, indexes: Sequence[int], frame_callback: FrameCallback | None = None) -> Tensor:
        """The samples of one batch, [N, C, H, W] in about [-1, 1], on the model's device."""
        raise NotImplementedError


def generate_batch(
    model: Any,
    scheduler: Any,
    config: InferenceConfig,
    ckpt_info: CheckpointInfo,
    indexes: Sequence[int],
    frame_callback: FrameCallback | None = None,
    user_code: UserCode | None = None,
) -> Tensor:
    """The samples `indexes` of a run, denoised together: [N, C, H, W] in about [-1, 1]."""
    raise NotImplementedError


def generate_sample(
    model: Any,
    scheduler: Any,
    config: InferenceConfig,
    ckpt_info: CheckpointInfo,
    frame_callback: FrameCallback | None = None,
    index: int = 0,
    user_code: UserCode | None = None,
) -> SampleResult:
    """One sample and every state on the way to it."""
    raise NotImplementedError
