"""The parameters of `train` become a configuration in which nothing is unset.

Each value is the user's, else the preset's, else the default. Two fields that exclude each other (`epochs` and
`steps`, `everyEpochs` and `everySteps`) are one choice: whoever sets either has made it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from diffrun_contracts.base import Model
from diffrun_contracts.params import Sampler, SamplerName, Train
from diffrun_contracts.params.dataset import Dataset
from diffrun_contracts.params.train import (
    BetaSchedule,
    Checkpointing,
    Diffusion,
    Ema,
    LearningRateSchedule,
    ModelName,
    Optimizer,
    Precision,
    SampleGrid,
    TimestepSampling,
    TrainModel,
)
from diffrun_worker.errors import invalid_params
from diffrun_worker.training.presets import PRESETS

Group = TypeVar("Group", bound=Model)


@dataclass(frozen=True)
class Cadence:
    """How often something happens: exactly one of the two is set."""

    epochs: int | None = None
    """Each so many epochs."""
    steps: int | None = None
    """Each so many steps."""

    def in_steps(self, steps_per_epoch: int) -> int:
        """The same in steps."""
        return self.steps if self.steps is not None else (self.epochs or 1) * steps_per_epoch


@dataclass(frozen=True)
class DiffusionConfig:
    """The forward process and the objective."""

    timesteps: int
    beta_schedule: BetaSchedule
    beta_start: float
    beta_end: float
    min_snr_gamma: float | None
    """None for the plain mean squared error."""
    timestep_sampling: TimestepSampling


@dataclass(frozen=True)
class OptimizerConfig:
    """AdamW, its schedule and the clipping."""

    learning_rate: float
    schedule: LearningRateSchedule
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    """0 for no clipping."""


@dataclass(frozen=True)
class EmaConfig:
    """The averaged weights."""

    decay: float
    warmup: bool


@dataclass(frozen=True)
class GridConfig:
    """Sample grids during training."""

    every: Cadence
    samples: int
    seed: int
    sampler: Sampler


@dataclass(frozen=True)
class CheckpointConfig:
    """Saving the training state."""

    every: Cadence
    keep: int


@dataclass(frozen=True)
class TrainConfig:
    """Everything that a training depends on, beside the data themselves."""

    model: ModelName
    model_config: Mapping[str, Any] | None
    """For `unet2d`: diffusers' own keys."""
    conditional: bool
    data: Dataset
    diffusion: DiffusionConfig
    optimizer: OptimizerConfig
    ema: EmaConfig
    batch_size: int
    """Over all workers."""
    length: Cadence
    """The whole training."""
    seed: int
    precision: Precision
    compile: bool
    class_dropout: float
    """0 for a model without classes."""
    grid: GridConfig
    checkpoint: CheckpointConfig
    resume: str | None
    """A workspace-relative folder."""
    workers: int


DEFAULTS = Train.model_construct(
    diffusion=Diffusion(
        timesteps=1000,
        beta_schedule=BetaSchedule.LINEAR,
        beta_start=1e-4,
        beta_end=0.02,
        timestep_sampling=TimestepSampling.UNIFORM,
    ),
    optimizer=Optimizer(
        learning_rate=2e-4,
        schedule=LearningRateSchedule.COSINE,
        warmup_steps=500,
        weight_decay=0.01,
        max_grad_norm=1.0,
    ),
    ema=Ema(decay=0.9999, warmup=False),
    batch_size=32,
    epochs=1000,
    precision=Precision.AUTO,
    compile=False,
    class_dropout=0.1,
    sample_grid=SampleGrid(every_epochs=10, samples=16, seed=0, sampler=Sampler(name=SamplerName.DDIM, steps=50)),
    checkpoint=Checkpointing(every_epochs=1, keep=2),
)
"""What holds where neither the user nor the preset says anything."""


def resolve(params: Train, run_seed: int) -> TrainConfig:
    """Fills in the preset's values and the defaults.

    Raises PermanentError `InvalidParams` where the data are named by nobody.
    """
    layers = [params, *([PRESETS[params.preset]] if params.preset is not None else []), DEFAULTS]
    model = _merge_model(layers)
    data = _first(layers, "data")
    if data is None:
        raise invalid_params(
            f"data: the preset {params.preset} brings no images of its own; set one source, "
            "for example data.imageFolder.path"
        )
    conditional = bool(model.conditional)
    seed = _first(layers, "seed")
    return TrainConfig(
        model=model.name,
        model_config=model.config,
        conditional=conditional,
        data=data,
        diffusion=_diffusion(layers),
        optimizer=OptimizerConfig(**_fields(_merge(layers, "optimizer", Optimizer))),
        ema=EmaConfig(**_fields(_merge(layers, "ema", Ema))),
        batch_size=_first(layers, "batch_size"),
        length=_cadence(layers, "epochs", "steps"),
        seed=run_seed if seed is None else seed,
        precision=_first(layers, "precision"),
        compile=_first(layers, "compile"),
        class_dropout=_first(layers, "class_dropout") if conditional else 0.0,
        grid=_grid(layers),
        checkpoint=_checkpoint(layers),
        resume=params.resume,
        workers=params.workers,
    )


def _diffusion(layers: Sequence[Train]) -> DiffusionConfig:
    return DiffusionConfig(**_fields(_merge(layers, "diffusion", Diffusion)))


def _grid(layers: Sequence[Train]) -> GridConfig:
    groups = [layer.sample_grid for layer in layers if layer.sample_grid is not None]
    every = _cadence(groups, "every_epochs", "every_steps")
    return GridConfig(every, _first(groups, "samples"), _first(groups, "seed"), _first(groups, "sampler"))


def _checkpoint(layers: Sequence[Train]) -> CheckpointConfig:
    groups = [layer.checkpoint for layer in layers if layer.checkpoint is not None]
    return CheckpointConfig(_cadence(groups, "every_epochs", "every_steps"), _first(groups, "keep"))


def _merge_model(layers: Sequence[Train]) -> TrainModel:
    """The user's model; of the preset's, where it is the same architecture, whatever the user left out."""
    models = [layer.model for layer in layers if layer.model is not None]
    chosen = models[0]  # the contract: without a preset the user names one
    for lower in models[1:]:
        if lower.name is chosen.name:
            chosen = _over(chosen, lower)
    return chosen


def _merge(layers: Sequence[Train], group: str, kind: type[Group]) -> Group:
    """One group of parameters, field by field."""
    merged = kind()
    for layer in layers:
        values = getattr(layer, group)
        if values is not None:
            merged = _over(merged, values)
    return merged


def _over(upper: Group, lower: Group) -> Group:
    """`upper`, with `lower`'s values where it has none."""
    missing = {name: value for name, value in _fields(lower).items() if getattr(upper, name) is None}
    return upper.model_copy(update=missing)


def _fields(group: Model) -> dict[str, Any]:
    return {name: getattr(group, name) for name in type(group).model_fields}


def _first(layers: Sequence[Model], name: str) -> Any:
    return next((value for layer in layers if (value := getattr(layer, name)) is not None), None)


def _cadence(layers: Sequence[Model], epochs: str, steps: str) -> Cadence:
    """The first layer that sets either decides; where it sets both, steps do."""
    for layer in layers:
        if getattr(layer, steps) is not None:
            return Cadence(steps=getattr(layer, steps))
        if getattr(layer, epochs) is not None:
            return Cadence(epochs=getattr(layer, epochs))
    raise ValueError(f"neither {epochs} nor {steps} has a default")
