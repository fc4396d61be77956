"""Reads the settings from the environment, and tells every mistake there by the name of its variable.

A misspelt variable of a setting's shape is an error, not ignored.
"""

import os
from collections.abc import Mapping

from pydantic import BaseModel

from diffrun_operator.settings import ENV_DELIMITER, ENV_PREFIX, Settings


class SettingsError(Exception):
    """The environment does not make valid settings; the message names the variable and the remedy."""


def load(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises SettingsError with every problem, each naming its variable.
    """
    unknown = _unknown_variables(environ)
    if unknown:
        raise SettingsError(f"no such setting: {', '.join(unknown)}; see diffrun_operator.settings for the names")
    try:
        return Settings()
    except ValueError as error:  # pydantic's ValidationError is one
        raise SettingsError(_explain(error)) from error


def _unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables of our shape that name no setting; others with the prefix are Kubernetes' service links."""
    unknown = []
    for variable in environ:
        group, delimiter, field = variable.removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if not variable.startswith(ENV_PREFIX) or not delimiter:
            continue
        model = Settings.model_fields.get(group.lower())
        kind = model.annotation if model else None
        fields = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
        if field.lower().split(ENV_DELIMITER)[0] not in fields:
            unknown.append(variable)
    return sorted(unknown)


def _explain(error: ValueError) -> str:
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error)
    lines = []
    for problem in problems(include_url=False, include_input=False):
        variable = ENV_PREFIX + ENV_DELIMITER.join(str(part).upper() for part in problem["loc"])
        lines.append(f"{variable}: {problem['msg']}")
    return "; ".join(lines)
