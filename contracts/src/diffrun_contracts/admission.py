"""The ValidatingAdmissionPolicy that makes a gate safe, generated from the status model.

For everybody but the operator's service account, a write to `diffusionruns/status` may do one thing:
decide a gate that waits, under one's own name. The list of protected fields comes from
`status.operator_fields()`, so that a field added to the model is guarded without another thought.
What may be edited in the spec is the CRD's own to say, since those rules hold without any policy.

A policy and its binding belong to one release and its namespaces, so that two releases never lock
each other out. All of this fails closed.
"""

from collections.abc import Sequence
from typing import Any

from diffrun_contracts import names
from diffrun_contracts.status import GateState, operator_fields, operator_gate_fields

_Rule = dict[str, str]

# `.?` and orValue: any part of a status may be absent, on either side.
_VARIABLES = [
    ("gates", "object.?status.?gates.orValue({})"),
    ("oldGates", "oldObject.?status.?gates.orValue({})"),
    ("new", "variables.gates.filter(g, !(g in variables.oldGates))"),
    ("gone", "variables.oldGates.filter(g, !(g in variables.gates))"),
    (
        "changed",
        "variables.gates.filter(g, g in variables.oldGates && variables.gates[g] != variables.oldGates[g])",
    ),
]

_DIGEST = "previewDigest"


def build_policy(name: str, operator: str, namespaces: Sequence[str] | None) -> dict[str, Any]:
    """The policy as a plain dict.

    `operator` is the user name of the operator's service account, `namespaces` are those that the
    release serves, or None where it serves all of them. Raises ValueError where nothing would be matched.
    """
    if namespaces is not None and not namespaces:
        raise ValueError("namespaces: a release serves at least one; pass None for all of them")
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": _constraints(namespaces),
            "matchConditions": [
                {"name": "not-the-operator", "expression": f"request.userInfo.username != '{operator}'"}
            ],
            "variables": [{"name": key, "expression": expression} for key, expression in _VARIABLES],
            "validations": [*_gate_rules(), *_ledger_rules()],
        },
    }


def build_binding(name: str) -> dict[str, Any]:
    """The policy's binding, of the same name: deny, for whatever the policy matches."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }


def _constraints(namespaces: Sequence[str] | None) -> dict[str, Any]:
    """Which requests the policy looks at: writes to the status, in these namespaces or in all."""
    status = {
        "apiGroups": [names.GROUP],
        "apiVersions": [names.VERSION],
        "operations": ["UPDATE"],
        "resources": [f"{names.PLURAL}/status"],
    }
    if namespaces is None:
        return {"resourceRules": [status]}
    served = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": sorted(set(namespaces))}
    return {"resourceRules": [status], "namespaceSelector": {"matchExpressions": [served]}}


def _gate_rules() -> list[_Rule]:
    """What makes a decision a decision, most telling first: the API server reports the first that fails."""
    return [
        _rule(
            "variables.new.size() == 0",
            "a gate that has not opened cannot be decided",
            "'gate ' + variables.new[0] + ' has not opened: it opens when its block has succeeded; wait with: "
            "kubectl wait dfr/' + object.metadata.name + ' --for=condition=GatePending'",
        ),
        _rule(
            "variables.gone.size() == 0",
            "a gate cannot be removed",
            "'gate ' + variables.gone[0] + ' cannot be removed; to decide it, set decision and decidedBy'",
        ),
        _every_changed(
            f"{_OLD}.?state.orValue('') == '{GateState.WAITING}'",
            "the gate is closed: a decision came too late",
            "'gate ' + {g} + ' is closed: it is ' + variables.oldGates[{g}].?state.orValue('of unknown state') + "
            "', and no decision can change that; create a new run'",
        ),
        _every_changed(
            f"!{_OLD}.?decision.hasValue()",
            "the gate has been decided: a decision is final",
            "'gate ' + {g} + ' has been decided: ' + variables.oldGates[{g}].decision + ' by ' + "
            "variables.oldGates[{g}].?decidedBy.orValue('somebody') + '; a decision is final'",
        ),
        _every_changed(
            f"{_NEW}.?{_DIGEST} == {_OLD}.?{_DIGEST}",
            "previewDigest: not the preview that waits",
            "'gate ' + {g} + ': previewDigest is not that of the preview that waits, so the decision speaks of "
            "something else; look again and restate ' + variables.oldGates[{g}].?previewDigest.orValue('none')",
        ),
        *(
            _every_changed(f"{_NEW}.?{field} == {_OLD}.?{field}", f"status.gates: {field} is the operator's")
            for field in operator_gate_fields()
            if field != _DIGEST
        ),
        _every_changed(
            f"{_NEW}.?decision.hasValue()",
            "a gate is changed by deciding it: set decision to Approved or Rejected, beside decidedBy",
        ),
        _every_changed(
            f"{_NEW}.?decidedBy.orValue('') == request.userInfo.username",
            "decidedBy: must be the user who decides",
            """'gate ' + {g} + ': decidedBy must be you; add "decidedBy":"' + request.userInfo.username + """
            """'" beside the decision'""",
        ),
    ]


_NEW = "variables.gates[g]"
_OLD = "variables.oldGates[g]"


def _ledger_rules() -> list[_Rule]:
    """Every other field of the status stays as it is. Writes to the main resource never reach the status."""
    return [
        _rule(
            f"object.?status.?{field} == oldObject.?status.?{field}",
            f"status.{field}: only the operator writes it; people decide gates and edit the spec",
        )
        for field in operator_fields()
    ]


def _rule(expression: str, message: str, message_expression: str | None = None) -> _Rule:
    rule = {"expression": expression, "message": message, "reason": "Forbidden"}
    return rule if message_expression is None else {**rule, "messageExpression": message_expression}


def _every_changed(condition: str, message: str, message_expression: str | None = None) -> _Rule:
    """A rule on each changed gate `g`; `{g}` in the message stands for the first that breaks it."""
    culprit = f"variables.changed.filter(g, !({condition}))[0]"
    return _rule(
        f"variables.changed.all(g, {condition})",
        message,
        None if message_expression is None else message_expression.replace("{g}", culprit),
    )
