"""The forward process q(x_t | x₀), in coefficients that are computed in float64 and cast once.

Timesteps count from 0 as diffusers counts them: t = 0 is the first noising, t = K − 1 the last, so βₜ here is the
papers' β_{t+1}.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from diffrun_contracts.params.train import BetaSchedule
from diffrun_worker.errors import invalid_params

_MAX_BETA = 0.999
_COSINE_OFFSET = 0.008
# Below this float32, in which samplers compute, rounds towards no signal at all and x₀ = x_t / √ᾱ towards infinity.
_LEAST_SIGNAL = torch.finfo(torch.float32).tiny


class _Tables(NamedTuple):
    """What is looked up at a timestep, each [K]."""

    signal: Tensor
    """√ᾱ."""
    deviation: Tensor
    """√(1 − ᾱ)."""
    snr: Tensor
    """ᾱ / (1 − ᾱ)."""


class GaussianDiffusion:
    """x_t = √ᾱₜ x₀ + √(1 − ᾱₜ) ε over K timesteps (Ho et al. 2020, eq. 4)."""

    def __init__(
        self,
        timesteps: int = 1000,
        beta_schedule: str = BetaSchedule.LINEAR,
        beta_start: float = 1e-4,
        beta_end: float = 0.02,
    ) -> None:
        """Takes K and how β grows; the cosine schedule has no `beta_start` and `beta_end` and ignores them.

        Raises PermanentError `InvalidParams` for an unknown schedule, for βs that are not rising within (0, 1), and
        where so many timesteps leave no signal that float32 could hold.
        """
        self.timesteps = timesteps
        self.beta_schedule = _known_schedule(beta_schedule)
        self.beta_start = beta_start
        self.beta_end = beta_end
        self.betas: Tensor = self._make_betas()
        """β, [K] float64 on the CPU."""
        self.alphas_cumprod: Tensor = torch.cumprod(1 - self.betas, dim=0)
        """ᾱₜ = Π (1 − βₛ) over s ≤ t, [K] float64 on the CPU."""
        self._check_signal()
        self._tables: dict[tuple[torch.device, torch.dtype], _Tables] = {}

    def q_sample(self, clean: Tensor, timesteps: Tensor, noise: Tensor) -> Tensor:
        """x_t of clean images: √ᾱₜ x₀ + √(1 − ᾱₜ) ε (Ho et al. 2020, eq. 4).

        `clean` and `noise` are [N, C, H, W], images in [-1, 1]; `timesteps` is int64, [N] or a single one, on the
        same device. Nothing waits for that device.
        """
        signal, deviation = self._at(timesteps, clean)
        return signal * clean + deviation * noise

    def predict_clean(self, noisy: Tensor, timesteps: Tensor, noise_prediction: Tensor) -> Tensor:
        """x̂₀ = (x_t − √(1 − ᾱₜ) ε̂) / √ᾱₜ, the inverse of `q_sample` for the true ε; not clipped to [-1, 1]."""
        signal, deviation = self._at(timesteps, noisy)
        return (noisy - deviation * noise_prediction) / signal

    def snr(self, timesteps: Tensor) -> Tensor:
        """The signal-to-noise ratio ᾱₜ / (1 − ᾱₜ) as float32, in the shape and on the device of `timesteps`."""
        return self._on(timesteps.device, torch.float32).snr[timesteps]

    def scheduler_config(self) -> dict[str, Any]:
        """The scheduler_config.json with which diffusers' DDPMScheduler samples from this process.

        x̂₀ is clipped while sampling, since images lie in [-1, 1].
        """
        return {
            "_class_name": "DDPMScheduler",
            "num_train_timesteps": self.timesteps,
            "beta_schedule": str(self.beta_schedule),
            "beta_start": self.beta_start,
            "beta_end": self.beta_end,
            "clip_sample": True,
            "prediction_type": "epsilon",
            "variance_type": "fixed_small",
        }

    def _at(self, timesteps: Tensor, images: Tensor) -> tuple[Tensor, Tensor]:
        """√ᾱ and √(1 − ᾱ) at the timesteps, [N, 1, 1, 1]; float64 for float64 images, else float32."""
        dtype = torch.float64 if images.dtype == torch.float64 else torch.float32
        tables = self._on(images.device, dtype)
        shape = (-1, *[1] * (images.dim() - 1))
        return tables.signal[timesteps].reshape(shape), tables.deviation[timesteps].reshape(shape)

    def _on(self, device: torch.device, dtype: torch.dtype) -> "_Tables":
        """The tables on a device: copied there once, so that no training step copies."""
        key = (device, dtype)
        if key not in self._tables:
            alpha = self.alphas_cumprod
            exact = (alpha.sqrt(), (1 - alpha).sqrt(), alpha / (1 - alpha))
            self._tables[key] = _Tables(*(table.to(device=device, dtype=dtype) for table in exact))
        return self._tables[key]

    def _make_betas(self) -> Tensor:
        if self.timesteps < 2:
            raise invalid_params(f"diffusion.timesteps: needs 2 or more; got {self.timesteps}")
        if self.beta_schedule is BetaSchedule.COSINE:
            return _cosine_betas(self.timesteps)
        if not 0 < self.beta_start < 1:
            raise invalid_params(f"diffusion.betaStart: must lie between 0 and 1; got {self.beta_start}")
        if not self.beta_start <= self.beta_end < 1:
            raise invalid_params(
                f"diffusion.betaEnd: must be at least betaStart ({self.beta_start}) and below 1; got {self.beta_end}"
            )
        if self.beta_schedule is BetaSchedule.SCALED_LINEAR:
            start, end = math.sqrt(self.beta_start), math.sqrt(self.beta_end)
            return torch.linspace(start, end, self.timesteps, dtype=torch.float64).square()
        return torch.linspace(self.beta_start, self.beta_end, self.timesteps, dtype=torch.float64)

    def _check_signal(self) -> None:
        last = float(self.alphas_cumprod[-1])
        if last < _LEAST_SIGNAL:
            raise invalid_params(
                f"diffusion.timesteps: {self.timesteps} steps of the {self.beta_schedule} schedule from "
                f"{self.beta_start} to {self.beta_end} leave no signal (ᾱ = {last:.1e} at the end); "
                "set fewer timesteps or a lower betaEnd"
            )


def _cosine_betas(timesteps: int) -> Tensor:
    """βₜ = min(1 − f(t + 1)/f(t), 0.999), f(t) = cos²((t/K + s)/(1 + s) · π/2) (Nichol & Dhariwal 2021, eq. 17)."""
    time = torch.linspace(0, 1, timesteps + 1, dtype=torch.float64)
    signal = torch.cos((time + _COSINE_OFFSET) / (1 + _COSINE_OFFSET) * math.pi / 2).square()
    return (1 - signal[1:] / signal[:-1]).clamp(max=_MAX_BETA)


def _known_schedule(name: str) -> BetaSchedule:
    try:
        return BetaSchedule(name)
    except ValueError as error:
        known = ", ".join(BetaSchedule)
        raise invalid_params(f"diffusion.betaSchedule: {name!r} is unknown; use one of {known}") from error
