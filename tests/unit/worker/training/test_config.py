"""What the user says rules over the preset, and the preset over the defaults, field by field."""

from typing import Any

import pytest

from diffrun_contracts.params import Train as TrainParams
from diffrun_contracts.params.train import ModelName
from diffrun_worker.training.config import Cadence, TrainConfig, resolve


def configured(run_seed: int = 0, **params: Any) -> TrainConfig:
    return resolve(TrainParams.model_validate(params), run_seed)


def test_one_field_of_a_group_leaves_the_others_to_the_preset() -> None:
    config = configured(preset="digits", optimizer={"learningRate": 1e-4})
    assert config.optimizer.learning_rate == 1e-4
    assert config.optimizer.weight_decay == 1e-4
    assert config.optimizer.warmup_steps == 540


@pytest.mark.parametrize(
    ("changes", "expected"),
    [({"epochs": 3}, Cadence(epochs=3)), ({"steps": 7}, Cadence(steps=7)), ({}, Cadence(steps=10_000))],
    ids=["epochs displace the preset's steps", "steps", "the preset's"],
)
def test_the_length_is_one_choice(changes: dict[str, int], expected: Cadence) -> None:
    assert configured(preset="cifar10-e1", **changes).length == expected


def test_a_cadence_is_one_choice_too() -> None:
    config = configured(preset="cifar10-e1", sampleGrid={"everyEpochs": 2}, checkpoint={"keep": 5})
    assert config.grid.every == Cadence(epochs=2)
    assert config.grid.samples == 64
    assert (config.checkpoint.every, config.checkpoint.keep) == (Cadence(steps=1000), 5)


def test_a_cadence_in_epochs_is_one_in_steps_once_the_data_are_known() -> None:
    assert Cadence(epochs=3).in_steps(steps_per_epoch=25) == 75
    assert Cadence(steps=3).in_steps(steps_per_epoch=25) == 3


def test_the_preset_completes_a_model_of_the_same_name() -> None:
    config = configured(preset="digits", model={"name": "unet2d", "conditional": True})
    assert config.conditional
    assert config.model_config is not None
    assert config.model_config["block_out_channels"] == [32, 64, 64]


def test_another_architecture_takes_nothing_from_the_presets_model() -> None:
    config = configured(preset="digits", model={"name": "unet-cifar32"})
    assert config.model is ModelName.UNET_CIFAR32
    assert config.model_config is None


def test_classes_are_dropped_only_where_there_are_classes() -> None:
    assert configured(preset="digits").class_dropout == 0.0
    assert configured(preset="digits", model={"name": "unet2d", "conditional": True}).class_dropout == 0.1


def test_the_seed_is_the_users_else_the_presets_else_the_runs() -> None:
    assert configured(run_seed=5, preset="digits").seed == 5
    assert configured(run_seed=5, preset="cifar10-e1").seed == 1077
    assert configured(run_seed=5, preset="cifar10-e1", seed=0).seed == 0
