"""The CustomResourceDefinition, generated from the models.

pydantic gives a JSON schema; Kubernetes takes a structural one: everything inlined, no `anyOf` with
null, closed by its own pruning instead of `additionalProperties: false`. Rules over several fields are CEL.
"""

from typing import Any

from diffrun_contracts import names
from diffrun_contracts.base import CEL_RULES, cel
from diffrun_contracts.params import BLOCK_TYPES, SHARDABLE_TYPES
from diffrun_contracts.spec import DiffusionRunSpec
from diffrun_contracts.status import DiffusionRunStatus

Schema = dict[str, Any]

_KEPT = (
    "type", "description", "enum", "pattern", "format", "minimum", "maximum", "minLength", "maxLength",
    "minItems", "maxItems", "maxProperties", "required",
)  # fmt: skip

_SHARDED = [key for key in BLOCK_TYPES if key in SHARDABLE_TYPES]
_SAMPLE_COUNTS = {"generatePreview": "samples", "generateFull": "samples", "infer": "total"}

_BLOCK_RULES = [
    (
        f"[{', '.join(f'has(self.{key})' for key in BLOCK_TYPES)}].filter(x, x).size() == 1",
        f"a block needs exactly one of {', '.join(BLOCK_TYPES)}",
    ),
    (
        "self.shards == 1 || !has(self.train)",
        "shards: training is not split into shards; set train.workers for pods that train together",
    ),
    (
        f"self.shards == 1 || has(self.train) || {' || '.join(f'has(self.{key})' for key in _SHARDED)}",
        f"shards: only {', '.join(_SHARDED)} can be split over several pods; leave shards at 1",
    ),
    *(
        (
            f"!has(self.{key}) || self.shards <= self.{key}.{count}",
            f"shards: at most one shard for each of {key}.{count}",
        )
        for key, count in _SAMPLE_COUNTS.items()
    ),
]

_SPEC_RULES = [("!oldSelf.cancel || self.cancel", "cancel: a cancelled run stays cancelled; create a new run")]

_UNIQUE_NAMES = ("self.all(b, self.exists_one(c, c.name == b.name))", "blocks: every block needs a name of its own")

_FROZEN = ("blocks", "seed", "defaults")

_ROOT_RULES = [
    (
        f"self.metadata.name.size() <= {names.MAX_RUN_NAME}",
        f"metadata.name: at most {names.MAX_RUN_NAME} characters, so that the names of the run's Jobs fit",
    ),
    (
        "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
        "metadata.name: a DNS label, so no dots",
    ),
    *(
        (
            "!has(oldSelf.status) || !has(oldSelf.status.startTime) || "
            f"(has(self.spec.{field}) == has(oldSelf.spec.{field}) && "
            f"(!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field}))",
            f"spec.{field}: frozen once the run has started; create a new run",
        )
        for field in _FROZEN
    ),
]

_COLUMNS = [
    ("Succeeded", "string", '.status.conditions[?(@.type=="Succeeded")].status', "Unknown until the run has ended."),
    ("Reason", "string", '.status.conditions[?(@.type=="Succeeded")].reason', "Why."),
    ("Block", "string", ".status.currentBlock", "The block that runs, or whose gate waits."),
    ("Done", "string", ".status.done", "Blocks that have succeeded, of how many."),
    ("Progress", "string", ".status.progress", "The current block's progress."),
    ("Age", "date", ".metadata.creationTimestamp", "Since the run was created."),
]


_GATE_RULE = (
    "has(self.state) && has(self.openedAt)",
    "this gate has not opened: a gate can be decided once its block has succeeded "
    "(kubectl wait dfr/<run> --for=condition=GatePending)",
)


