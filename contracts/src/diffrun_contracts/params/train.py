"""The parameters of `train`.

Whatever is unset takes the preset's value, or without a preset the default that its description names: a default
here would be filled in by the API server, and could then not be told from what the user asked for.
"""

from enum import StrEnum
from typing import Any

from pydantic import ConfigDict, Field, model_validator

from diffrun_contracts.base import Model, cel
from diffrun_contracts.params.common import Sampler, WorkspacePath
from diffrun_contracts.params.dataset import Dataset


class ModelName(StrEnum):
    """The architectures that can be trained, by name."""

    DDPM_64 = "ddpm-64"
    UNET_CIFAR32 = "unet-cifar32"
    ENHANCED_UNET_64 = "enhanced-unet-64"
    UNET2D = "unet2d"


class BetaSchedule(StrEnum):
    """How βₜ grows, by diffusers' names."""

    LINEAR = "linear"
    SCALED_LINEAR = "scaled_linear"
    COSINE = "squaredcos_cap_v2"


class TimestepSampling(StrEnum):
    """How the timesteps of a batch are drawn."""

    UNIFORM = "uniform"
    """Independently of each other."""
    STRATIFIED = "stratified"
    """One from each of as many equal parts as there are images: the same mean, less variance."""


class LearningRateSchedule(StrEnum):
    """What the learning rate does after its warm-up."""

    COSINE = "cosine"
    CONSTANT = "constant"


class Precision(StrEnum):
    """What the forward and backward passes compute in; weights and optimiser stay float32."""

    AUTO = "auto"
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


class Preset(StrEnum):
    """Whole configurations: three for the fixed networks, on Pokémon and CIFAR-10, and one that needs no download."""

    POKEMON_64 = "pokemon-64"
    CIFAR10_E1 = "cifar10-e1"
    CIFAR10_64 = "cifar10-64"
    DIGITS = "digits"


_CONFIG_OF_ITS_OWN = "model.config, model.conditional: only unet2d takes them; the other architectures are fixed"


class TrainModel(Model):
    """Which network is trained."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("self.name == 'unet2d' || (!has(self.config) && !has(self.conditional))", _CONFIG_OF_ITS_OWN)
        )
    )

    name: ModelName
    """The architecture."""
    config: dict[str, Any] | None = None
    """For `unet2d`: the configuration of diffusers' UNet2DModel, by its own keys."""
    conditional: bool | None = None
    """Give the network the class of each image, and a null class besides (`unet2d` only). Off by default."""

    @model_validator(mode="after")
    def _fixed_architecture(self) -> "TrainModel":
        if self.name is not ModelName.UNET2D and (self.config is not None or self.conditional is not None):
            raise ValueError(_CONFIG_OF_ITS_OWN)
        return self


class Diffusion(Model):
    """The forward process and the objective (Ho et al. 2020)."""

    timesteps: int | None = Field(default=None, ge=2, le=10_000)
    """K, the number of training timesteps. 1000 by default."""
    beta_schedule: BetaSchedule | None = None
    """Linear by default."""
    beta_start: float | None = Field(default=None, gt=0, lt=1)
    """β₁. 1e-4 by default."""
    beta_end: float | None = Field(default=None, gt=0, lt=1)
    """β_K. 0.02 by default."""
    min_snr_gamma: float | None = Field(default=None, gt=0, le=1000)
    """γ of the Min-SNR weighting (Hang et al. 2023); unset for the plain mean squared error."""
    timestep_sampling: TimestepSampling | None = None
    """Uniform by default."""


class Optimizer(Model):
    """AdamW and what surrounds it."""

    learning_rate: float | None = Field(default=None, gt=0, le=1)
    """The peak learning rate. 2e-4 by default."""
    schedule: LearningRateSchedule | None = None
    """Cosine annealing to 0 over the whole training by default."""
    warmup_steps: int | None = Field(default=None, ge=0, le=1_000_000_000)
    """Steps of the linear warm-up. 500 by default, 0 for none."""
    weight_decay: float | None = Field(default=None, ge=0, le=1)
    """AdamW's decoupled weight decay. 0.01 by default."""
    max_grad_norm: float | None = Field(default=None, ge=0, le=1_000_000)
    """Gradients are clipped to this norm. 1.0 by default, 0 for no clipping."""


