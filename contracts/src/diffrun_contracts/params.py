"""The parameters of each block type: one model serves the CRD's schema, the operator and the worker."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field
from pydantic.config import JsonDict

from diffrun_contracts.base import Model

REPO_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}/[A-Za-z0-9][A-Za-z0-9._-]{0,95}$"
REVISION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$"
PATH_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,254}$"
_NO_PARENT: JsonDict = {
    "x-kubernetes-validations": [{"rule": "!self.contains('..')", "message": "must not contain '..'"}]
}

WorkspacePath = Annotated[
    str,
    Field(max_length=255, pattern=PATH_PATTERN, json_schema_extra=_NO_PARENT),
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

    name: SamplerName = SamplerName.DDIM
    """The scheduler, by its diffusers class name without `Scheduler`."""
    steps: int = Field(default=10, ge=1, le=1000)
    """Inference steps. Heun and PNDM call the UNet more often than this."""
    eta: float = Field(default=0.0, ge=0.0, le=1.0)
    """DDIM's η (Song et al. 2020, eq. 16): 0 is deterministic. Other schedulers take 0 only."""
    timestep_spacing: TimestepSpacing | None = None
    """Overrides the spacing in the checkpoint's scheduler configuration."""


class SecretKeyRef(Model):
    """One key of a Secret in the run's own namespace."""

    name: str = Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    """The Secret's name."""
    key: str = Field(default="token", min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    """The key within the Secret."""


class DownloadCheckpoint(Model):
    """Fetches a diffusers checkpoint from the Hugging Face Hub into the workspace's cache."""

    repo: str = Field(max_length=193, pattern=REPO_PATTERN)
    """The repository, `owner/name`."""
    revision: str = Field(default="main", max_length=128, pattern=REVISION_PATTERN)
    """Branch, tag or commit; resolved to a commit once, which is then used throughout."""
    require_commit: bool = False
    """Refuse a revision that is not a full 40-digit commit."""
    token_secret: SecretKeyRef | None = None
    """A Secret with an access token, for a gated or private repository."""


class _Generate(Model):
    """What both generation blocks share."""

    sampler: Sampler = Sampler()
    """The scheduler and its steps."""
    dtype: DType = DType.FLOAT32
    """The UNet's floating-point type."""
    model_path: WorkspacePath | None = None
    """A model in the workspace; by default the `model_path` output of a block this one depends on."""


class GeneratePreview(_Generate):
    """Generates a few samples for review; sample i is seeded `seed + i`."""

    samples: int = Field(default=2, ge=1, le=1000)
    """How many samples."""
    batch_size: int = Field(default=2, ge=1, le=1024)
    """Samples denoised together; never changes an image."""


class GenerateFull(_Generate):
    """Generates the full batch; sample i is seeded `seed + seedOffset + i`."""

    samples: int = Field(default=16, ge=1, le=1_000_000)
    """How many samples, over all shards."""
    batch_size: int = Field(default=4, ge=1, le=1024)
    """Samples denoised together; never changes an image."""
    seed_offset: int = Field(default=1000, ge=1, le=1_000_000_000)
    """Keeps the full batch's seeds apart from the preview's; at least the number of preview samples."""


class Custom(Model):
    """Runs a block of another package, found by its entry point in the group `diffrun.blocks`."""

    type: str = Field(min_length=1, max_length=63, pattern=r"^[A-Za-z][A-Za-z0-9._-]*$")
    """The entry point's name."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Handed to the block as they are; the block validates them."""


BlockParams = DownloadCheckpoint | GeneratePreview | GenerateFull | Custom

BLOCK_TYPES: dict[str, type[Model]] = {
    "downloadCheckpoint": DownloadCheckpoint,
    "generatePreview": GeneratePreview,
    "generateFull": GenerateFull,
    "custom": Custom,
}
"""Block types by the field of a block that selects them."""

COMPUTING_TYPES = frozenset({"generatePreview", "generateFull"})
"""The types that get the installation's default number of GPUs; the others get none unless asked."""

SHARDABLE_TYPES = frozenset({"generatePreview", "generateFull", "custom"})
"""The types whose work can be split over the pods of an Indexed Job."""
