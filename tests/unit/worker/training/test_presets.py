"""The presets are the studies' values, and nothing in a configuration is left open."""

import dataclasses
from typing import Any

import pytest

from diffrun_contracts.params import SamplerName
from diffrun_contracts.params import Train as TrainParams
from diffrun_contracts.params.train import BetaSchedule, LearningRateSchedule, ModelName, Precision, TimestepSampling
from diffrun_worker.errors import PermanentError
from diffrun_worker.training.config import Cadence, TrainConfig, resolve

POKEMON = {"imageFolder": {"path": "pokemon"}}
LINEAR = {"timesteps": 1000, "beta_schedule": BetaSchedule.LINEAR, "beta_start": 1e-4, "beta_end": 0.02}


def configured(run_seed: int = 0, **params: Any) -> TrainConfig:
    return resolve(TrainParams.model_validate(params), run_seed)


def held(group: Any, **expected: Any) -> bool:
    found = {name: getattr(group, name) for name in expected}
    return found == expected


def test_pokemon_64_is_the_ddpm_with_warm_up_cosine_and_ddim_grids_every_ten_epochs() -> None:
    config = configured(preset="pokemon-64", data=POKEMON)
    assert config.model is ModelName.DDPM_64
    assert held(config.diffusion, **LINEAR, min_snr_gamma=None, timestep_sampling=TimestepSampling.UNIFORM)
    assert config.batch_size == 32
    assert held(config.optimizer, learning_rate=2e-4, schedule=LearningRateSchedule.COSINE, warmup_steps=500)
    assert config.optimizer.max_grad_norm == 1.0
    assert held(config.ema, decay=0.9999, warmup=False)
    assert config.grid.every == Cadence(epochs=10)
    assert held(config.grid.sampler, name=SamplerName.DDIM, steps=50, eta=0.0)
    assert config.length == Cadence(epochs=1000)


def test_cifar10_e1_is_ten_thousand_steps_of_four_images_with_ddpm_grids_of_64() -> None:
    config = configured(preset="cifar10-e1")
    assert config.model is ModelName.UNET_CIFAR32
    assert config.data.cifar10 is not None
    assert held(config.diffusion, **LINEAR, min_snr_gamma=None)
    assert (config.batch_size, config.length, config.seed) == (4, Cadence(steps=10_000), 1077)
    assert held(config.optimizer, learning_rate=2e-4, schedule=LearningRateSchedule.CONSTANT, warmup_steps=500)
    assert held(config.ema, decay=0.9999, warmup=True)
    assert held(config.grid, every=Cadence(steps=1000), samples=64, seed=0)
    assert held(config.grid.sampler, name=SamplerName.DDPM, steps=50)


def test_cifar10_64_is_batches_of_64_with_plain_cosine_annealing() -> None:
    config = configured(preset="cifar10-64")
    assert config.model is ModelName.ENHANCED_UNET_64
    assert config.data.cifar10 is not None
    assert config.data.image_size == 64
    assert held(config.diffusion, **LINEAR, min_snr_gamma=None)
    assert config.batch_size == 64
    assert held(config.optimizer, learning_rate=2e-4, schedule=LearningRateSchedule.COSINE, warmup_steps=0)
    assert config.optimizer.max_grad_norm == 1.0
    assert held(config.ema, decay=0.9999, warmup=False)
    assert config.length == Cadence(epochs=100)
    assert held(config.grid.sampler, name=SamplerName.DDIM, steps=50, eta=0.0)


def test_digits_needs_no_download_and_trains_for_minutes() -> None:
    config = configured(preset="digits")
    assert config.model is ModelName.UNET2D
    assert config.data.digits is not None
    assert config.data.image_size == 16
    assert held(config.diffusion, **LINEAR, min_snr_gamma=5.0, timestep_sampling=TimestepSampling.STRATIFIED)
    assert (config.batch_size, config.length) == (128, Cadence(steps=1800))
    assert held(config.optimizer, learning_rate=2e-3, warmup_steps=540, weight_decay=1e-4, max_grad_norm=1.0)
    assert held(config.ema, decay=0.995, warmup=True)


def test_without_a_preset_every_documented_default_holds() -> None:
    config = configured(model={"name": "ddpm-64"}, data=POKEMON)
    assert held(config.diffusion, **LINEAR, min_snr_gamma=None, timestep_sampling=TimestepSampling.UNIFORM)
    assert dataclasses.asdict(config.optimizer) == {
        "learning_rate": 2e-4,
        "schedule": LearningRateSchedule.COSINE,
        "warmup_steps": 500,
        "weight_decay": 0.01,
        "max_grad_norm": 1.0,
    }
    assert held(config.ema, decay=0.9999, warmup=False)
    assert (config.batch_size, config.length) == (32, Cadence(epochs=1000))
    assert held(config.grid, every=Cadence(epochs=10), samples=16, seed=0)
    assert held(config.checkpoint, every=Cadence(epochs=1), keep=2)
    assert (config.precision, config.compile, config.workers) == (Precision.AUTO, False, 1)


def test_a_preset_without_images_asks_for_them() -> None:
    with pytest.raises(PermanentError, match=r"data: the preset pokemon-64 brings no images.*data\.imageFolder\.path"):
        configured(preset="pokemon-64")
