"""The drifts as functions of the public signature, and the registry that knows them by name.

k is the step's number, t its timestep, K the checkpoint's number of timesteps, z unit Gaussian noise from the
sample's own generator, s the scale, d the decay, a the amplitude.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

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
"""Called by keyword with the following, of which ours take the first six by position too,

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


@dataclass(frozen=True)
class Step(Generic[D]):
    """What a drift's formula knows of the step."""

    params: D
    moment: Moment
    told: Mapping[str, Any]
    """Whatever else the drift was called with."""

    @property
    def share(self) -> float:
        """t / K."""
        return self.moment.t / int(self.told.get("num_train_timesteps", DEFAULT_TIMESTEPS))

    def noised(self, x: Tensor, magnitude: float) -> Tensor:
        """x + magnitude · z."""
        # Drawn at every step, also where the magnitude is 0: the noise of a step does not depend on those before it.
        noise: Tensor = self.told.get("randn_like", torch.randn_like)(x)
        return x + magnitude * noise


Formula = Callable[[Tensor, Step[D]], Tensor]


def drift(model: type[D]) -> Callable[[Formula[D]], DriftFunction]:
    """A decorator that makes a drift of the public signature out of its formula."""

    def of(formula: Formula[D]) -> DriftFunction:
        @declare(params=model, batched=True)
        def moved(
            x: Tensor,
            t: int,
            t_index: int,
            total_steps: int,
            drift_cfg: Mapping[str, Any],
            state: dict[str, Any],  # noqa: ARG001 - part of the signature
            **kwargs: Any,
        ) -> Tensor:
            given = kwargs.get("params")
            params = given if isinstance(given, model) else parse(model, _own(drift_cfg), formula.__name__)
            return formula(x, Step(params, Moment(t, t_index, total_steps), kwargs))

        moved.__name__ = moved.__qualname__ = formula.__name__
        moved.__doc__ = formula.__doc__
        return moved

    return of


@drift(drifts.DriftParams)
def drift_none(x: Tensor, _step: Step[drifts.DriftParams]) -> Tensor:
    """Leaves the state alone: x."""
    return x


@drift(drifts.Fading)
def drift_default(x: Tensor, step: Step[drifts.Fading]) -> Tensor:
    """Noise that fades from step to step: x + s a dᵏ z."""
    params = step.params
    return step.noised(x, params.scale * params.amplitude * params.decay**step.moment.t_index)


@drift(drifts.Noise)
def drift_time_scaled(x: Tensor, step: Step[drifts.Noise]) -> Tensor:
    """Noise in proportion to the timestep, most at first: x + s a (t / K) z."""
    return step.noised(x, step.params.scale * step.params.amplitude * step.share)


@drift(drifts.Noise)
def drift_inverse_time_scaled(x: Tensor, step: Step[drifts.Noise]) -> Tensor:
    """Noise that grows towards the image: x + s a (1 − t / K) z."""
    return step.noised(x, step.params.scale * step.params.amplitude * (1 - step.share))


@drift(drifts.Oscillatory)
def drift_oscillatory(x: Tensor, step: Step[drifts.Oscillatory]) -> Tensor:
    """Noise that comes and goes: x + s a sin(2π (f k + φ)) z."""
    params = step.params
    return step.noised(x, params.scale * params.amplitude * step.moment.wave(params.frequency, params.phase))


@drift(drifts.DecayOnly)
def drift_decay_only(x: Tensor, step: Step[drifts.DecayOnly]) -> Tensor:
    """Towards zero by the same factor at every step: dˢ x."""
    factor: float = step.params.decay**step.params.scale
    return x * factor


@drift(drifts.Clamp)
def drift_clamp(x: Tensor, step: Step[drifts.Clamp]) -> Tensor:
    """Within a range: min(max(x, s·low), s·high)."""
    limit = torch.finfo(x.dtype).max  # torch takes no bound that the state's own type cannot hold
    low, high = (min(max(step.params.scale * one, -limit), limit) for one in (step.params.low, step.params.high))
    return x.clamp(low, high)


@drift(drifts.DriftParams)
def drift_normalize(x: Tensor, step: Step[drifts.DriftParams]) -> Tensor:
    """To a standard deviation of s, each sample by itself: s x / σ(x), over its channels and pixels."""
    # Row by row: over several rows at once torch sums in another order, and the last bits would know the batch size.
    spread = torch.stack([row.std(correction=0) for row in x]).view(-1, 1, 1, 1)
    return step.params.scale * x / spread.clamp_min(_EPSILON)


def drift_user_custom(
    x: Tensor,
    t: int,
    t_index: int,
    total_steps: int,
    drift_cfg: Mapping[str, Any],
    state: dict[str, Any],
    **kwargs: Any,
) -> Tensor:
    """Whatever `fn` of its configuration returns."""
    moved: Tensor = _own(drift_cfg)["fn"](
        x=x, t=t, t_index=t_index, total_steps=total_steps, drift_cfg=drift_cfg, state=state, **kwargs
    )
    return moved


def _own(drift_cfg: Mapping[str, Any]) -> dict[str, Any]:
    """A drift's parameters out of its configuration, which may be a whole DriftConfig as a dict."""
    further = drift_cfg.get("params") or {}
    return {key: value for key, value in drift_cfg.items() if key not in _NOT_PARAMETERS} | dict(further)


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
