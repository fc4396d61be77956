"""Whole configurations by name: those of the sample manifests, and of the digits.

What a preset does not fix is left out here, and takes the default of `diffrun_worker.training.config`, unless a
comment says why not.
"""

from collections.abc import Mapping

from diffrun_contracts.params import Sampler, SamplerName, Train
from diffrun_contracts.params.dataset import Cifar10, Dataset, Digits
from diffrun_contracts.params.train import (
    BetaSchedule,
    Checkpointing,
    Diffusion,
    Ema,
    LearningRateSchedule,
    ModelName,
    Optimizer,
    Preset,
    SampleGrid,
    TimestepSampling,
    TrainModel,
)

CIFAR10_PATH = "datasets/cifar-10-batches-bin"
"""Where the presets look for CIFAR-10 in the workspace, under the name of the folder that its archive unpacks to."""

LINEAR_1000 = Diffusion(timesteps=1000, beta_schedule=BetaSchedule.LINEAR, beta_start=1e-4, beta_end=0.02)
"""The process of Ho et al. 2020, which every preset uses."""

DDIM_50 = Sampler(name=SamplerName.DDIM, steps=50, eta=0.0)

DIGITS_UNET = {
    "block_out_channels": [32, 64, 64],
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
    "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
    "layers_per_block": 1,
    "attention_head_dim": 8,
    "norm_num_groups": 32,
    "sample_size": 16,
}
"""1.1 million parameters for 16×16; what a conditional one adds is one embedding a class."""

_POKEMON_64 = Train.model_construct(
    model=TrainModel(name=ModelName.DDPM_64),
    diffusion=LINEAR_1000,
    batch_size=32,
    epochs=1000,
    optimizer=Optimizer(learning_rate=2e-4, schedule=LearningRateSchedule.COSINE, warmup_steps=500, max_grad_norm=1.0),
    ema=Ema(decay=0.9999, warmup=False),
    sample_grid=SampleGrid(every_epochs=10, sampler=DDIM_50),
    # Weights, their average and two moments take 0.9 GB: more than an epoch of a few hundred images should write.
    checkpoint=Checkpointing(every_epochs=10),
)

_CIFAR10_E1 = Train.model_construct(
    model=TrainModel(name=ModelName.UNET_CIFAR32),
    data=Dataset(cifar10=Cifar10(path=CIFAR10_PATH)),
    diffusion=LINEAR_1000,
    batch_size=4,
    steps=10_000,
    seed=1077,
    # Warmed up, for a batch of 4 is noisy; constant, for the baseline is a short one.
    optimizer=Optimizer(learning_rate=2e-4, schedule=LearningRateSchedule.CONSTANT, warmup_steps=500),
    # Nor the decay: 0.9999 from the first step on would leave 37 % of the random weights after 10,000 steps.
    ema=Ema(decay=0.9999, warmup=True),
    sample_grid=SampleGrid(every_steps=1000, samples=64, seed=0, sampler=Sampler(name=SamplerName.DDPM, steps=50)),
    checkpoint=Checkpointing(every_steps=1000),
)

_CIFAR10_64 = Train.model_construct(
    model=TrainModel(name=ModelName.ENHANCED_UNET_64),
    data=Dataset(cifar10=Cifar10(path=CIFAR10_PATH), image_size=64),
    diffusion=LINEAR_1000,
    batch_size=64,
    # A hundred passes are what its 14 million parameters can use.
    epochs=100,
    optimizer=Optimizer(learning_rate=2e-4, schedule=LearningRateSchedule.COSINE, warmup_steps=0, max_grad_norm=1.0),
    sample_grid=SampleGrid(every_epochs=1, sampler=DDIM_50),
)

# Measured: what draws the best digits within half an hour on one core.
_DIGITS = Train.model_construct(
    model=TrainModel(name=ModelName.UNET2D, config=DIGITS_UNET),
    data=Dataset(digits=Digits(), image_size=16),
    diffusion=LINEAR_1000.model_copy(update={"min_snr_gamma": 5.0, "timestep_sampling": TimestepSampling.STRATIFIED}),
    batch_size=128,
    steps=1800,
    optimizer=Optimizer(
        learning_rate=2e-3,
        schedule=LearningRateSchedule.COSINE,
        warmup_steps=540,
        weight_decay=1e-4,
        max_grad_norm=1.0,
    ),
    ema=Ema(decay=0.995, warmup=True),
    sample_grid=SampleGrid(every_steps=300, samples=20, sampler=DDIM_50),
    checkpoint=Checkpointing(every_steps=200),
)

PRESETS: Mapping[Preset, Train] = {
    Preset.POKEMON_64: _POKEMON_64,
    Preset.CIFAR10_E1: _CIFAR10_E1,
    Preset.CIFAR10_64: _CIFAR10_64,
    Preset.DIGITS: _DIGITS,
}
