"""The configuration of the Python interface: the block's own, with what only a run without a cluster needs.

`from_dict`, `from_json` and `from_yaml` take camelCase and snake_case keys; an unknown one is an error.
"""

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import ValidationError, model_validator

from diffrun_contracts.params.infer import (
    CaptureConfig,
    DriftConfig,
    EnvironmentConfig,
    ForceConfig,
    VideoConfig,
)
from diffrun_contracts.params.infer import InferenceConfig as BlockConfig
from diffrun_worker.errors import invalid_params
from diffrun_worker.registry import describe

__all__ = [
    "CaptureConfig",
    "DriftConfig",
    "EnvironmentConfig",
    "ForceConfig",
    "InferenceConfig",
    "VideoConfig",
    "drawn_seed",
    "with_seed",
]

_STEPS = ("num_inference_steps", "numInferenceSteps")

_SEED_LIMIT = 2**31


class InferenceConfig(BlockConfig):
    """The parameters of the block `infer`, a checkpoint's folder and a folder for what comes out.

    `num_inference_steps=20` may be given instead of `sampler=Sampler(steps=20)`, and `total_videos` for `total`.
    """

    checkpoint_path: str | None = None
    """A checkpoint's folder, or a folder of checkpoints, of which the newest is taken."""
    output_dir: str = "output"
    """The folder that the output tree is written to."""

    @model_validator(mode="before")
    @classmethod
    def _steps_by_their_other_name(cls, data: Any) -> Any:
        given = [key for key in _STEPS if isinstance(data, Mapping) and key in data]
        if not given:
            return data
        if "sampler" in data or len(given) > 1:
            raise ValueError(f"{given[0]}: give this or sampler.steps, not both")
        rest = {key: value for key, value in data.items() if key not in _STEPS}
        return {**rest, "sampler": {"steps": data[given[0]]}}

    @property
    def num_inference_steps(self) -> int:
        """`sampler.steps`."""
        return self.sampler.steps

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Raises PermanentError `InvalidParams` naming each wrong field."""
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise invalid_params(f"infer: {describe(error)}") from error

    @classmethod
    def from_yaml(cls, text: str) -> Self:
        """Of YAML, and so of JSON too. Raises PermanentError `InvalidParams`."""
        try:
            values = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise invalid_params(f"infer: not YAML: {' '.join(str(error).split())}") from error
        if not isinstance(values, dict):
            raise invalid_params("infer: a mapping of parameters is needed")
        return cls.from_dict(values)

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Raises PermanentError `InvalidParams`."""
        try:
            values = json.loads(text)
        except ValueError as error:
            raise invalid_params(f"infer: not JSON: {error}") from error
        if not isinstance(values, dict):
            raise invalid_params("infer: an object of parameters is needed")
        return cls.from_dict(values)

    @classmethod
    def from_file(cls, path: str | Path) -> Self:
        """A YAML or JSON file. Raises PermanentError `InvalidParams`."""
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise invalid_params(f"infer: cannot read {path}: {error}") from error
        return cls.from_yaml(text)

    def to_dict(self) -> dict[str, Any]:
        """Plain values under snake_case keys, which `from_dict` takes back; a function is named by where it stands."""
        values: dict[str, Any] = self.model_dump(mode="json", by_alias=False, fallback=_named)
        return values

    def to_yaml(self) -> str:
        """What `from_yaml` takes back."""
        return yaml.safe_dump(self.to_dict(), sort_keys=False, allow_unicode=True)


def drawn_seed() -> int:
    """A seed where nobody has named one."""
    return secrets.randbelow(_SEED_LIMIT)


def with_seed(config: InferenceConfig, world_size: int = 1) -> InferenceConfig:
    """The configuration with a seed for the whole run, drawn here where it has none.

    Raises PermanentError `InvalidParams` where several processes would each draw one of their own.
    """
    if config.seed is not None:
        return config
    if world_size > 1:
        raise invalid_params(
            f"seed: {world_size} processes share this run, and each would draw a seed of its own; "
            "give the same seed to all"
        )
    return config.model_copy(update={"seed": drawn_seed()})


def _named(value: Any) -> Any:
    """A function as `file:name`, as far as it has one."""
    if callable(value):
        named = value if hasattr(value, "__qualname__") else type(value)
        code = getattr(named, "__code__", None)
        return f"{code.co_filename if code else named.__module__}:{named.__qualname__}"
    raise TypeError(f"{type(value).__name__} is no plain value")
