"""A drift as a configuration describes it, with its parameters checked and ready to act."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from pydantic import BaseModel
from torch import Tensor

from diffrun_contracts.params.infer import DriftConfig
from diffrun_worker.errors import invalid_params
from diffrun_worker.inference.drifts.functions import CUSTOM, DRIFT_REGISTRY
from diffrun_worker.inference.drifts.params import DriftParams
from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.parameters import knows, parse
from diffrun_worker.inference.rows import Memory, call_checked
from diffrun_worker.inference.traits import Traits, traits_of
from diffrun_worker.inference.user_code import UserCode


@dataclass(frozen=True)
class BoundDrift:
    """One drift with its parameters."""

    where: str
    """Its place in the configuration, for errors."""
    function: Callable[..., Any]
    cfg: Mapping[str, Any]
    """What it gets as `drift_cfg`."""
    params: Any
    """The same as its declared model, or None."""
    traits: Traits
    num_train_timesteps: int

    def moved(self, x: Tensor, moment: Moment, memory: Memory) -> Tensor:
        """The state that takes the place of `x`, both [N, C, H, W]."""
        if self.traits.batched:
            extra: dict[str, Any] = {"sample_indexes": memory.indexes, "randn_like": memory.randn_like}
            return self._call(x, moment, memory.batch, extra)
        return torch.cat([self._call(x[row], moment, state, extra) for row, state, extra in memory.rows()])

    def _call(self, x: Tensor, moment: Moment, state: dict[str, Any], extra: dict[str, Any]) -> Tensor:
        return call_checked(
            self.function,
            self.where,
            x,
            x=x,
            t=moment.t,
            t_index=moment.t_index,
            total_steps=moment.total_steps,
            drift_cfg=self.cfg,
            state=state,
            params=self.params,
            num_train_timesteps=self.num_train_timesteps,
            **extra,
        )


def bind_drift(
    config: DriftConfig, num_train_timesteps: int, total_steps: int, user_code: UserCode
) -> BoundDrift | None:
    """Holds a drift against the registry; None where none is enabled.

    Raises PermanentError: `UnknownDrift`, `InvalidParams`, `UserCodeForbidden`, `UserCodeFailed`.
    """
    name = config.function_name
    function = DRIFT_REGISTRY.find(name, "drift.functionName")
    where = f"drift.params {name}"
    for key in ("scale", "decay"):
        if key in config.params:
            raise invalid_params(f"{where}: {key}: set drift.{key} instead")
    cfg = {"scale": config.scale, "decay": config.decay, **config.params}
    if name == CUSTOM:
        if "fn" not in cfg:
            raise invalid_params(f"{where}: fn: a function, or path/to/file.py:name, is needed")
        if not config.enabled:  # No file is read for it, and so nobody knows its parameters.
            return None
        function = user_code.function(cfg["fn"], f"{where}: fn")
    traits = traits_of(function)
    params = None if traits.params is None else _checked(traits.params, config, where, total_steps)
    # Parameters of a drift that is off are held to its model too: they were written to be switched on.
    return BoundDrift(where, function, cfg, params, traits, num_train_timesteps) if config.enabled else None


def _checked(model: type[BaseModel], config: DriftConfig, where: str, total_steps: int) -> BaseModel:
    params = parse(model, _told(model, config), where)
    if isinstance(params, DriftParams):
        try:
            params.check_steps(total_steps)
        except ValueError as error:
            raise invalid_params(f"{where}: {error}") from error
    return params


def _told(model: type[BaseModel], config: DriftConfig) -> dict[str, Any]:
    """What a drift's model is held to: of `scale` and `decay` what it knows, and what the user has changed."""
    default = DriftConfig()
    ours = {key: getattr(config, key) for key in ("scale", "decay")}
    told = {key: value for key, value in ours.items() if knows(model, key) or value != getattr(default, key)}
    custom = config.function_name == CUSTOM  # Elsewhere `fn` is a parameter too many.
    own = {key: value for key, value in config.params.items() if key != "fn" or not custom or knows(model, key)}
    return told | own
