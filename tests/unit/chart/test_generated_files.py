"""What is generated is up to date, and every value of the chart is documented and in the schema."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from generate import CHART, MANIFESTS, ROOT, crd, generate
from jsonschema import Draft202012Validator

from diffrun_contracts.spec import DiffusionRunSpec

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
FILES = generate(with_helm=False)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_generated_file_is_what_the_generator_writes(path: Path) -> None:
    assert path.read_text() == FILES[path], "run python -m tools.generate"


def test_the_crd_in_manifests_and_in_the_chart_are_the_same() -> None:
    plain = yaml.safe_load((MANIFESTS / "crds" / "diffusionruns.yaml").read_text())
    template = (CHART / "templates" / "crd.yaml").read_text()
    in_chart = yaml.safe_load("\n".join(line for line in template.splitlines() if "{{" not in line))
    assert plain == in_chart == crd()


def test_the_digest_of_the_schema_changes_with_the_schema(monkeypatch: pytest.MonkeyPatch) -> None:
    before = crd()["metadata"]["annotations"]["diffrun.dev/schema"]
    changed = crd()
    changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = "another"
    monkeypatch.setattr("generate.build_crd", lambda: changed)
    assert crd()["metadata"]["annotations"]["diffrun.dev/schema"] != before


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("path", [CHART / "values.yaml"], ids=["defaults"])
def test_the_defaults_meet_the_schema(path: Path) -> None:
    Draft202012Validator(SCHEMA).validate(yaml.safe_load(path.read_text()))


def keys(node: Any, path: str = "") -> list[str]:
    """Every key of a mapping, dotted; empty mappings and lists are leaves."""
    if not isinstance(node, dict) or not node:
        return [path]
    return [leaf for key, child in node.items() for leaf in keys(child, f"{path}.{key}" if path else key)]


def test_every_default_stands_in_the_schema_and_the_other_way_round() -> None:
    def listed(schema: Any, path: str = "") -> set[str]:
        if "properties" not in schema:
            return {path}
        children = schema["properties"].items()
        return {leaf for key, child in children for leaf in listed(resolve(child), f"{path}.{key}" if path else key)}

    def resolve(schema: Any) -> Any:
        return SCHEMA["$defs"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema

    free = ("resources", "scratch")  # given whole, on one line
    shown = {re.sub(rf"\.({'|'.join(free)})\..*", r".\1", key) for key in keys(VALUES)}
    known = {re.sub(rf"\.({'|'.join(free)})\..*", r".\1", key) for key in listed(SCHEMA)}
    assert known - shown == {"global", "huggingFace.token"}
    assert shown - known == set()


def test_every_value_has_a_comment() -> None:
    lines = (CHART / "values.yaml").read_text().splitlines()
    leaf = re.compile(r"^\s*[a-zA-Z]+:\s*\S")
    bare = [
        line for before, line in itertools.pairwise(lines)
        if leaf.match(line) and not line.strip().startswith(("requests:", "limits:"))
        and not before.strip().startswith("#")
    ]  # fmt: skip
    assert bare == []


@pytest.mark.parametrize("path", sorted((MANIFESTS / "samples").glob("*.yaml")), ids=lambda path: path.name)
def test_a_sample_is_a_valid_run(path: Path) -> None:
    run = yaml.safe_load(path.read_text())
    assert DiffusionRunSpec.model_validate(run["spec"]).blocks
    assert run["metadata"]["name"] == path.stem


def test_the_plain_install_holds_no_secret() -> None:
    documents = list(yaml.safe_load_all((MANIFESTS / "install.yaml").read_text()))
    assert "Secret" not in {document["kind"] for document in documents}
    assert {"Deployment", "CustomResourceDefinition", "ValidatingAdmissionPolicyBinding"} <= {
        document["kind"] for document in documents
    }
