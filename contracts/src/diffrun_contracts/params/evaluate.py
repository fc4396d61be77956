"""The parameters of `evaluate` and `diagnose`."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from diffrun_contracts.base import Model, cel
from diffrun_contracts.params.common import DType, FiftyStepDDPM, Sampler, WorkspacePath
from diffrun_contracts.params.dataset import Dataset

Timestep = Annotated[int, Field(ge=0, le=9999)]


class Features(StrEnum):
    """What the images are compared by. Only `inception` gives a FID; `classifier` gives a metric of another name."""

    INCEPTION = "inception"
    CLASSIFIER = "classifier"


class InceptionWeights(Model):
    """The weights of the Inception-v3 that FID is defined by (Heusel et al. 2017)."""

    model_config = ConfigDict(
        json_schema_extra=cel(("has(self.path) != has(self.url)", "weights: exactly one of path and url is needed"))
    )

    path: WorkspacePath | None = None
    """A file in the workspace; either this or `url`."""
    url: Annotated[str, Field(max_length=2048, pattern=r"^https://")] | None = None
    """Where to fetch it from; either this or `path`."""
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", max_length=64)]
    """The file's SHA-256; another file is refused."""

    @model_validator(mode="after")
    def _exactly_one_place(self) -> "InceptionWeights":
        if (self.path is None) == (self.url is None):
            raise ValueError("weights: exactly one of path and url is needed")
        return self


class Reference(Model):
    """What generated images are compared with: given statistics, or a dataset; exactly one."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("has(self.statistics) != has(self.data)", "reference: exactly one of statistics and data is needed")
        )
    )

    statistics: WorkspacePath | None = None
    """An `.npz` with `mu` and `sigma` of the same features."""
    data: Dataset | None = None
    """A dataset whose statistics are computed once, and kept in the workspace's cache."""

    @model_validator(mode="after")
    def _exactly_one_reference(self) -> "Reference":
        if (self.statistics is None) == (self.data is None):
            raise ValueError("reference: exactly one of statistics and data is needed")
        return self


_NO_WEIGHTS = "weights: Inception features need them (path or url, and sha256); or choose features: classifier"
_WEIGHTS_IN_VAIN = "weights: only Inception features have them; leave them out with features: classifier"
_NO_CLASSES = "reference.data: classifier features are learnt from a dataset with classes; statistics do not do"
_TWO_SUBJECTS = "artifacts: set at most one of modelPath, artifacts and generated; they name what is evaluated"


class Evaluate(Model):
    """Compares generated images with real ones: the Fréchet distance of their features."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.features != 'inception' || has(self.weights)", _NO_WEIGHTS),
            ("self.features != 'classifier' || !has(self.weights)", _WEIGHTS_IN_VAIN),
            ("self.features != 'classifier' || has(self.reference.data)", _NO_CLASSES),
            (
                "[has(self.modelPath), has(self.artifacts), self.generated].filter(x, x).size() <= 1",
                _TWO_SUBJECTS,
            ),
        )
    )

    samples: int | None = Field(default=None, ge=2, le=1_000_000)
    """n, how many images, reported beside the distance; by default 10,000 are drawn, or all there are taken."""
    batch_size: int = Field(default=64, ge=1, le=4096)
    """Images denoised and looked at together."""
    sampler: Sampler = Sampler()
    """How they are drawn; `{name: DDPM, steps: 50}` is DDPM with 50 function evaluations."""
    seed_offset: int = Field(default=0, ge=0, le=1_000_000_000)
    """Sample i is seeded `seed + seedOffset + i`."""
    dtype: DType = DType.FLOAT32
    """The UNet's floating-point type."""
    model_path: WorkspacePath | None = None
    """A model in the workspace; by default the `model_path` output of a block this one depends on."""
    artifacts: WorkspacePath | None = None
    """A folder of images already generated, instead of drawing some."""
    generated: bool = False
    """Take the images that a block this one depends on has generated, its `artifacts_path` output; draw none."""
    features: Features = Features.INCEPTION
    """What the images are compared by."""
    weights: InceptionWeights | None = None
    """With `features: inception`: its weights."""
    reference: Reference
    """What the images are compared with."""

    @model_validator(mode="after")
    def _possible(self) -> "Evaluate":
        if self.features is Features.INCEPTION and self.weights is None:
            raise ValueError(_NO_WEIGHTS)
        if self.features is Features.CLASSIFIER and self.weights is not None:
            raise ValueError(_WEIGHTS_IN_VAIN)
        if self.features is Features.CLASSIFIER and self.reference.data is None:
            raise ValueError(_NO_CLASSES)
        if [self.model_path is not None, self.artifacts is not None, self.generated].count(True) > 1:
            raise ValueError(_TWO_SUBJECTS)
        return self


class Diagnose(Model):
    """Looks into what a model has learnt: how it denoises at chosen timesteps, and one grid of plain samples."""

    data: Dataset
    """Real images x₀ to add noise to."""
    timesteps: list[Timestep] = Field(default=[0, 250, 500, 750, 999], min_length=1, max_length=64)
    """The timesteps t of the grids x₀ | x_t | x̂₀."""
    images: int = Field(default=8, ge=1, le=64)
    """Rows of each such grid; `diagnose/x0_mse` is over these."""
    samples: int = Field(default=64, ge=1, le=256)
    """Images of the grid of plain samples, seeded `seed + i`."""
    sampler: FiftyStepDDPM = FiftyStepDDPM()
    """How they are drawn; 50 steps of DDPM by default."""
    seed: int = Field(default=0, ge=0, le=2_147_483_647)
    """Of the noise and the samples."""
    self_test: bool = False
    """Also run the two tests of the parts: the network learns to denoise, a step with the true ε comes closer to x₀."""
    model_path: WorkspacePath | None = None
    """A model in the workspace; by default the `model_path` output of a block this one depends on."""
