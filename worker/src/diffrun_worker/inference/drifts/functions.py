"""The drifts as functions of the public signature, and the registry that knows them by name.

k is the step's number, t its timestep, K the checkpoint's number of timesteps, z unit Gaussian noise from the
sample's own generator, s the scale, d the decay, a the amplitude.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor

from diffrun_worker.errors import ErrorCode
from diffrun_worker.inference.drifts import params as drifts
from diffrun_worker.inference.moment import Moment
from diffrun_worker.inference.parameters import parse
from diffrun_worker.inference.registry import Registry
from diffrun_worker.inference.traits import declare

ENTRY_POINT_GROUP = "diffrun.drifts"

CUSTOM = "drift_user_custom"

DEFAULT_TIMESTEPS = 1000
"""K, where a drift is called by hand and not told."""

_EPSILON = 1e-8

_NOT_PARAMETERS = frozenset({"enabled", "function_name", "functionName", "params"})
"""Of a DriftConfig: what says which drift there is, and where its further parameters stand."""

DriftFunction = Callable[..., Tensor]
"""Called by keyword with

    x              the state after the scheduler's step, [N, C, H, W]
    t              the training timestep
    t_index        the step's number, from 0
    total_steps    how many there are
    drift_cfg      `scale`, `decay` and the drift's further parameters
    state          a dict that stays from step to step
    randn_like     unit Gaussian noise of a tensor's shape, from the samples' own generators
    num_train_timesteps   K

and returns the state that takes its place, of the same shape. It must take further keywords (`**kwargs`).
"""

D = TypeVar("D", bound=drifts.DriftParams)


@declare(params=drifts.DriftParams, batched=True)
def drift_none(x: Tensor, **_arguments: Any) -> Tensor:
    """Leaves the state alone: x."""
    return x


@declare(params=drifts.Noise, batched=True)
def drift_default(x: Tensor, t_index: int, drift_cfg: Mapping[str, Any], **arguments: Any) -> Tensor:
    """Noise that fades from step to step: x + s a dᵏ z."""
    params = _params(drifts.Noise, "drift_default", drift_cfg, arguments)
    return _add_noise(x, params.scale * params.amplitude * params.decay**t_index, arguments)


@declare(params=drifts.Noise, batched=True)
def drift_time_scaled(x: Tensor, t: int, drift_cfg: Mapping[str, Any], **arguments: Any) -> Tensor:
    """Noise in proportion to the timestep, most at first: x + s a (t / K) z."""
    params = _params(drifts.Noise, "drift_time_scaled", drift_cfg, arguments)
    return _add_noise(x, params.scale * params.amplitude * _share(t, arguments), arguments)


@declare(params=drifts.Noise, batched=True)
def drift_inverse_time_scaled(x: Tensor, t: int, drift_cfg: Mapping[str, Any], **arguments: Any) -> Tensor:
    """Noise that grows towards the image: x + s a (1 − t / K) z."""
    params = _params(drifts.Noise, "drift_inverse_time_scaled", drift_cfg, arguments)
    return _add_noise(x, params.scale * params.amplitude * (1 - _share(t, arguments)), arguments)


@declare(params=drifts.Oscillatory, batched=True)
def drift_oscillatory(
    x: Tensor, t: int, t_index: int, total_steps: int, drift_cfg: Mapping[str, Any], **arguments: Any
) -> Tensor:
    """Noise that comes and goes: x + s a sin(2π (f k + φ)) z."""
    params = _params(drifts.Oscillatory, "drift_oscillatory", drift_cfg, arguments)
    wave = Moment(t, t_index, total_steps).wave(params.frequency, params.phase)
    return _add_noise(x, params.scale * params.amplitude * wave, arguments)


@declare(params=drifts.DecayOnly, batched=True)
def drift_decay_only(x: Tensor, drift_cfg: Mapping[str, Any], **arguments: Any) -> Tensor:
    """Towards zero by the same factor at every step: dˢ x."""
    params = _params(drifts.DecayOnly, "drift_decay_only", drift_cfg, arguments)
    factor: float = params.decay**params.scale
    return x * factor


@declare(params=drifts.Clamp, batched=True)
def drift_clamp(x: Tensor, drift_cfg: Mapping[str, Any], **arguments: Any) -> Tensor:
    """Within a range: min(max(x, s·low), s·high)."""
    params = _params(drifts.Clamp, "drift_clamp", drift_cfg, arguments)
    return x.clamp(params.scale * params.low, params.scale * params.high)


@declare(params=drifts.DriftParams, batched=True)
def drift_normalize(x: Tensor, drift_cfg: Mapping[str, Any], **arguments: Any) -> Tensor:
    """To a standard deviation of s, each sample by itself: s x / σ(x), over its channels and pixels."""
    params = _params(drifts.DriftParams, "drift_normalize", drift_cfg, arguments)
    # Row by row: over several rows at once torch sums in another order, and the last bits would know the batch size.
    spread = torch.stack([row.std(correction=0) for row in x]).view(-1, 1, 1, 1)
    return params.scale * x / spread.clamp_min(_EPSILON)


def drift_user_custom(**arguments: Any) -> Tensor:
    """Whatever `fn` of its configuration returns."""
    moved: Tensor = arguments["drift_cfg"]["fn"](**arguments)
    return moved


def _params(model: type[D], name: str, drift_cfg: Mapping[str, Any], arguments: Mapping[str, Any]) -> D:
    given = arguments.get("params")
    return given if isinstance(given, model) else parse(model, _own(drift_cfg), name)


def _own(drift_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A drift's parameters out of its configuration, which may be a whole DriftConfig as a dict."""
    further = drift_cfg.get("params") or {}
    return {key: value for key, value in drift_cfg.items() if key not in _NOT_PARAMETERS} | dict(further)


def _share(t: int, arguments: Mapping[str, Any]) -> float:
    return t / int(arguments.get("num_train_timesteps", DEFAULT_TIMESTEPS))


def _add_noise(x: Tensor, magnitude: float, arguments: Mapping[str, Any]) -> Tensor:
    # Drawn at every step, also where the magnitude is 0: the noise of a step does not depend on those before it.
    noise: Tensor = arguments.get("randn_like", torch.randn_like)(x)
    return x + magnitude * noise


DRIFT_REGISTRY = Registry(
    "drift",
    ENTRY_POINT_GROUP,
    ErrorCode.UNKNOWN_DRIFT,
    {
        function.__name__: function
        for function in (
            drift_none,
            drift_default,
            drift_time_scaled,
            drift_inverse_time_scaled,
            drift_oscillatory,
            drift_decay_only,
            drift_clamp,
            drift_normalize,
            drift_user_custom,
        )
    },
)
"""Drifts by name. `DRIFT_REGISTRY["drift_mine"] = function` adds one."""
