"""The parts that our architectures are made of.

All take and give images [N, C, H, W]; `time` is the embedded timestep, [N, T]. What ends a residual branch starts
at zero, so that every block begins as the identity (Ho et al. 2020, appendix B; Dhariwal & Nichol 2021).
"""

import math
from enum import StrEnum
from typing import TypeVar

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Tensor, nn

_MAX_PERIOD = 10_000

Layer = TypeVar("Layer", bound=nn.Module)


class Conditioning(StrEnum):
    """How a residual block is told the timestep."""

    ADDITIVE = "additive"
    """h + W·time (Ho et al. 2020)."""
    FILM = "film"
    """(1 + scale)·norm(h) + shift (Perez et al. 2018; Dhariwal & Nichol 2021, section 3)."""


def sinusoidal_embedding(timesteps: Tensor, dim: int) -> Tensor:
    """[sin(t·ωᵢ), cos(t·ωᵢ)] with ωᵢ = exp(−i · ln 10000 / (half − 1)), i = 0 … half − 1, half = dim / 2.

    `timesteps` is [N]; the result is [N, dim], float32 in [-1, 1].
    """
    half = dim // 2
    index = torch.arange(half, dtype=torch.float32, device=timesteps.device)
    angles = timesteps[:, None].float() * torch.exp(index * (-math.log(_MAX_PERIOD) / (half - 1)))  # [N, half]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class TimeEmbedding(nn.Module):
    """A timestep [N] through the sinusoids and an MLP of two layers, to [N, hidden]."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        if dim < 4 or dim % 2:
            raise ValueError(f"the embedding of the timestep needs an even width of 4 or more, got {dim}")
        self.dim = dim
        self.hidden = nn.Linear(dim, hidden)
        self.out = nn.Linear(hidden, hidden)

    def forward(self, timesteps: Tensor) -> Tensor:
        sinusoids = sinusoidal_embedding(timesteps, self.dim).to(self.hidden.weight.dtype)
        out: Tensor = self.out(F.silu(self.hidden(sinusoids)))
        return out


class ResidualBlock(nn.Module):
    """norm → SiLU → conv → time → norm → SiLU → conv, added to its input."""

    def __init__(self, channels: int, out: int, time: int, groups: int, conditioning: Conditioning) -> None:
        super().__init__()
        film = conditioning is Conditioning.FILM
        self.film = film
        self.norm1 = nn.GroupNorm(groups, channels)
        self.conv1 = nn.Conv2d(channels, out, kernel_size=3, padding=1)
        self.time = nn.Linear(time, 2 * out if film else out)
        self.norm2 = nn.GroupNorm(groups, out)
        self.conv2 = zero(nn.Conv2d(out, out, kernel_size=3, padding=1))
        self.skip = nn.Conv2d(channels, out, kernel_size=1) if channels != out else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h = self.conv1(F.silu(self.norm1(x)))
        condition = self.time(F.silu(time))[:, :, None, None]  # [N, C or 2·C, 1, 1]
        if self.film:
            scale, shift = condition.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + condition)
        out: Tensor = self.skip(x) + self.conv2(F.silu(h))
        return out


class SelfAttention(nn.Module):
    """Multi-head self-attention over an image's pixels (Vaswani et al. 2017), added to its input."""

    def __init__(self, channels: int, heads: int, groups: int) -> None:
        super().__init__()
        if channels % heads:
            raise ValueError(f"{channels} channels do not divide into {heads} attention heads")
        self.heads = heads
        self.norm = nn.GroupNorm(groups, channels)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.out = zero(nn.Linear(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        count, channels, height, width = x.shape
        pixels: Tensor = self.norm(x).flatten(2).transpose(1, 2)  # [N, H·W, C]
        parts = self.qkv(pixels).unflatten(2, (3, self.heads, channels // self.heads))  # [N, H·W, 3, heads, C/heads]
        query, key, value = parts.permute(2, 0, 3, 1, 4)  # each [N, heads, H·W, C/heads]
        attended = F.scaled_dot_product_attention(query, key, value)
        pixels = self.out(attended.transpose(1, 2).flatten(2))  # [N, H·W, C]
        return x + pixels.transpose(1, 2).reshape(count, channels, height, width)


class Downsample(nn.Module):
    """Halves the sides by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x)
        return out


class Upsample(nn.Module):
    """Doubles the sides: nearest neighbours, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


def zero(layer: Layer) -> Layer:
    """The layer with its weights and biases set to 0."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer
