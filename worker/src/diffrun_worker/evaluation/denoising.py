"""Local denoising: what a model makes of real images that were noised to one timestep, in a single call.

It tells a weak model from a broken pipeline: near t = 0 even a weak model gives x₀ back, and from which t on it
does not is what it has still to learn.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from diffrun_contracts.params import Sampler, SamplerName
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import invalid_params
from diffrun_worker.sampling.loader import Model
from diffrun_worker.sampling.schedules import Schedule


@dataclass(frozen=True)
class Denoised:
    """One timestep. Images are [N, C, H, W], float32 on the model's device."""

    timestep: int
    noisy: Tensor
    """x_t, of unit variance rather than in [-1, 1]."""
    clean: Tensor
    """x̂₀, not clipped."""
    mse: float
    """The mean of (x̂₀ − x₀)² over images and pixels."""
    clipped_mse: float
    """The same with x̂₀ clipped to [-1, 1], as samplers do and pictures show it."""


def noise_like(images: Tensor, seed: int) -> Tensor:
    """Unit Gaussian noise for [N, C, H, W], image i's of seed `seed + i` whatever N is; on the images' device."""
    rows = [torch.randn(images.shape[1:], generator=Generator().manual_seed(seed + i)) for i in range(len(images))]
    return torch.stack(rows).to(images.device)


@torch.inference_mode()
def denoise_locally(
    model: Model,
    diffusion: GaussianDiffusion,
    images: Tensor,
    timesteps: Sequence[int],
    *,
    seed: int,
    check: Callable[[], None] = lambda: None,
) -> Iterator[Denoised]:
    """For each t: x_t = √ᾱₜ x₀ + √(1 − ᾱₜ) ε, and x̂₀ from the model's ε̂(x_t, t). The same ε for all t.

    `images` is x₀, [N, C, H, W] float32 in [-1, 1] on the model's device; `check` is called before each t.
    """
    check_timesteps(timesteps, diffusion)
    noise = noise_like(images, seed)
    # What the model predicts, ε, v or x₀, becomes ε̂ as it does while sampling.
    every = Schedule(model.scheduler_config, Sampler(name=SamplerName.DDPM, steps=diffusion.timesteps))
    for timestep in timesteps:
        check()
        at = torch.full((len(images),), timestep, device=images.device)
        noisy = diffusion.q_sample(images, at, noise)
        output = model.unet(noisy.to(model.dtype), at, return_dict=False)[0].to(noisy.dtype)
        predicted = every.predicted_noise(diffusion.timesteps - 1 - timestep, noisy, output)
        clean = diffusion.predict_clean(noisy, at, predicted)
        errors = [float((found - images).square().mean()) for found in (clean, clean.clamp(-1, 1))]
        yield Denoised(timestep, noisy, clean, *errors)


def check_timesteps(timesteps: Sequence[int], diffusion: GaussianDiffusion) -> None:
    """Raises PermanentError `InvalidParams` for a timestep that the model does not have."""
    beyond = [str(timestep) for timestep in timesteps if not 0 <= timestep < diffusion.timesteps]
    if beyond:
        raise invalid_params(
            f"timesteps: {', '.join(beyond)} is not among the model's, 0 to {diffusion.timesteps - 1}; leave it out"
        )
