"""The CRD is a structural schema that the API server takes, and says what each field means."""

from collections.abc import Iterator
from typing import Any

import pytest

from diffrun_contracts.crd import build_crd, structural

Node = dict[str, Any]

# What apiextensions.k8s.io/v1 allows in a structural schema, as far as it is used here.
ALLOWED = {
    "type", "description", "enum", "pattern", "format", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minLength", "maxLength", "minItems", "maxItems", "maxProperties", "required", "properties", "items",
    "additionalProperties", "default", "x-kubernetes-validations", "x-kubernetes-preserve-unknown-fields",
}  # fmt: skip


def schema() -> Node:
    (version,) = build_crd()["spec"]["versions"]
    root: Node = version["schema"]["openAPIV3Schema"]
    return root


def walk(node: Node, path: str = "") -> Iterator[tuple[str, Node]]:
    yield path, node
    for name, child in node.get("properties", {}).items():
        yield from walk(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from walk(node[key], f"{path}[]")


def parts() -> list[tuple[str, Node]]:
    return [(path, node) for path, node in walk(schema()) if path not in ("", ".apiVersion", ".kind", ".metadata")]


def test_every_node_is_structural() -> None:
    for path, node in parts():
        assert set(node) <= ALLOWED, path
        assert "type" in node, path


def test_every_field_is_described() -> None:
    undescribed = [path for path, node in parts() if not path.endswith("[]") and "description" not in node]
    assert undescribed == []


def test_every_string_list_map_and_number_of_the_spec_is_bounded() -> None:
    """An unbounded one makes the rules' estimated cost unbounded too, and the API server refuses the CRD."""
    unbounded = []
    for path, node in walk(schema()["properties"]["spec"]):
        bounds = {
            "string": "maxLength" in node or "enum" in node,
            "array": "maxItems" in node,
            "integer": {"minimum", "maximum"} <= set(node),
            "number": {"minimum", "maximum"} <= set(node),
            "object": "properties" in node or "maxProperties" in node or "x-kubernetes-preserve-unknown-fields" in node,
            "boolean": True,
        }
        if not bounds[node["type"]]:
            unbounded.append(path)
    assert unbounded == []


def test_an_exclusive_bound_is_told_the_way_of_openapi_3_0() -> None:
    """JSON schema's own way, a number, is no structural schema."""
    block = schema()["properties"]["spec"]["properties"]["blocks"]["items"]["properties"]
    beta = block["train"]["properties"]["diffusion"]["properties"]["betaStart"]
    assert (beta["minimum"], beta["exclusiveMinimum"], beta["maximum"], beta["exclusiveMaximum"]) == (0, True, 1, True)


def test_no_default_holds_a_null() -> None:
    """The API server refuses them, though `kubectl apply` drops them on the way and hides it."""

    def nulls(value: Any) -> bool:
        return value is None or (isinstance(value, dict) and any(nulls(child) for child in value.values()))

    assert [path for path, node in parts() if "default" in node and nulls(node["default"])] == []


def test_every_rule_has_a_message_that_names_its_field() -> None:
    messages = [rule["message"] for _, node in walk(schema()) for rule in node.get("x-kubernetes-validations", [])]
    assert len(messages) >= 30
    assert all(message and not message.endswith(".") for message in messages)


def test_nothing_of_a_pod_can_be_smuggled_in() -> None:
    paths = {path for path, _ in walk(schema()["properties"]["spec"])}
    of_inference = ".blocks[].infer.env"  # names a device, and nothing of the container's environment
    assert {path for path in paths if path.startswith(f"{of_inference}.")} == {f"{of_inference}.device"}
    fields = {path.rsplit(".", 1)[-1] for path in paths - {of_inference}}
    forbidden = {"image", "serviceAccountName", "hostPath", "hostNetwork", "podSpecPatch", "volumes", "command", "env",
                 "securityContext", "privileged", "args"}  # fmt: skip
    assert fields.isdisjoint(forbidden)


def test_the_columns_are_those_of_the_readme() -> None:
    (version,) = build_crd()["spec"]["versions"]
    assert [column["name"].upper() for column in version["additionalPrinterColumns"]] == [
        "SUCCEEDED", "REASON", "BLOCK", "DONE", "PROGRESS", "AGE",
    ]  # fmt: skip


def test_the_crd_outlives_helm_uninstall() -> None:
    assert build_crd()["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_a_union_has_no_structural_schema() -> None:
    with pytest.raises(ValueError, match="a structural schema has no unions"):
        structural({"anyOf": [{"type": "string"}, {"type": "integer"}]})
