"""Two tests of the parts, on the very parts that training and sampling use: is it the model, or is it broken?

1. The model's path: a copy of the network, trained for a few dozen steps on one batch, gives x₀ back better than
   before. Forward process, loss, time embedding, network and optimiser then agree with each other.
2. The sampler's path: one reverse step with the true ε comes closer to x₀. The sampler then agrees with the forward
   process.

Where both hold and samples are still poor, the model is too weak: it needs more training or more parameters.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from diffrun_contracts.params import Sampler, SamplerName
from diffrun_worker.diffusion.loss import ddpm_loss
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.evaluation.denoising import noise_like
from diffrun_worker.sampling.schedules import Schedule

STEPS = 40
"""Of training, in the first test."""
NFE = 50
"""Of the sampler whose middle step the second test takes."""

_LEARNING_RATE = 1e-4
_DRAWS = 4  # noises an image that the error is measured with
_MIN_PIXELS = 100_000  # that the second test averages over: the step's own noise must not decide it

Check = Callable[[], None]


@dataclass(frozen=True)
class Verdict:
    """A mean squared error to x₀ that had to fall."""

    before: float
    after: float

    @property
    def passed(self) -> bool:
        """Whether it fell."""
        return self.after < self.before


def learns_to_denoise(
    unet: Any,
    diffusion: GaussianDiffusion,
    clean: Tensor,
    *,
    seed: int,
    labels: Tensor | None = None,
    steps: int = STEPS,
    learning_rate: float = _LEARNING_RATE,
    check: Check = lambda: None,
) -> Verdict:
    """MSE(x̂₀, x₀) in the middle of the noise, before and after training a copy of `unet` on `clean` alone.

    `unet` predicts ε and is left as it is; `clean` is [N, C, H, W] float32 in [-1, 1] on its device, `labels` int64
    [N] for a conditional one. `check` is called between steps and may raise.
    """
    network = copy.deepcopy(unet).float().requires_grad_(True)
    before = _reconstruction_error(network, diffusion, clean, labels, seed)
    generator = Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate)
    network.train()
    for _ in range(steps):
        check()
        timesteps = torch.randint(diffusion.timesteps, (len(clean),), generator=generator).to(clean.device)
        noise = torch.randn(clean.shape, generator=generator).to(clean.device)
        loss = ddpm_loss(network, diffusion, clean, timesteps, noise, class_labels=labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    network.eval()
    return Verdict(before, _reconstruction_error(network, diffusion, clean, labels, seed))


@torch.no_grad()
def _reconstruction_error(
    network: Any, diffusion: GaussianDiffusion, clean: Tensor, labels: Tensor | None, seed: int
) -> float:
    """The mean of (x̂₀ − x₀)² at t = K / 2 over a few noises, which are the same for the same seed."""
    timesteps = torch.full((len(clean),), diffusion.timesteps // 2, device=clean.device)
    condition = {} if labels is None else {"class_labels": labels}
    errors = []
    for draw in range(_DRAWS):
        noisy = diffusion.q_sample(clean, timesteps, noise_like(clean, seed + draw * len(clean)))
        predicted = network(noisy, timesteps, return_dict=False, **condition)[0]
        errors.append((diffusion.predict_clean(noisy, timesteps, predicted) - clean).square().mean())
    return float(torch.stack(errors).mean())


def steps_towards_clean(
    scheduler_config: Mapping[str, Any], diffusion: GaussianDiffusion, clean: Tensor, *, seed: int
) -> Verdict:
    """MSE to x₀ of x_t and of what one DDPM step makes of it, given the true ε, in the middle of NFE 50 steps.

    The arithmetic of the step is diffusers' DDPMScheduler's, its own noise included. `clean` is [N, C, H, W] in
    [-1, 1].
    """
    clean = clean.cpu()
    clean = clean.repeat(-(-_MIN_PIXELS // clean.numel()), 1, 1, 1)
    config = {**scheduler_config, "prediction_type": "epsilon"}  # the ε is given, whatever the model predicts
    schedule = Schedule(config, Sampler(name=SamplerName.DDPM, steps=min(NFE, diffusion.timesteps)))
    scheduler = schedule.start()
    timestep = scheduler.timesteps[schedule.calls // 2]
    noise = noise_like(clean, seed)
    noisy = diffusion.q_sample(clean, timestep, noise)
    generator = Generator().manual_seed(seed)
    previous = scheduler.step(noise, timestep, noisy, generator=generator, return_dict=False)[0]
    return Verdict(float((noisy - clean).square().mean()), float((previous - clean).square().mean()))
