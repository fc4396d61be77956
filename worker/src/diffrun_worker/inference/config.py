"""The configuration of the Python interface: the block's own, with what only a run without a cluster needs.

Each part of it can be read and written by itself.
"""

import secrets
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field, model_validator

from diffrun_contracts.params import Sampler
from diffrun_contracts.params import infer as block
from diffrun_worker.errors import invalid_params
from diffrun_worker.inference.serialization import Serializable

_STEPS = ("num_inference_steps", "numInferenceSteps")

_SEED_LIMIT = 2**31


class CaptureConfig(Serializable, block.CaptureConfig):
    """What is kept of the way from noise to image."""

    place: ClassVar[str] = "capture"


class VideoConfig(Serializable, block.VideoConfig):
    """The MP4 of a sample's steps."""

    place: ClassVar[str] = "video"


class DriftConfig(Serializable, block.DriftConfig):
    """What is done to the state after each scheduler step."""

    place: ClassVar[str] = "drift"


class ForceConfig(Serializable, block.ForceConfig):
    """What is done to the predicted noise before each scheduler step."""

    place: ClassVar[str] = "force"


class EnvironmentConfig(Serializable, block.EnvironmentConfig):
    """Where it runs; by default what the machine has."""

    place: ClassVar[str] = "env"


class InferenceConfig(Serializable, block.InferenceConfig):
    """The parameters of the block `infer`, a checkpoint's folder and a folder for what comes out.

    `num_inference_steps=20` may be given for `sampler.steps`, and `total_videos` for `total`.
    """

    place: ClassVar[str] = "infer"

    checkpoint_path: str | None = None
    """A checkpoint's folder, or a folder of checkpoints, of which the newest is taken. Where it is unset a run by hand
    takes `model_path`, from the current folder."""
    output_dir: str = "output"
    """The folder that the output tree is written to."""
    capture: CaptureConfig = CaptureConfig()
    """What is kept of each sample's steps."""
    video: VideoConfig = VideoConfig()
    """The MP4 files."""
    drift: DriftConfig = DriftConfig()
    """What is done to the state."""
    force: ForceConfig = Field(default_factory=ForceConfig, validate_default=True)
    """What is done to the predicted noise."""
    env: EnvironmentConfig = EnvironmentConfig()
    """Where it runs."""

    @model_validator(mode="before")
    @classmethod
    def _steps_by_their_other_name(cls, data: Any) -> Any:
        given = [key for key in _STEPS if isinstance(data, Mapping) and key in data]
        if not given:
            return data
        sampler = data.get("sampler", {})
        if isinstance(sampler, Sampler):
            sampler = sampler.model_dump(exclude_unset=True)
        if len(given) > 1 or not isinstance(sampler, Mapping) or "steps" in sampler:
            raise ValueError(f"{given[0]}: give this or sampler.steps, not both")
        rest = {key: value for key, value in data.items() if key not in _STEPS}
        return {**rest, "sampler": {**sampler, "steps": data[given[0]]}}

    @model_validator(mode="after")
    def _one_checkpoint(self) -> "InferenceConfig":
        if self.checkpoint_path is not None and self.model_path is not None:
            raise ValueError("model_path: give this or checkpoint_path, not both")
        return self

    @property
    def num_inference_steps(self) -> int:
        """`sampler.steps`."""
        return self.sampler.steps


def drawn_seed() -> int:
    """A seed where nobody has named one."""
    return secrets.randbelow(_SEED_LIMIT)


def with_seed(config: InferenceConfig, world_size: int = 1) -> InferenceConfig:
    """The configuration with a seed for the whole run, drawn here where it has none.

    Raises PermanentError `InvalidParams` where several processes would each draw one of their own.
    """
    if config.seed is not None:
        return config
    if world_size > 1:
        raise invalid_params(
            f"seed: {world_size} processes share this run, and each would draw a seed of its own; "
            "give the same seed to all"
        )
    return config.model_copy(update={"seed": drawn_seed()})
