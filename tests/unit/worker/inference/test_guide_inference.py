"""The guide's examples run as they stand, and its tables are complete."""

import argparse
import inspect
import re
import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from PIL import Image
from pydantic import BaseModel

from diffrun_contracts.params import Sampler, infer
from diffrun_contracts.spec import Block
from diffrun_worker import inference
from diffrun_worker.blocks import infer_artifacts
from diffrun_worker.cli import _parser
from diffrun_worker.commands import convert as convert_command
from diffrun_worker.commands import infer as infer_command
from diffrun_worker.inference import (
    DRIFT_REGISTRY,
    FORCE_REGISTRY,
    PRESET_REGISTRY,
    InferenceConfig,
    attribution,
    convert,
    generate_sample,
    stats,
    tensors,
    tracker,
)
from diffrun_worker.inference.environment import describe_environment
from diffrun_worker.inference.metadata import Part, SampleRecord, Series, merge
from diffrun_worker.inference.output import DASHBOARD
from diffrun_worker.inference.plots import PLOTS
from diffrun_worker.inference.traits import traits_of

DOCS = Path(__file__).parents[4] / "docs"
GUIDE = (DOCS / "guide-inference.md").read_text()
REFERENCE = (DOCS / "reference-inference.md").read_text()


def fences(language: str) -> list[str]:
    parts = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    return [text for kind, text in parts if kind == language]


def row(name: str, text: str = GUIDE) -> str:
    (found,) = re.findall(rf"^\| `{name}` \|.*$", text, re.MULTILINE)
    return str(found)


def section(title: str) -> str:
    """A part of the reference, its sub-sections included."""
    marks, _, _ = title.partition(" ")
    (found,) = re.findall(rf"^{title}\n(.*?)(?=^#{{2,{len(marks)}}} |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    return str(found)


def missing(names: Iterable[str], text: str) -> list[str]:
    """Names that a text does not have in backticks, alone or in front of arguments."""
    return [name for name in names if not re.search(rf"`{re.escape(name)}[`( ]", text)]


def options(command: ModuleType) -> Mapping[str, argparse.Action]:
    """A command's options by name; of those that have none the placeholder."""
    subparsers = argparse.ArgumentParser().add_subparsers()
    command.add(subparsers)
    (parser,) = subparsers.choices.values()
    names = {name: action for action in parser._actions for name in action.option_strings or [str(action.metavar)]}
    return {name: action for name, action in names.items() if name not in ("-h", "--help")}


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
    assert Image.open(tmp_path / "attribution.png").getextrema()[1] == 255
    assert names["attribution"].steps == len(names["summaries"]) == 5
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


@pytest.mark.parametrize(
    ("command", "title"), [(infer_command, "## The command line"), (convert_command, "## convert")]
)
def test_an_option_stands_in_its_table_with_its_default(command: ModuleType, title: str) -> None:
    text = section(title)
    assert not missing(options(command), text)
    for name, action in options(command).items():
        if action.option_strings and isinstance(action.default, str | int) and action.nargs != 0:
            assert re.search(rf"^\| `{name} [^|]*\| `?{re.escape(str(action.default))}`? \|", text, re.MULTILINE), name


def test_the_tables_name_no_option_that_there_is_not() -> None:
    known = {**options(infer_command), **options(convert_command)}
    assert not [name for name in re.findall(r"`(--[\w-]+)", GUIDE + REFERENCE) if name not in known]


@pytest.mark.parametrize(
    "line", [line for fence in fences("") for line in fence.splitlines() if line.startswith("diffrun-worker")]
)
def test_a_command_of_the_guide_is_one_that_the_worker_takes(line: str) -> None:
    assert callable(_parser().parse_args(shlex.split(line)[1:]).command)


@pytest.mark.parametrize(("group", "model"), [("capture", infer.CaptureConfig), ("video", infer.VideoConfig)])
def test_what_is_kept_stands_in_its_table_with_its_default(group: str, model: type[BaseModel]) -> None:
    for field in model.model_fields.values():
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default
        assert f"| `{default}` |" in row(f"{group}.{field.alias}", section("## What is kept"))


def test_the_documents_fields_stand_in_their_tables() -> None:
    environment = {
        **dict.fromkeys(("SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"), "1"),
        **{"SLURM_PROCID": "1", "DIFFRUN_POD_NAME": "run-letter-0-abcde", "JOB_COMPLETION_INDEX": "0"},
    }
    described = describe_environment("cpu", environment)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    part = Part(
        run_id="r", shard=0, shards=1, total=1, character="A", timestamp_start=now, timestamp_end=now, config={},
        checkpoint={}, environment=described, scheduler={}, samples=(),
    )  # fmt: skip
    merged, text = merge([part]), section("### metadata.json")
    assert not missing([*merged.metadata, *merged.metadata["shards"], *merged.metadata["samples"]], text)
    assert not missing([*described, "path", "classes", "size", "channels"], text)
    assert not missing([*merged.index, *SampleRecord.model_fields, *Series.model_fields], section("### index.json"))


def test_every_metric_column_and_chart_is_named() -> None:
    metrics = [value for name, value in vars(tracker).items() if name.startswith("METRIC_")]
    assert len(metrics) == 6
    assert not missing(metrics, GUIDE)
    assert not missing([*metrics, *tracker.STEP_COLUMNS, *tracker.VIDEO_COLUMNS], section("## Metrics"))
    assert len(PLOTS) == 9
    assert not missing([*PLOTS, DASHBOARD], GUIDE)
    assert not [name for name in PLOTS if not row(name, section("## Charts"))]
    kinds = [infer_artifacts.VIDEO, infer_artifacts.FRAME, infer_artifacts.PLOT, infer_artifacts.DASHBOARD_TYPE]
    assert not missing(kinds, section("## The output tree"))


def test_every_exported_helper_has_its_line() -> None:
    modules = {module.__name__ for module in (attribution, stats, tensors)}
    helpers = [name for name in inference.__all__ if getattr(inference, name).__class__ is not dict]
    own = [name for name in helpers if getattr(getattr(inference, name), "__module__", "") in modules]
    assert len(own) == 16
    assert not [name for name in own if f"`{name}" not in section("## Helpers for tensors")]
    assert not missing(stats.Summary.__dataclass_fields__, section("## Helpers for tensors"))


def test_the_places_that_convert_looks_at_are_named() -> None:
    assert not missing([*convert.WEIGHTS_KEYS, *convert.CONFIG_KEYS, *convert.CLASSES_KEYS], section("## convert"))


@pytest.mark.parametrize("page", ["guide.md", "guide-inference.md", "reference-inference.md"])
def test_every_link_and_picture_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", (DOCS / page).read_text())
    assert links
    for link in links:
        name, _, anchor = link.partition("#")
        target = DOCS / (name or page)
        assert target.exists(), link
        if anchor:
            titles = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles], link
