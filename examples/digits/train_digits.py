"""Trains the demo's checkpoint: scikit-learn's digits, a small unconditional UNet, a few thousand steps on a CPU.

    OMP_NUM_THREADS=2 python examples/digits/train_digits.py --output examples/digits/checkpoint

The folder that comes out is shaped like google/ddpm-cat-256 on the Hub: everything at the root, weights in
safetensors, the attention projections under the names of 2022 (`query`, `key`, `value`, `proj_attn`). Whatever
loads that model loads this one by the same path. It is a demonstration, not a general training script.
"""

import argparse
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from data import IMAGE_SIZE, load_digits_16
from diffusers import DDPMScheduler, UNet2DModel
from safetensors.torch import save_file

SCHEDULER: dict[str, Any] = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.1.1",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_small",
}

UNET: dict[str, Any] = {
    "_class_name": "UNet2DModel",
    "_diffusers_version": "0.0.4",
    "act_fn": "silu",
    "attention_head_dim": None,
    "block_out_channels": [32, 64, 64],
    "center_input_sample": False,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
    "downsample_padding": 0,
    "flip_sin_to_cos": False,
    "freq_shift": 1,
    "in_channels": 1,
    "layers_per_block": 1,
    "mid_block_scale_factor": 1,
    "norm_eps": 1e-06,
    "norm_num_groups": 32,
    "out_channels": 1,
    "sample_size": IMAGE_SIZE,
    "time_embedding_type": "positional",
    "up_block_types": ["UpBlock2D", "AttnUpBlock2D", "UpBlock2D"],
}

PIPELINE: dict[str, Any] = {
    "_class_name": "DDPMPipeline",
    "_diffusers_version": "0.1.1",
    "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DModel"],
}

# What diffusers renames when it loads a checkpoint of that age, the other way round.
_OLD_NAMES = (
    (re.compile(r"\.to_q\."), ".query."),
    (re.compile(r"\.to_k\."), ".key."),
    (re.compile(r"\.to_v\."), ".value."),
    (re.compile(r"\.to_out\.0\."), ".proj_attn."),
)


def old_name(name: str) -> str:
    """The name of a tensor as a checkpoint of 2022 has it."""
    for pattern, replacement in _OLD_NAMES:
        name = pattern.sub(replacement, name)
    return name


def build_unet() -> UNet2DModel:
    """The untrained network."""
    return UNet2DModel(**{key: value for key, value in UNET.items() if not key.startswith("_")})


def batches(images: torch.Tensor, size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Shuffled batches for ever; every epoch sees each image at most once."""
    while True:
        order = torch.randperm(len(images), generator=generator)
        for start in range(0, len(images) - size + 1, size):
            yield images[order[start : start + size]]


def stratified_timesteps(count: int, total: int, generator: torch.Generator) -> torch.Tensor:
    """One uniform draw from each of `count` equal parts of the timesteps: the same mean, less variance. [N], int64."""
    positions = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    return (positions * total).long()


def min_snr_weight(alphas_cumprod: torch.Tensor, timesteps: torch.Tensor, gamma: float) -> torch.Tensor:
    """min(SNR, γ) / SNR, the weight of an ε-prediction's loss (Hang et al. 2023, section 3.4). [N]."""
    alpha = alphas_cumprod[timesteps]
    snr = alpha / (1 - alpha)
    return snr.clamp(max=gamma) / snr


def train(steps: int, batch_size: int, learning_rate: float, decay: float, gamma: float, seed: int) -> UNet2DModel:
    """Trains for `steps` and returns the averaged network."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    source = batches(load_digits_16()[0], batch_size, generator)
    scheduler = DDPMScheduler.from_config(SCHEDULER)
    unet, average = build_unet(), build_unet()
    average.load_state_dict(unet.state_dict())
    average.requires_grad_(False)
    unet.train()
    optimizer = torch.optim.AdamW(unet.parameters(), lr=learning_rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
    started, shown = time.monotonic(), 0.0
    for step in range(1, steps + 1):
        clean = next(source)  # [N, 1, 16, 16] in [-1, 1]
        noise = torch.randn(clean.shape, generator=generator)
        timesteps = stratified_timesteps(batch_size, scheduler.config.num_train_timesteps, generator)
        noisy = scheduler.add_noise(clean, noise, timesteps)
        error = F.mse_loss(unet(noisy, timesteps).sample, noise, reduction="none").mean(dim=(1, 2, 3))  # [N]
        loss = (min_snr_weight(scheduler.alphas_cumprod, timesteps, gamma) * error).mean() if gamma else error.mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        # A short warm-up: the average must not remember the untrained weights.
        weight = 1 - min(decay, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(unet.parameters()), weight)
        shown += error.mean().item()
        if step % 100 == 0:
            print(f"step {step}/{steps}  mse {shown / 100:.4f}  {time.monotonic() - started:.0f} s", flush=True)
            shown = 0.0
    return average.eval()


def save(unet: UNet2DModel, folder: Path) -> None:
    """Writes the checkpoint as a repository of 2022 has it."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("config.json", UNET), ("scheduler_config.json", SCHEDULER), ("model_index.json", PIPELINE)):
        (folder / name).write_text(json.dumps(content, indent=2) + "\n")
    weights = {old_name(name): tensor.contiguous() for name, tensor in unet.state_dict().items()}
    file = folder / "diffusion_pytorch_model.safetensors"
    save_file(weights, file, metadata={"format": "pt"})
    file.chmod(0o644)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the checkpoint")
    parser.add_argument("--steps", type=int, default=1800)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--learning-rate", type=float, default=2e-3, help="the peak of the one-cycle schedule")
    parser.add_argument("--ema-decay", type=float, default=0.995)
    parser.add_argument("--min-snr", type=float, default=5.0, help="γ of the Min-SNR weighting; 0 leaves it out")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    unet = train(
        options.steps, options.batch_size, options.learning_rate, options.ema_decay, options.min_snr, options.seed
    )
    save(unet, options.output)
    print(f"{unet.num_parameters():,} parameters in {options.output}")


if __name__ == "__main__":
    main()
