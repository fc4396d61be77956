"""The base of every model that crosses a process boundary.

JSON names are camelCase, Python names snake_case; an unknown key is an error, so that a
misspelt field is refused instead of ignored.
"""

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

CEL_RULES = "x-kubernetes-validations"
"""The key of a schema's rules over several of its fields, as Kubernetes names it."""


def cel(*rules: tuple[str, str]) -> JsonDict:
    """The schema of CEL rules, each an expression and the message that the API server refuses with.

    Where a block runs without a cluster nothing enforces them: the model or the worker says the same.
    """
    return {CEL_RULES: [{"rule": rule, "message": message} for rule, message in rules]}


class Model(BaseModel):
    """Immutable, strict about its keys, camelCase on the wire."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    def to_json(self) -> str:
        """The wire form: compact camelCase JSON without unset optional fields."""
        return self.model_dump_json(by_alias=True, exclude_none=True)
