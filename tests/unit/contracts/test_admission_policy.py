"""The policy guards every field of the status model, and nobody but one release's operator passes."""

from typing import Any

import pytest

from diffrun_contracts.admission import build_binding, build_policy
from diffrun_contracts.status import APPROVER_FIELDS, DiffusionRunStatus, GateStatus, operator_gate_fields

OPERATOR = "system:serviceaccount:team:mine-operator"


def policy(namespaces: Any = ("team",)) -> dict[str, Any]:
    spec: dict[str, Any] = build_policy("p", OPERATOR, namespaces)["spec"]
    return spec


def expressions() -> list[str]:
    return [rule["expression"] for rule in policy()["validations"]]


@pytest.mark.parametrize("name", sorted(set(DiffusionRunStatus.model_fields) - {"gates"}))
def test_every_field_of_the_status_is_guarded(name: str) -> None:
    alias = DiffusionRunStatus.model_fields[name].alias
    assert f"object.?status.?{alias} == oldObject.?status.?{alias}" in expressions()


def test_every_field_of_a_gate_is_either_guarded_or_a_persons() -> None:
    aliases = {field.alias for field in GateStatus.model_fields.values()}
    assert aliases == set(operator_gate_fields()) | APPROVER_FIELDS
    for field in operator_gate_fields():
        assert any(f"variables.gates[g].?{field} == variables.oldGates[g].?{field}" in each for each in expressions())


def test_only_the_operator_of_the_release_is_exempt() -> None:
    (condition,) = policy()["matchConditions"]
    assert condition["expression"] == f"request.userInfo.username != '{OPERATOR}'"
    (rule,) = policy()["matchConstraints"]["resourceRules"]
    assert rule["resources"] == ["diffusionruns/status"]


def test_it_fails_closed_and_denies() -> None:
    assert policy()["failurePolicy"] == "Fail"
    assert build_binding("p")["spec"] == {"policyName": "p", "validationActions": ["Deny"]}


def test_it_speaks_for_the_namespaces_of_its_release_alone() -> None:
    selector = policy(["b", "a", "b"])["matchConstraints"]["namespaceSelector"]
    (match,) = selector["matchExpressions"]
    assert match == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}


def test_serving_all_namespaces_selects_none() -> None:
    assert "namespaceSelector" not in policy(None)["matchConstraints"]


def test_serving_no_namespace_is_an_error() -> None:
    with pytest.raises(ValueError, match="a release serves at least one"):
        build_policy("p", OPERATOR, [])


def test_messages_keep_to_one_line_and_fit() -> None:
    for rule in policy()["validations"]:
        assert "\n" not in rule["message"]
        assert "{g}" not in rule.get("messageExpression", "")
        assert len(rule.get("messageExpression", "")) < 5 * 1024
