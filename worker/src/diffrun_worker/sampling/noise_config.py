"""What a scheduler_config.json may hold: whatever sizes a table, or is looked up in one, is a number within bounds.

diffusers takes what stands there as it is: a number of timesteps becomes that much memory, an offset an index.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from diffrun_contracts.params import TimestepSpacing
from diffrun_worker.errors import ErrorCode, PermanentError

MAX_TIMESTEPS = 100_000
"""A hundred times what models are trained with; a table of them takes less than a megabyte."""
DEFAULT_TIMESTEPS = 1000
"""What every scheduler of diffusers takes where the configuration is silent."""
MAX_ORDER = 10
"""Of a multistep solver, which keeps as many outputs of the model; more than 3 gain nothing."""


class _Rule(NamedTuple):
    holds: Callable[[Any], bool]
    words: str
    """Continue "it must be …"."""


def check_noise_config(config: Mapping[str, Any]) -> None:
    """Raises PermanentError `IncompatibleCheckpoint` naming the first key whose value no schedule can have."""
    for key, rule in _RULES.items():
        if key in config and not rule.holds(config[key]):
            raise _refused(f"{key} is {_shown(config[key])}; it must be {rule.words}")
    timesteps = config.get("num_train_timesteps", DEFAULT_TIMESTEPS)
    offset = config.get("steps_offset", 0)
    if offset >= timesteps:
        raise _refused(f"steps_offset is {offset}; it must be a whole number from 0 to {timesteps - 1}")
    betas = config.get("trained_betas")
    if betas is not None and len(betas) != timesteps:
        raise _refused(f"trained_betas has {len(betas)} values; it must have one for each of {timesteps} timesteps")


def _whole(least: int, most: int) -> _Rule:
    return _Rule(lambda value: type(value) is int and least <= value <= most, f"a whole number from {least} to {most}")


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def _is_beta(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


_BETA = _Rule(_is_beta, "a number from 0 to 1")
_POSITIVE = _Rule(lambda value: _is_number(value) and value > 0, "a number above 0")
_NAME = _Rule(lambda value: isinstance(value, str), "a name")

_RULES: Mapping[str, _Rule] = {
    "num_train_timesteps": _whole(1, MAX_TIMESTEPS),
    "beta_start": _BETA,
    "beta_end": _BETA,
    "beta_schedule": _NAME,
    "trained_betas": _Rule(
        lambda value: value is None or (isinstance(value, list | tuple) and all(map(_is_beta, value))),
        "null or a list of numbers from 0 to 1",
    ),
    "prediction_type": _NAME,
    "steps_offset": _whole(0, MAX_TIMESTEPS - 1),
    "timestep_spacing": _Rule(
        lambda value: isinstance(value, str) and value in list(TimestepSpacing),
        f"one of {', '.join(TimestepSpacing)}",
    ),
    "solver_order": _whole(1, MAX_ORDER),
    "clip_sample_range": _POSITIVE,
    "sample_max_value": _POSITIVE,
    "dynamic_thresholding_ratio": _BETA,
}


def _shown(value: object) -> str:
    """A value in a few words, however large it is."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _refused(what: str) -> PermanentError:
    return PermanentError(ErrorCode.INCOMPATIBLE_CHECKPOINT, f"scheduler_config.json: {what}")
