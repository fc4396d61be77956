"""What the parameters of several block types share: paths, repositories, samplers, number formats."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, model_validator

from diffrun_contracts.base import Model, cel

REPO_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
REVISION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$"
PATH_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$"

WorkspacePath = Annotated[
    str,
    Field(
        max_length=255,
        pattern=PATH_PATTERN,
        json_schema_extra=cel(("!self.contains('..')", "must not contain '..'")),
    ),
]
"""A path below the workspace's root, never absolute and never upwards."""


class SamplerName(StrEnum):
    """The diffusers schedulers that diffrun is tested with, by class name without `Scheduler`."""

    DDIM = "DDIM"
    DDPM = "DDPM"
    PNDM = "PNDM"
    EULER_DISCRETE = "EulerDiscrete"
    EULER_ANCESTRAL_DISCRETE = "EulerAncestralDiscrete"
    HEUN_DISCRETE = "HeunDiscrete"
    DPM_SOLVER_MULTISTEP = "DPMSolverMultistep"
    DEIS_MULTISTEP = "DEISMultistep"
    UNI_PC_MULTISTEP = "UniPCMultistep"


class TimestepSpacing(StrEnum):
    """How a scheduler spreads its steps over the training timesteps (Lin et al. 2023, table 2)."""

    LEADING = "leading"
    TRAILING = "trailing"
    LINSPACE = "linspace"


class DType(StrEnum):
    """The floating-point type of the UNet; the scheduler's arithmetic is at least float32."""

    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"


class Sampler(Model):
    """Which scheduler denoises, and in how many steps."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.eta == 0.0 || self.name == 'DDIM'", "eta: only the DDIM sampler takes an eta other than 0")
        )
    )

    name: SamplerName = SamplerName.DDIM
    """The scheduler, by its diffusers class name without `Scheduler`."""
    steps: int = Field(default=10, ge=1, le=1000)
    """Inference steps. Heun and PNDM call the UNet more often than this."""
    eta: float = Field(default=0.0, ge=0.0, le=1.0)
    """DDIM's η (Song et al. 2020, eq. 16): 0 is deterministic. Other schedulers take 0 only."""
    timestep_spacing: TimestepSpacing | None = None
    """Overrides the spacing in the checkpoint's scheduler configuration."""

    @model_validator(mode="before")
    @classmethod
    def _of_another_default(cls, data: Any) -> Any:
        """Takes a sampler whose defaults are another block's; what was left out of it takes the defaults here."""
        return data.model_dump(exclude_unset=True) if isinstance(data, Sampler) and type(data) is not cls else data


class FiftyStepSampler(Sampler):
    """Which scheduler denoises, and in how many steps: DDIM and 50 by default."""

    steps: int = Field(default=50, ge=1, le=1000)
    """Inference steps."""


class FiftyStepDDPM(FiftyStepSampler):
    """Which scheduler denoises, and in how many steps: DDPM and 50 by default."""

    name: SamplerName = SamplerName.DDPM
    """The scheduler, by its diffusers class name without `Scheduler`."""


class SecretKeyRef(Model):
    """One key of a Secret in the run's own namespace."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """The Secret's name."""
    key: str = Field(default="token", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """The key within the Secret."""
