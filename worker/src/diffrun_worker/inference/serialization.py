"""Configurations from and to dicts, JSON and YAML, in the same ways for each of them.

Keys are read in camelCase and snake_case and written in snake_case; an unknown one is an error.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from pydantic import ValidationError

from diffrun_contracts.base import Model
from diffrun_worker.errors import invalid_params
from diffrun_worker.registry import describe

_WRITTEN = {"total": "total_videos"}
"""Fields that the Python interface knows under another name."""


class Serializable(Model):
    """A configuration that can be read and written; errors name it by its place."""

    place: ClassVar[str]
    """Where it stands in a run's configuration."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises PermanentError `InvalidParams` naming each wrong field."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise invalid_params(f"{cls.place}: {describe(error)}") from error

    @classmethod
    def from_yaml(cls, text: str | bytes) -> Self:
        """Of YAML, and so of JSON too. Raises PermanentError `InvalidParams`."""
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise invalid_params(f"{cls.place}: not YAML: {' '.join(str(error).split())}") from error
        return cls._from_parsed(values, "a mapping")

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises PermanentError `InvalidParams`."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise invalid_params(f"{cls.place}: not JSON: {error}") from error
        return cls._from_parsed(values, "an object")

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """A YAML or JSON file. Raises PermanentError `InvalidParams`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise invalid_params(f"{cls.place}: cannot read {path}: {error}") from error
        return cls.from_yaml(text)

    @classmethod
    def _from_parsed(cls, values: object, wanted: str) -> Self:
        if not isinstance(values, dict):
            raise invalid_params(f"{cls.place}: {wanted} of parameters is needed")
        return cls.from_dict(values)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `from_dict` takes back; a function is named by where it stands."""
        return plain(self)

    def to_json(self) -> str:
        """What `from_json` takes back: `to_dict` as text."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def to_yaml(self) -> str:
        """What `from_yaml` takes back."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def plain(config: Model) -> dict[str, Any]:
    """Any configuration as plain values under the Python interface's names.

    A function becomes `file:name`, and whatever else JSON does not know its `repr`.
    """
    values = config.model_dump(mode="json", by_alias=False, fallback=_told)
    return {_WRITTEN.get(name, name): value for name, value in values.items()}


def _told(value: Any) -> str:
    if not callable(value):
        return repr(value)
    named = value if hasattr(value, "__qualname__") else type(value)
    code = getattr(named, "__code__", None)
    return f"{code.co_filename if code else named.__module__}:{named.__qualname__}"
