"""Blocks are found by entry point; what is wrong with one, or with its parameters, is told by name."""

import sys
from importlib.metadata import EntryPoint
from typing import Any

import pytest

from diffrun_contracts.params import GeneratePreview
from diffrun_worker.errors import PermanentError
from diffrun_worker.registry import load_block, parse_params


class Plain:
    """A block without a model of its parameters."""

    def run(self, params: Any, ctx: Any) -> dict[str, Any]:
        return {}


class Modelled(Plain):
    Params = GeneratePreview


class Broken:
    def __init__(self) -> None:
        raise RuntimeError("no licence")


class Exiting:
    def __init__(self) -> None:
        sys.exit(0)


class NoRun:
    pass


HERE = "tests.unit.worker.test_registry"


def points(*pairs: tuple[str, type]) -> list[EntryPoint]:
    """Entry points that load the given classes."""

    class Fake(EntryPoint):
        def load(self) -> Any:
            return next(cls for name, cls in pairs if f"m:{cls.__name__}" == self.value and name == self.name)

    return [Fake(name, f"m:{cls.__name__}", "diffrun.blocks") for name, cls in pairs]


def test_the_blocks_that_come_with_the_worker_are_registered() -> None:
    assert type(load_block("downloadCheckpoint")).__name__ == "DownloadCheckpoint"


@pytest.mark.parametrize(
    ("block_type", "code", "message"),
    [
        (
            "nope",
            "UnknownBlockType",
            "no package in the worker's image brings a block type 'nope'; "
            "known types: broken, exiting, none, plain, twice",
        ),
        ("broken", "InvalidBlock", "block type 'broken' (m:Broken) cannot be loaded: RuntimeError: no licence"),
        ("exiting", "InvalidBlock", "block type 'exiting' (m:Exiting) cannot be loaded: SystemExit: 0"),
        ("none", "InvalidBlock", "block type 'none' (m:NoRun) has no method run"),
        (
            "twice",
            "InvalidBlock",
            "block type 'twice' is brought by several packages: m:Modelled, m:Plain; keep one",
        ),
    ],
)
def test_a_block_that_cannot_be_had_is_told_by_name(block_type: str, code: str, message: str) -> None:
    kinds = [("plain", Plain), ("broken", Broken), ("exiting", Exiting), ("none", NoRun), ("twice", Plain)]
    available = points(*kinds, ("twice", Modelled))
    with pytest.raises(PermanentError) as caught:
        load_block(block_type, available)
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_block_without_a_model_gets_its_parameters_as_they_are() -> None:
    assert parse_params(Plain(), "plain", {"anything": [1]}) == {"anything": [1]}


def test_wrong_parameters_are_told_each_by_its_field() -> None:
    with pytest.raises(PermanentError) as caught:
        parse_params(Modelled(), "generatePreview", {"samples": 0, "sampler": {"steps": 0}, "sampels": 2})
    assert caught.value.code == "InvalidParams"
    assert caught.value.message == (
        "generatePreview: sampler.steps: Input should be greater than or equal to 1 (got 0); "
        "samples: Input should be greater than or equal to 1 (got 0); "
        "sampels: Extra inputs are not permitted (got 2)"
    )