class Ema(Model):
    """The exponential moving average of the weights, updated at every step."""

    decay: float | None = Field(default=None, ge=0, lt=1)
    """0.9999 by default."""
    warmup: bool | None = None
    """Let the decay grow as min(decay, (1 + step) / (10 + step)). Off by default."""


class SampleGrid(Model):
    """The grids of samples that are drawn with the averaged weights during training."""

    every_epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    """A grid each so many epochs, and one at the end. 10 by default, where `everySteps` is unset."""
    every_steps: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """A grid each so many steps, and one at the end."""
    samples: int | None = Field(default=None, ge=1, le=256)
    """Images of a grid. 16 by default."""
    seed: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """Sample i is seeded `seed + i`. 0 by default."""
    sampler: Sampler | None = None
    """DDIM with 50 steps by default."""


class Checkpointing(Model):
    """When the training state is saved, besides at the end and at SIGTERM."""

    every_epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    """A checkpoint each so many epochs. 1 by default, where `everySteps` is unset."""
    every_steps: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """A checkpoint each so many steps."""
    keep: int | None = Field(default=None, ge=1, le=1000)
    """The newest so many are kept. 2 by default."""


_ONE_LENGTH = "epochs, steps: set one of them; both say how long to train"
_ONE_SHARE = "workers: batchSize is shared out between them, so it must be a multiple of workers"
_SOMETHING = "model, data: a preset brings them; without preset both are needed"


class Train(Model):
    """Trains a model; its averaged weights become the `model_path` of what follows."""

    model_config = ConfigDict(
        json_schema_extra=cel(
            ("!has(self.epochs) || !has(self.steps)", _ONE_LENGTH),
            ("!has(self.batchSize) || self.batchSize % self.workers == 0", _ONE_SHARE),
            ("has(self.preset) || (has(self.model) && has(self.data))", _SOMETHING),
        )
    )

    preset: Preset | None = None
    """Whole configurations by name; whatever else is set here overrides them."""
    model: TrainModel | None = None
    """Which network; the preset's by default."""
    data: Dataset | None = None
    """Which images; the preset's by default, where it names some."""
    diffusion: Diffusion | None = None
    """The forward process and the objective."""
    optimizer: Optimizer | None = None
    """AdamW, its schedule and the clipping."""
    ema: Ema | None = None
    """The averaged weights."""
    batch_size: int | None = Field(default=None, ge=1, le=65_536)
    """Images a step, over all workers. 32 by default."""
    epochs: int | None = Field(default=None, ge=1, le=1_000_000)
    """Passes over the data; either this or `steps`. 1000 by default."""
    steps: int | None = Field(default=None, ge=1, le=1_000_000_000)
    """Optimiser steps; either this or `epochs`."""
    seed: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """Of the first weights, the order of the data and the noise; the run's seed by default."""
    precision: Precision | None = None
    """`auto` by default: bfloat16 where the device computes in it."""
    compile: bool | None = None
    """Compile the network with torch.compile. Off by default."""
    class_dropout: float | None = Field(default=None, ge=0, lt=1)
    """How often a conditional model is shown the null class instead (Ho & Salimans 2022). 0.1 by default."""
    sample_grid: SampleGrid | None = None
    """Grids of samples during training."""
    checkpoint: Checkpointing | None = None
    """When the training state is saved."""
    resume: WorkspacePath | None = None
    """A checkpoint of another run to go on from. A restarted pod resumes its own by itself."""
    workers: int = Field(default=1, ge=1, le=64)
    """Pods that train together, data-parallel; `batchSize` is shared out between them."""

    @model_validator(mode="after")
    def _coherent(self) -> "Train":
        if self.epochs is not None and self.steps is not None:
            raise ValueError(_ONE_LENGTH)
        if self.batch_size is not None and self.batch_size % self.workers:
            raise ValueError(_ONE_SHARE)
        if self.preset is None and (self.model is None or self.data is None):
            raise ValueError(_SOMETHING)
        return self
