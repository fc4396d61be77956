"""The guide to training names no parameter, option, metric, code or file that does not exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffrun_contracts.params import BLOCK_TYPES
from diffrun_contracts.params.dataset import Dataset
from diffrun_contracts.params.train import ModelName, Preset
from diffrun_worker.cli import _parser
from diffrun_worker.errors import ErrorCode

ROOT = Path(__file__).parents[3]
GUIDE = (ROOT / "docs/guide-training.md").read_text()
WORKER = "\n".join(path.read_text() for path in (ROOT / "worker/src").rglob("*.py"))


def fences(kind: str) -> list[str]:
    """The fenced blocks of a language; of none for ""."""
    parts = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, flags=re.M | re.S)
    return [text for language, text in parts if language == kind]


def documents() -> list[dict[str, Any]]:
    """Every YAML text: fenced as such, or written to a file by a command."""
    written = [text for fence in fences("") for text in re.findall(r"<<'END'\n(.*?)^END$", fence, flags=re.M | re.S)]
    return [yaml.safe_load(text) for text in [*fences("yaml"), *written]]


def commands() -> list[list[str]]:
    """The arguments of every call of the worker's command line."""
    lines = "\n".join(fences("")).replace("\\\n", " ").splitlines()
    found = [re.split(r"diffrun-worker|-m diffrun_worker", line)[1].split() for line in lines if "diffrun" in line]
    return [words for words in found if words]


@pytest.mark.parametrize("document", documents(), ids=lambda document: str(next(iter(document))))
def test_every_yaml_of_the_guide_is_valid(document: dict[str, Any]) -> None:
    if set(document) == {"data"}:
        Dataset.model_validate(document["data"])
        return
    ((block_type, params),) = [(key, value) for key, value in document.items() if key != "name"]
    BLOCK_TYPES[block_type].model_validate(params)


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_every_command_of_the_guide_is_one_that_the_worker_takes(words: list[str]) -> None:
    assert callable(_parser().parse_args(words).command)


def test_there_is_something_to_test() -> None:
    assert len(documents()) >= 6
    assert {words[0] for words in commands()} == {"train", "generate", "run"}


def test_every_preset_and_network_has_its_line() -> None:
    assert not [str(name) for name in (*Preset, *ModelName) if f"`{name}`" not in GUIDE]


def test_every_code_and_metric_of_the_guide_exists() -> None:
    codes = set(re.findall(r"^\| (`\w+`.*?) \|", GUIDE.split("## When it is refused")[1], flags=re.M))
    named = {code for cell in codes for code in re.findall(r"`(\w+)`", cell)}
    assert named <= {str(code) for code in ErrorCode}
    assert named
    metrics = set(re.findall(r"`((?:train|eval|diagnose)/\w+)`", GUIDE))
    assert not [name for name in metrics if f'"{name}"' not in WORKER]


def test_every_link_leads_somewhere() -> None:
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", GUIDE)]
    assert not [link for link in links if not (ROOT / "docs" / link).exists()]
