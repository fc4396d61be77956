"""What a scheduler does over one batch: its timesteps, and the noise level at each UNet call.

The arithmetic of a step is diffusers' own; here is only what the loop and the metrics need to know about it.

A *call* is one evaluation of the UNet. DDIM makes one a step; Heun makes 2·steps − 1; PNDM starts with
Runge-Kutta steps of several calls. Metrics count calls: call i is the UNet at `scheduler.timesteps[i]`.
"""

import copy
import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import diffusers
import torch
from torch import Generator, Tensor

from diffrun_contracts.params import Sampler, SamplerName, TimestepSpacing
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.sampling.noise_config import check_noise_config

MAX_SNR = 1000.0

# What diffusers raises for a configuration that it cannot make a schedule of; an ImportError is of a missing SciPy.
_NO_SCHEDULE = (ValueError, TypeError, RuntimeError, ArithmeticError, LookupError, AttributeError, ImportError)
_EPSILON, _V, _SAMPLE = "epsilon", "v_prediction", "sample"


@dataclass(frozen=True)
class SamplerTraits:
    """What diffusers' class can and cannot do, read from its source and held by tests."""

    predictions: frozenset[str] = frozenset({_EPSILON, _V, _SAMPLE})
    """Which `prediction_type` its step knows."""
    min_steps: int = 1
    """Fewer fail inside `set_timesteps`."""
    even_spacing: bool = False
    """Its step assumes t − num_train_timesteps // steps to come next, which linspace spacing does not give."""


TRAITS: Mapping[SamplerName, SamplerTraits] = {
    SamplerName.DDIM: SamplerTraits(even_spacing=True),
    SamplerName.DDPM: SamplerTraits(),
    # Four Runge-Kutta steps come first.
    SamplerName.PNDM: SamplerTraits(frozenset({_EPSILON, _V}), min_steps=4, even_spacing=True),
    SamplerName.EULER_DISCRETE: SamplerTraits(),
    SamplerName.EULER_ANCESTRAL_DISCRETE: SamplerTraits(frozenset({_EPSILON, _V})),
    SamplerName.HEUN_DISCRETE: SamplerTraits(),
    SamplerName.DPM_SOLVER_MULTISTEP: SamplerTraits(),
    SamplerName.DEIS_MULTISTEP: SamplerTraits(),
    SamplerName.UNI_PC_MULTISTEP: SamplerTraits(),
}


