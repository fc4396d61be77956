"""The command `train` says in options what a DiffusionRun says in parameters."""

import argparse
from pathlib import Path
from typing import Any

import pytest

from diffrun_contracts.params import Train
from diffrun_worker import cli
from diffrun_worker.commands import train
from diffrun_worker.errors import PermanentError


def parsed(root: Path, *arguments: str) -> dict[str, Any]:
    parser = argparse.ArgumentParser()
    train.add(parser.add_subparsers())
    return train.parameters(parser.parse_args(["train", *arguments]), root)


def test_the_options_of_the_study_are_the_blocks_parameters(tmp_path: Path) -> None:
    state = tmp_path / "runs/1/train/checkpoints/state/step-000000500"
    state.mkdir(parents=True)
    (tmp_path / "pokemon").mkdir()
    found = parsed(
        tmp_path, "--preset", "pokemon-64", "--data", "imageFolder:pokemon",
        "--resume", str(state), "--epochs", "2000", "--lr", "1e-4",
    )  # fmt: skip
    assert found == {
        "preset": "pokemon-64",
        "data": {"imageFolder": {"path": "pokemon"}},
        "resume": "runs/1/train/checkpoints/state/step-000000500",
        "epochs": 2000,
        "optimizer": {"learningRate": 1e-4},
    }
    assert Train.model_validate(found).epochs == 2000


def test_every_other_parameter_can_be_set_by_its_name(tmp_path: Path) -> None:
    found = parsed(
        tmp_path, "--preset", "digits", "--conditional", "--lr", "0.001", "--batch-size", "16", "--seed", "3",
        "--set", "optimizer.warmupSteps=100", "--set", "ema={decay: 0.5, warmup: true}",
    )  # fmt: skip
    assert found == {
        "preset": "digits",
        "model": {"name": "unet2d", "conditional": True},
        "batchSize": 16,
        "seed": 3,
        "optimizer": {"learningRate": 0.001, "warmupSteps": 100},
        "ema": {"decay": 0.5, "warmup": True},
    }
    assert Train.model_validate(found).ema is not None


@pytest.mark.parametrize(
    ("text", "expected"),
    [("digits", {"digits": {}}), ("hub:huggan/flowers", {"hub": {"repo": "huggan/flowers"}})],
)
def test_data_are_named_by_source_and_place(tmp_path: Path, text: str, expected: dict[str, Any]) -> None:
    assert parsed(tmp_path, "--data", text) == {"data": expected}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "mnist"], "--data: 'mnist' is unknown; use one of digits, cifar10"),
        (["--data", "cifar10"], "--data: cifar10 needs to be told where, as cifar10:PATH"),
        (["--data", "cifar10:nowhere"], "--data: nowhere is not in the workspace"),
        (["--resume", "/"], "--resume: / is not in the workspace"),
        (["--set", "ema"], "--set: 'ema' is not NAME=VALUE"),
        (["--set", "ema={"], "--set: the value of ema is not YAML"),
        (["--epochs", "3", "--set", "epochs.more=1"], "--set: epochs.more: epochs is a value, not a group"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_that_says_nothing_is_told(tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(PermanentError) as caught:
        parsed(tmp_path, *arguments)
    assert message in caught.value.message


def test_the_command_ends_with_the_blocks_exit_code_and_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(["train", "--preset", "digits", "--device", "cpu", "--workspace", str(tmp_path), "--set", "oops=1"])
    assert code == 64
    assert "failed: InvalidParams: train: oops: Extra inputs are not permitted" in capsys.readouterr().out