def build_crd() -> dict[str, Any]:
    """The complete CustomResourceDefinition as a plain dict."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names.PLURAL}.{names.GROUP}", "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {
            "group": names.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": names.KIND,
                "listKind": f"{names.KIND}List",
                "plural": names.PLURAL,
                "singular": names.SINGULAR,
                "shortNames": [names.SHORT_NAME],
                "categories": ["all"],
            },
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    """The one version: its schema, its status subresource, the columns of `kubectl get`."""
    schema: Schema = {
        "type": "object",
        "description": "Diffusion-model work: a Job for each block, gates that people decide, metrics, artifacts.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec_schema(),
            "status": status_schema(),
        },
        **cel(*_ROOT_RULES),
    }
    return {
        "name": names.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, "description": text} for name, kind, path, text in _COLUMNS
        ],
    }


def spec_schema() -> Schema:
    """The spec's structural schema with the CEL rules that span fields."""
    schema = structural(DiffusionRunSpec.model_json_schema(by_alias=True, mode="validation"))
    schema |= cel(*_SPEC_RULES)
    blocks = schema["properties"]["blocks"]
    blocks |= cel(_UNIQUE_NAMES)
    blocks["items"] |= cel(*_BLOCK_RULES)
    return schema


def status_schema() -> Schema:
    """The status' structural schema. A decision made too early is told so, instead of listing missing fields."""
    schema = structural(DiffusionRunStatus.model_json_schema(by_alias=True, mode="validation"))
    gate = schema["properties"]["gates"]["additionalProperties"]
    del gate["required"]
    gate |= cel(_GATE_RULE)
    return schema


def structural(schema: Schema) -> Schema:
    """A pydantic JSON schema as a Kubernetes structural schema: references inlined, nullability dropped."""
    return _convert(schema, schema.get("$defs", {}))


def _convert(node: Schema, defs: dict[str, Schema]) -> Schema:
    node = _resolve(node, defs)
    if node.get("x-kubernetes-preserve-unknown-fields"):
        return {
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": True,
            **({"description": node["description"]} if "description" in node else {}),
        }
    out: Schema = {key: node[key] for key in _KEPT if key in node}
    if "description" in out:
        out["description"] = " ".join(out["description"].split())
    if node.get("default") is not None:
        out["default"] = _without_nulls(node["default"])
    out |= _exclusive_bounds(node)
    if CEL_RULES in node:
        out[CEL_RULES] = node[CEL_RULES]
    if "properties" in node:
        out["properties"] = {name: _convert(child, defs) for name, child in node["properties"].items()}
    elif node.get("additionalProperties") is True:
        out["x-kubernetes-preserve-unknown-fields"] = True
    elif values := _map_values(node):
        out["additionalProperties"] = _convert(values, defs)
    if "items" in node:
        out["items"] = _convert(node["items"], defs)
    return out


def _exclusive_bounds(node: Schema) -> Schema:
    """`exclusiveMinimum: 0` becomes `minimum: 0, exclusiveMinimum: true`: OpenAPI 3.0 keeps the bound beside it."""
    out: Schema = {}
    for side in ("Minimum", "Maximum"):
        if (bound := node.get(f"exclusive{side}")) is not None:
            out |= {side.lower(): bound, f"exclusive{side}": True}
    return out


def _without_nulls(value: Any) -> Any:
    """An unset optional field is absent in Kubernetes: the API server refuses a null in a default."""
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return value


def _map_values(node: Schema) -> Schema | None:
    """The schema of a map's values; that of its keys has no place in a structural schema."""
    if "patternProperties" in node:
        (values,) = node["patternProperties"].values()
        return dict(values)
    values = node.get("additionalProperties")
    return dict(values) if isinstance(values, dict) else None


def _resolve(node: Schema, defs: dict[str, Schema]) -> Schema:
    """Follows `$ref`, and takes the one branch of `anyOf` that is not null."""
    node = dict(node)
    if "anyOf" in node:
        branches = [branch for branch in node.pop("anyOf") if branch.get("type") != "null"]
        if len(branches) != 1:
            raise ValueError(f"a structural schema has no unions: {branches}")
        node = {**branches[0], **node}
    if "$ref" in node:
        target = defs[node.pop("$ref").removeprefix("#/$defs/")]
        node = {**_resolve(target, defs), **node}
    return node