class Schedule:
    """One sampler over one checkpoint's noise schedule."""

    def __init__(self, config: Mapping[str, Any], sampler: Sampler) -> None:
        """Takes the checkpoint's scheduler configuration, of whatever scheduler it was written for.

        Raises PermanentError `InvalidParams` where the sampler cannot do what is asked, and
        `IncompatibleCheckpoint` where the configuration is not one of a noise schedule.
        """
        check_noise_config(config)
        self.sampler = sampler
        self._class: Any = getattr(diffusers, f"{sampler.name}Scheduler")
        self._config = dict(config)
        if sampler.timestep_spacing is not None:
            self._config["timestep_spacing"] = str(sampler.timestep_spacing)
            # diffusers leaves out what a scheduler's configuration says was only its default.
            defaults = config.get("_use_default_values", ())
            self._config["_use_default_values"] = [name for name in defaults if name != "timestep_spacing"]
        scheduler = self._make()
        self.prediction_type = str(scheduler.config.prediction_type)
        self._check(scheduler.config)
        self._started = self._first_start()
        self.timesteps: Tensor = self._started.timesteps
        """[calls] on the CPU, descending."""
        self._check_timesteps(scheduler.config)

    def _make(self) -> Any:
        try:
            return self._class.from_config(self._config)
        except _NO_SCHEDULE as error:
            raise self._incompatible(error) from error

    def _first_start(self) -> Any:
        scheduler = self._make()
        try:
            scheduler.set_timesteps(self.sampler.steps)
        except _NO_SCHEDULE as error:
            raise self._incompatible(error) from error
        return scheduler

    def _incompatible(self, error: Exception) -> PermanentError:
        return PermanentError(
            ErrorCode.INCOMPATIBLE_CHECKPOINT,
            f"scheduler_config.json does not describe a noise schedule that {self.sampler.name} takes: {error}",
        )

    def _check(self, config: Any) -> None:
        name, steps, traits = self.sampler.name, self.sampler.steps, TRAITS[self.sampler.name]
        if self.prediction_type not in traits.predictions:
            raise invalid_params(
                f"sampler.name: {name} cannot denoise a model with prediction_type {self.prediction_type!r}; "
                f"use one of {', '.join(_samplers_for(self.prediction_type)) or 'another model'}"
            )
        if not traits.min_steps <= steps <= config.num_train_timesteps:
            raise invalid_params(
                f"sampler.steps: {name} takes {traits.min_steps} to {config.num_train_timesteps} steps with this "
                f"model; got {steps}"
            )
        if self.sampler.eta and name is not SamplerName.DDIM:
            raise invalid_params(
                f"sampler.eta: only DDIM takes an eta other than 0; got {self.sampler.eta} with {name}"
            )
        if traits.even_spacing and config.timestep_spacing == TimestepSpacing.LINSPACE:
            raise invalid_params(
                f"sampler.timestepSpacing: {name} steps wrongly over linspace spacing; set leading or trailing"
            )
        if getattr(config, "use_flow_sigmas", False):
            raise PermanentError(
                ErrorCode.INCOMPATIBLE_CHECKPOINT,
                "scheduler_config.json: use_flow_sigmas is set; flow-matching models are not supported",
            )

    def _check_timesteps(self, config: Any) -> None:
        """An offset shifts leading timesteps upwards, and with many steps beyond what the model was trained with."""
        last, highest = config.num_train_timesteps - 1, float(self.timesteps.max())
        if highest > last:
            raise invalid_params(
                f"sampler.steps: {self.sampler.name} in {self.sampler.steps} steps begins at timestep {highest:g} with "
                f"this model's steps_offset {config.steps_offset}, and its last is {last}; take fewer steps"
            )

    def start(self) -> Any:
        """A fresh diffusers scheduler with its timesteps set, for one batch: schedulers remember past steps.

        Everything it looks up lies on the CPU, so that no step waits for a GPU. A copy: diffusers takes five times as
        long to make one.
        """
        return copy.deepcopy(self._started)

    @cached_property
    def described(self) -> dict[str, Any]:
        """The scheduler's configuration as it is used: defaults and overrides filled in, without diffusers' remarks."""
        return {key: value for key, value in self._make().config.items() if not key.startswith("_")}

    def step_arguments(self, generators: Sequence[Generator]) -> dict[str, Any]:
        """The keyword arguments of this scheduler's `step`: one generator a sample where it draws noise."""
        arguments: dict[str, Any] = {"generator": list(generators), "eta": self.sampler.eta}
        return {key: value for key, value in arguments.items() if key in self._step_takes}

    @cached_property
    def _step_takes(self) -> frozenset[str]:
        return frozenset(inspect.signature(self._class.step).parameters)

    @property
    def calls(self) -> int:
        """How often the UNet is called for one batch."""
        return len(self.timesteps)

    @cached_property
    def alphas_cumprod(self) -> tuple[float, ...]:
        """ᾱ at each call, float64.

        With sigmas (σ² = (1 − ᾱ)/ᾱ, interpolated where timesteps are not whole) ᾱ = 1/(1 + σ²); diffusers keeps one
        sigma a call and a last one for the end. Without them ᾱ is looked up at the timestep.
        """
        scheduler = self.start()
        sigmas = getattr(scheduler, "sigmas", None)
        if sigmas is not None:
            return tuple(1 / (1 + float(sigma) ** 2) for sigma in sigmas[: self.calls])
        return tuple(float(scheduler.alphas_cumprod[int(timestep)]) for timestep in self.timesteps)

    @cached_property
    def noise_levels(self) -> tuple[float, ...]:
        """1 − ᾱ at each call: near 1 is noise, 0 is an image."""
        return tuple(1 - alpha for alpha in self.alphas_cumprod)

    @cached_property
    def snrs(self) -> tuple[float, ...]:
        """ᾱ/(1 − ᾱ) at each call, at most `MAX_SNR`."""
        return tuple(signal_to_noise(alpha) for alpha in self.alphas_cumprod)

    def predicted_noise(self, call: int, model_input: Tensor, output: Tensor) -> Tensor:
        """ε̂ of a UNet output, whatever the model predicts. All [N, C, H, W].

        `model_input` is what the UNet saw: x_t = √ᾱ x₀ + √(1 − ᾱ) ε for every sampler, since those that work with
        sigmas scale their inputs to it.
        """
        if self.prediction_type == _EPSILON:
            return output
        alpha = self.alphas_cumprod[call]
        signal, noise = math.sqrt(alpha), math.sqrt(1 - alpha)
        if self.prediction_type == _V:
            return signal * output + noise * model_input  # v = √ᾱ ε − √(1 − ᾱ) x₀ (Salimans & Ho 2022, appendix D)
        return torch.div(model_input - signal * output, noise)


def signal_to_noise(alpha_cumprod: float) -> float:
    """ᾱ/(1 − ᾱ), at most `MAX_SNR`, also at ᾱ = 1."""
    return MAX_SNR if alpha_cumprod >= 1 else min(MAX_SNR, alpha_cumprod / (1 - alpha_cumprod))


def _samplers_for(prediction_type: str) -> list[str]:
    return [str(name) for name, traits in TRAITS.items() if prediction_type in traits.predictions]
