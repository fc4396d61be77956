"""The guide's examples run as they stand, and its tables are complete."""

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from diffrun_contracts.params import Sampler
from diffrun_contracts.spec import Block
from diffrun_worker.inference import (
    DRIFT_REGISTRY,
    FORCE_REGISTRY,
    PRESET_REGISTRY,
    InferenceConfig,
    generate_sample,
)
from diffrun_worker.inference.traits import traits_of

GUIDE = (Path(__file__).parents[4] / "docs" / "guide-inference.md").read_text()


def fences(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


def row(name: str) -> str:
    (found,) = re.findall(rf"^\| `{name}` \|.*$", GUIDE, re.MULTILINE)
    return str(found)


def test_the_python_examples_run_one_after_the_other(
    tiny_digits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"checkpoint": tiny_digits}
    try:
        for number, code in enumerate(fences("python")):
            exec(compile(code, f"guide-inference.md, example {number + 1}", "exec"), names)
            if "config" in names and number > 0:
                config = names["config"].model_copy(update={"sampler": Sampler(steps=3)})
                result = generate_sample(names["unet"], names["scheduler"], config, names["ckpt"])
                assert len(result.frames) == 3
    finally:
        for name in ("force_towards_grey", "force_mine"):
            FORCE_REGISTRY.pop(name, None)
    assert (tmp_path / "seven.png").stat().st_size > 0
    assert "Step 4: norm=" in capsys.readouterr().out
    assert names["first"].shape[0] == 4
    assert names["result"].final_image.mode == "L"


def test_the_yaml_examples_are_parameters_of_the_block() -> None:
    for text in fences("yaml"):
        document = yaml.safe_load(text)
        if isinstance(document, list):
            assert Block.model_validate(document[0]).infer is not None
        elif "forceStack" in document:
            InferenceConfig.from_dict({"force": document})
        else:
            InferenceConfig.from_dict(document)


@pytest.mark.parametrize("name", [*sorted(FORCE_REGISTRY), *sorted(DRIFT_REGISTRY)])
def test_a_force_or_drift_stands_in_its_table_with_its_parameters(name: str) -> None:
    params = traits_of({**FORCE_REGISTRY, **DRIFT_REGISTRY}[name]).params
    for parameter, field in params.model_fields.items() if params else ():
        if parameter in ("scale", "decay"):
            continue
        assert f"`{parameter}`" in row(name)
        if isinstance(field.default, float | int) and parameter != "amplitude":
            assert re.search(rf"`{parameter}` = (−|-)?{abs(field.default):g}\b", row(name)), parameter


@pytest.mark.parametrize("name", sorted(PRESET_REGISTRY))
def test_a_preset_stands_in_its_table_with_its_arguments_and_their_defaults(name: str) -> None:
    for argument in inspect.signature(PRESET_REGISTRY[name]).parameters.values():
        assert f"`{argument.name}`" in row(name)
        if isinstance(argument.default, float | int):
            assert f"`{argument.name}` = {argument.default:g}" in row(name)
