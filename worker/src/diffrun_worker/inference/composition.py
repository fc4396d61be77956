"""What a configuration does to each step, held against a checkpoint: guidance, the forces' sum, the drift."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from diffrun_contracts.params.infer import InferenceConfig
from diffrun_worker.inference.classes import CheckpointInfo
from diffrun_worker.inference.drifts.bound import BoundDrift, bind_drift
from diffrun_worker.inference.forces.functions import by_class
from diffrun_worker.inference.forces.stack import Acting, ForceStack, bind_stack
from diffrun_worker.inference.guidance import guidance_classes, guide
from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.prediction import Predictions
from diffrun_worker.inference.presets import preset_stack
from diffrun_worker.inference.rows import Memory
from diffrun_worker.inference.user_code import UserCode


@dataclass(frozen=True)
class Composition:
    """Guidance towards one class, forces, and perhaps a drift."""

    class_idx: int
    """The target class."""
    guidance_scale: float
    """s."""
    forces: ForceStack
    drift: BoundDrift | None
    ckpt_info: CheckpointInfo

    @classmethod
    def of(
        cls, config: InferenceConfig, ckpt_info: CheckpointInfo, total_steps: int, user_code: UserCode
    ) -> "Composition":
        """Raises PermanentError: `UnknownClass`, `UnknownForce`, `UnknownDrift`, `UnknownPreset`, `InvalidParams`,
        `UserCodeForbidden`, `UserCodeFailed`.
        """
        force = config.force
        stack = bind_stack(list(_entries(config)), force.global_cfg, force.clip_abs, ckpt_info, total_steps, user_code)
        return cls(
            class_idx=ckpt_info.class_index(config.character),
            guidance_scale=force.guidance_scale,
            forces=stack,
            drift=bind_drift(config.drift, ckpt_info.num_train_timesteps, total_steps, user_code),
            ckpt_info=ckpt_info,
        )

    def classes(self, moment: Moment) -> tuple[int, ...]:
        """The classes that a step will need, as far as that can be known before it, each once."""
        guiding = guidance_classes(self.guidance_scale, self.class_idx, self.ckpt_info.null_class)
        return tuple(dict.fromkeys((*guiding, *self.forces.classes(moment))))

    def noise(self, moment: Moment, x_t: Tensor, predictions: Predictions, unet: Any, memory: Memory) -> Tensor:
        """ε̃ + Σ Fᵢ, [N, C, H, W]."""
        guided = guide(predictions, self.guidance_scale, self.class_idx, self.ckpt_info.null_class)
        predict = by_class(predictions, self.ckpt_info)
        acting = Acting(moment, guided, x_t, unet, self.ckpt_info, self.class_idx, predict, memory)
        total = self.forces.total(acting)
        return guided if total is None else guided + total

    def drifted(self, moment: Moment, x: Tensor, memory: Memory) -> Tensor:
        """D(x), or `x` itself without a drift."""
        return x if self.drift is None else self.drift.moved(x, moment, memory)


def _entries(config: InferenceConfig) -> Iterator[tuple[str, dict[str, Any]]]:
    """All forces with their places: the preset's first, then the stack's."""
    if config.preset is not None:
        for force in preset_stack(config.preset, config.preset_args):
            yield "presetArgs:", force
    for index, force in enumerate(config.force.force_stack):
        yield f"force.forceStack[{index}]", force
