"""The parameters of `infer`: class-conditional generation with guidance, forces and drifts.

The same model is the inference package's own configuration.
"""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from diffrun_contracts.base import Model, cel
from diffrun_contracts.params.common import DType, FiftyStepSampler, Sampler, SamplerName, WorkspacePath

DEFAULT_GUIDANCE = 7.5
"""s where neither a scale nor a preset is given."""

PRESET_GUIDANCE = 0.0
"""s where a preset is named and no scale is given: a preset says itself where to go, and starts from ε∅."""

_ARGUMENTS_OF_NO_PRESET = "presetArgs: they belong to no preset; name one by preset"

_SAMPLERS = (SamplerName.DDIM, SamplerName.DDPM)


class LatentFormat(StrEnum):
    """The file format of captured latents; `pt` names a safetensors file, which torch users load without a pickle."""

    NPY = "npy"
    PT = "pt"


class FrameFormat(StrEnum):
    """The file format of captured frames."""

    PNG = "png"
    JPG = "jpg"


class CaptureConfig(Model):
    """What is kept of the way from noise to image."""

    save_latents: bool = False
    """The state x_t of every step."""
    save_frames: bool = True
    """An image of every step."""
    save_deltas: bool = True
    """The difference between each two steps."""
    save_video: bool = True
    """An MP4 of the steps."""
    latent_format: LatentFormat = LatentFormat.NPY
    """npy, or pt-compatible safetensors."""
    frame_format: FrameFormat = FrameFormat.PNG
    """png or jpg."""


class VideoConfig(Model):
    """The MP4 of a sample's steps."""

    fps: int = Field(default=30, ge=1, le=240)
    """Frames a second."""


class DriftConfig(Model):
    """What is done to the state after each scheduler step."""

    enabled: bool = False
    """Whether anything is."""
    function_name: Annotated[str, Field(min_length=1, max_length=63)] = "drift_default"
    """The drift, by its name in the registry."""
    scale: float = Field(default=1.0, ge=-1e6, le=1e6)
    """Magnitude."""
    decay: float = Field(default=0.99, ge=0, le=1e6)
    """Factor a step."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of the drift."""


class ForceConfig(Model):
    """What is done to the predicted noise before each scheduler step."""

    # A factory, so that the API server fills in nothing: whether a scale was given decides what a preset starts from.
    guidance_scale: float = Field(default_factory=lambda: DEFAULT_GUIDANCE, ge=0, le=1e6)
    """s of ε∅ + s (ε_c − ε∅) (Ho & Salimans 2022): 0 is unconditional, 1 conditional. 7.5 by default; 0 with a preset,
    unless it is given."""
    force_stack: list[dict[str, Any]] = Field(default_factory=list, max_length=32)
    """Forces, each with its `name` and parameters; their contributions are summed and added to the guided noise."""
    global_cfg: dict[str, Any] = Field(default_factory=dict)
    """Parameters that every force gets beside its own."""
    clip_abs: float | None = Field(default=None, gt=0, le=1e6)
    """Bounds each element of the forces' sum."""


class EnvironmentConfig(Model):
    """Where it runs; by default what the machine has."""

    device: Annotated[str, Field(max_length=32)] | None = None
    """`cpu` or `cuda:0`."""


class InferenceConfig(Model):
    """Class-conditional samples with guidance, forces and drifts."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.sampler.name in ['DDIM', 'DDPM']", "sampler.name: infer takes DDIM or DDPM"),
            ("has(self.preset) || !has(self.presetArgs)", _ARGUMENTS_OF_NO_PRESET),
        )
    )

    character: Annotated[str, Field(min_length=1, max_length=64)] = "A"
    """The target class, by its name in the checkpoint's list."""
    total: int = Field(
        default=100, ge=1, le=1_000_000, validation_alias=AliasChoices("total", "totalVideos", "total_videos")
    )
    """Samples, over all shards."""
    model_path: WorkspacePath | None = None
    """A class-conditional model in the workspace; by default the `model_path` output of a block before this one."""
    batch_size: int = Field(default=16, ge=1, le=1024)
    """Samples denoised together; never changes an image."""
    sampler: FiftyStepSampler = FiftyStepSampler()
    """DDIM or DDPM, and its steps."""
    seed: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """Sample i is seeded `seed + i`; by default the run's seed."""
    dtype: DType = DType.FLOAT32
    """The UNet's floating-point type."""
    preset: Annotated[str, Field(max_length=63)] | None = None
    """A preset force stack, by name; its forces come before those of `force.forceStack`."""
    preset_args: dict[str, Any] = Field(default_factory=dict)
    """The preset's arguments."""
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

    @property
    def total_videos(self) -> int:
        """`total`, by the name that the Python interface and the command line know it under."""
        return self.total

    @field_validator("sampler")
    @classmethod
    def _a_sampler_of_single_steps(cls, sampler: Sampler) -> Sampler:
        if sampler.name not in _SAMPLERS:
            raise ValueError(f"sampler.name: infer denoises with {' or '.join(_SAMPLERS)}; got {sampler.name}")
        return sampler

    @model_validator(mode="after")
    def _arguments_of_a_preset(self) -> "InferenceConfig":
        if self.preset is None and self.preset_args:
            raise ValueError(_ARGUMENTS_OF_NO_PRESET)
        return self

    @field_validator("force")
    @classmethod
    def _a_preset_starts_from_the_unconditional_noise(cls, force: ForceConfig, info: ValidationInfo) -> ForceConfig:
        if info.data.get("preset") is None or "guidance_scale" in force.model_fields_set:
            return force
        return force.model_copy(update={"guidance_scale": PRESET_GUIDANCE})
