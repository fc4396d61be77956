"""The base of every force's and drift's parameters, and the error that a wrong one ends in."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

from diffrun_worker.errors import invalid_params
from diffrun_worker.registry import describe

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A number, of either sign, that is neither NaN nor infinite."""

ClassName = Annotated[str, Field(min_length=1, max_length=64)]
"""A class, by its name in the checkpoint's list."""

Frequency = Annotated[float, Field(gt=0, le=0.5, allow_inf_nan=False)]
"""Cycles a step. Above half a cycle a step a wave cannot be told from a slower one (Nyquist)."""

P = TypeVar("P", bound=BaseModel)


class Parameters(BaseModel):
    """Immutable and strict about its keys, which may be written as `target_class` or `targetClass`.

    Classes named by a number (`target_class: 3`) are taken by that name: YAML reads digits as numbers.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        loc_by_alias=False,
        extra="forbid",
        frozen=True,
        coerce_numbers_to_str=True,
        use_attribute_docstrings=True,
    )

    @model_validator(mode="before")
    @classmethod
    def _each_once(cls, values: Any) -> Any:
        for name in cls.model_fields:
            alias = to_camel(name)
            if name != alias and isinstance(values, Mapping) and name in values and alias in values:
                raise ValueError(f"{name} is given twice, also as {alias}; leave one of them out")
        return values


def parse(model: type[P], values: Mapping[str, Any], where: str) -> P:
    """The parameters of one force or drift.

    Raises PermanentError `InvalidParams` with `where`, each wrong parameter, and all that there are.
    """
    try:
        return model.model_validate(dict(values))
    except ValidationError as error:
        known = ", ".join(model.model_fields) or "none"
        raise invalid_params(f"{where}: {describe(error)}; its parameters are {known}") from error


def knows(model: type[BaseModel], key: str) -> bool:
    """Whether a model has a parameter of that name, in either spelling."""
    return key in model.model_fields or any(to_camel(name) == key for name in model.model_fields)
