"""What the parameters of a block refuse by themselves, as they must where no API server stands before them."""

from typing import Any

import pytest
from pydantic import ValidationError

from diffrun_contracts.base import CEL_RULES
from diffrun_contracts.crd import build_crd
from diffrun_contracts.params import BLOCK_TYPES
from diffrun_contracts.spec import Block

DIGITS = {"digits": {}}
WEIGHTS = {"sha256": "0" * 64}
STATISTICS = {"statistics": "stats.npz"}

REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "two lengths": ("train", {"preset": "digits", "epochs": 1, "steps": 1}, "epochs, steps: set one of them"),
    "neither preset nor model": ("train", {"data": DIGITS}, "model, data: a preset brings them"),
    "shares that differ": ("train", {"preset": "digits", "batchSize": 3, "workers": 2}, "workers: batchSize is shared"),
    "a fixed architecture configured": (
        "train", {"model": {"name": "ddpm-64", "config": {}}, "data": DIGITS}, "only unet2d takes them",
    ),
    "a fixed architecture made conditional": (
        "train", {"model": {"name": "ddpm-64", "conditional": False}, "data": DIGITS}, "only unet2d takes them",
    ),
    "no source": ("diagnose", {"data": {"imageSize": 8}}, "data needs exactly one of digits, cifar10"),
    "two sources": ("diagnose", {"data": DIGITS | {"imageFolder": {"path": "p"}}}, "data needs exactly one of"),
    "no reference": ("evaluate", {"features": "classifier", "reference": {}}, "exactly one of statistics and data"),
    "two references": (
        "evaluate", {"reference": STATISTICS | {"data": DIGITS}}, "reference: exactly one of statistics and data",
    ),
    "no place of the weights": (
        "evaluate", {"weights": WEIGHTS, "reference": STATISTICS}, "weights: exactly one of path and url",
    ),
    "two places of the weights": (
        "evaluate", {"weights": WEIGHTS | {"path": "w", "url": "https://w"}, "reference": STATISTICS}, "exactly one of",
    ),
    "no weights": ("evaluate", {"reference": STATISTICS}, "weights: Inception features need them"),
    "a classifier without classes": (
        "evaluate", {"features": "classifier", "reference": STATISTICS}, "classifier features are learnt from",
    ),
    "arguments of no preset": ("infer", {"presetArgs": {"classA": "A"}}, "presetArgs: they belong to no preset"),
    "two subjects": (
        "evaluate",
        {"features": "classifier", "reference": {"data": DIGITS}, "artifacts": "a", "modelPath": "m"},
        "set at most one of",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_parameters_that_contradict_each_other_are_refused_by_their_names(case: str) -> None:
    kind, params, words = REFUSED[case]
    with pytest.raises(ValidationError, match=words):
        BLOCK_TYPES[kind].model_validate(params)


@pytest.mark.parametrize("case", REFUSED)
def test_the_api_server_refuses_the_same_in_the_same_words(case: str) -> None:
    kind, _, words = REFUSED[case]
    messages = rules_below(block_schema()["properties"][kind])
    assert any(words in message for message in messages), messages


def block_schema() -> dict[str, Any]:
    (version,) = build_crd()["spec"]["versions"]
    schema: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["blocks"]["items"]
    return schema


def rules_below(node: dict[str, Any]) -> list[str]:
    own = [rule["message"] for rule in node.get(CEL_RULES, [])]
    return own + [message for child in node.get("properties", {}).values() for message in rules_below(child)]


@pytest.mark.parametrize(
    ("fields", "pods", "workers"),
    [
        ({"generateFull": {}}, 1, 1),
        ({"generateFull": {}, "shards": 4}, 4, 1),
        ({"infer": {}, "shards": 3}, 3, 1),
        ({"train": {"preset": "digits"}}, 1, 1),
        ({"train": {"preset": "digits", "workers": 4}}, 4, 4),
    ],
    ids=["one pod", "shards", "shards of inference", "one worker", "workers"],
)
def test_a_block_knows_its_pods_and_whether_they_work_together(fields: dict[str, Any], pods: int, workers: int) -> None:
    block = Block.model_validate({"name": "it", **fields})
    assert (block.pods, block.workers) == (pods, workers)
