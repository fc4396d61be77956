"""What training minimises: how far the predicted noise is from the true one."""

from typing import Any

import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor

from diffrun_worker.diffusion.process import GaussianDiffusion


def ddpm_loss(
    unet: Any,
    diffusion: GaussianDiffusion,
    clean: Tensor,
    timesteps: Tensor,
    noise: Tensor,
    *,
    class_labels: Tensor | None = None,
    min_snr_gamma: float | None = None,
) -> Tensor:
    """The mean of ‖ε − ε̂(x_t, t)‖² over batch and pixels (Ho et al. 2020, eq. 14), a scalar with a gradient.

    `clean` and `noise` are [N, C, H, W], `timesteps` and `class_labels` int64 [N]. With `min_snr_gamma` each image's
    error is weighted by `min_snr_weight`. Errors are taken in the noise's type, whatever autocast made of ε̂.
    """
    # 1. x_t = √ᾱₜ x₀ + √(1 − ᾱₜ) ε
    noisy = diffusion.q_sample(clean, timesteps, noise)
    # 2. ε̂ = ε_θ(x_t, t), given the class where there is one
    condition = {} if class_labels is None else {"class_labels": class_labels}
    prediction: Tensor = unet(noisy, timesteps, return_dict=False, **condition)[0]
    # 3. The error of each image, weighted
    if min_snr_gamma is None:
        return F.mse_loss(prediction.to(noise.dtype), noise)
    errors = F.mse_loss(prediction.to(noise.dtype), noise, reduction="none").mean(dim=(1, 2, 3))  # [N]
    return (min_snr_weight(diffusion.snr(timesteps), min_snr_gamma) * errors).mean()


def min_snr_weight(snr: Tensor, gamma: float) -> Tensor:
    """min(SNR, γ) / SNR, the Min-SNR-γ weight of an ε-prediction (Hang et al. 2023, section 3.4), in [0, 1].

    Written as min(1, γ / SNR), which stays finite where SNR rounds to 0.
    """
    return (gamma / snr).clamp(max=1)
