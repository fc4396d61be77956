"""The denoising loop.

Noise starts on the CPU, from one generator a sample, so that neither the batch size nor the device changes
an image. The state x_t is float32 at least: a bfloat16 UNet sees it rounded, the scheduler does not.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor

from diffrun_worker.sampling.loader import Model
from diffrun_worker.sampling.schedules import Schedule

OnStep = Callable[[int, Tensor, Tensor], None]
"""Called after each UNet call with its number, what the UNet saw and what it said, both [N, C, H, W].

Runs on the loop's thread and must not wait for the device. What it raises ends the loop.
"""


def generators_for(seeds: Sequence[int]) -> list[Generator]:
    """One CPU generator a sample."""
    return [Generator().manual_seed(seed) for seed in seeds]


def starting_noise(model: Model, generators: Sequence[Generator]) -> Tensor:
    """Each sample's own unit Gaussian noise, drawn in the UNet's dtype: [N, C, H, W] on the CPU."""
    return torch.stack([torch.randn(model.shape, generator=one, dtype=model.dtype) for one in generators])


@torch.inference_mode()
def denoise(model: Model, schedule: Schedule, generators: Sequence[Generator], on_step: OnStep | None = None) -> Tensor:
    """Samples of one batch, [N, C, H, W] in about [-1, 1], float32 or float64, on the model's device.

    The generators give each sample's first noise, and then whatever a stochastic scheduler draws.
    """
    unet, dtype = model.unet, model.dtype
    scheduler = schedule.start()
    arguments = schedule.step_arguments(generators)
    # The UNet gets its timesteps from the device and the scheduler from the CPU: neither waits for the other.
    staged = scheduler.timesteps.to(model.device)
    noise = starting_noise(model, generators).to(torch.promote_types(dtype, torch.float32))
    sample: Tensor = noise.to(model.device, memory_format=model.memory_format) * scheduler.init_noise_sigma
    for call, timestep in enumerate(scheduler.timesteps):
        # 1. What the UNet sees: x_t, of unit variance whatever the scheduler's own scale.
        model_input = scheduler.scale_model_input(sample, timestep)
        # 2. What it predicts: ε, v or x₀.
        output = unet(model_input.to(dtype), staged[call], return_dict=False)[0].to(sample.dtype)
        # 3. x_t -> x_{t-1}, by the scheduler's own arithmetic.
        sample = scheduler.step(output, timestep, sample, return_dict=False, **arguments)[0]
        if on_step is not None:
            on_step(call, model_input, output)
    return sample
