"""The parameters of `downloadCheckpoint`, `generatePreview` and `generateFull`."""

from pydantic import ConfigDict, Field

from diffrun_contracts.base import Model, cel
from diffrun_contracts.params.common import (
    REPO_PATTERN,
    REVISION_PATTERN,
    DType,
    Sampler,
    SecretKeyRef,
    WorkspacePath,
)


class DownloadCheckpoint(Model):
    """Fetches a diffusers checkpoint from the Hugging Face Hub into the workspace's cache."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            (
                "!self.requireCommit || self.revision.matches('^[0-9a-f]{40}$')",
                "revision: requireCommit is set, so this must be a full 40-digit commit",
            )
        )
    )

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
