"""The U of our architectures: an encoder that halves an image level by level, a middle, a decoder that mirrors it.

    level 0   conv_in ─ residual blocks ───────────── skips ──────────────▶ residual blocks ─ norm, SiLU, conv
    level 1              ↓ residual blocks ────────── skips ─────────▶ residual blocks ↑
      ⋮                     ↓ …                                               … ↑
    middle                        residual block ─ attention ─ residual block

Every output of the encoder, the halved images included, is a skip connection; so a level of the decoder has one
residual block more than the same level of the encoder. The architectures differ in widths, in where they attend,
and in how a residual block is told the timestep.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.unets.unet_2d import UNet2DOutput
from torch import Tensor, nn

from diffrun_worker.models.layers import (
    Conditioning,
    Downsample,
    ResidualBlock,
    SelfAttention,
    TimeEmbedding,
    Upsample,
    zero,
)

Init = TypeVar("Init", bound=Callable[..., None])


def registered(init: Init) -> Init:
    """diffusers' `register_to_config`, with the type that it does not declare."""
    return cast(Init, register_to_config(init))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Plan:
    """What tells one architecture from another."""

    sample_size: int
    """The side of the images, in pixels."""
    in_channels: int
    out_channels: int
    widths: Sequence[int]
    """Channels of each level, from the full image down."""
    encoder_blocks: int
    """Residual blocks of a level of the encoder; the decoder's have one more."""
    attention_size: int
    """Where the image has this side, self-attention follows every residual block."""
    heads: int
    """Of the attention, there and in the middle."""
    groups: int
    """Of the group normalisation (Wu & He 2018)."""
    time_channels: int
    """Width of the embedded timestep."""
    conditioning: Conditioning
    """How a residual block is told the timestep."""

    def attention_at(self, level: int) -> bool:
        """Whether a level attends to itself."""
        return self.sample_size == self.attention_size << level

    def check(self) -> None:
        """Raises ValueError where an image does not divide into so many levels."""
        levels = len(self.widths)
        factor = 2 ** (levels - 1)
        if self.sample_size < 1 or self.sample_size % factor:
            raise ValueError(f"sample_size {self.sample_size} is not divisible by {factor}, as {levels} levels need")


class Stage(nn.Module):
    """A residual block, and self-attention where its level has it."""

    def __init__(self, plan: Plan, channels: int, out: int, attention: bool) -> None:
        super().__init__()
        self.block = ResidualBlock(channels, out, plan.time_channels, plan.groups, plan.conditioning)
        self.attention = SelfAttention(out, plan.heads, plan.groups) if attention else nn.Identity()

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        out: Tensor = self.attention(self.block(x, time))
        return out


class UNetBackbone(ModelMixin, ConfigMixin):  # type: ignore[misc]  # diffusers' classes carry no types
    """A UNet by its plan. Called as diffusers' UNet2DModel is; saved and loaded by diffusers' own methods."""

    def __init__(self, plan: Plan) -> None:
        """Raises ValueError where the plan's numbers do not go together."""
        super().__init__()  # type: ignore[no-untyped-call]
        plan.check()
        first, last = plan.widths[0], plan.widths[-1]
        self.time = TimeEmbedding(first, plan.time_channels)
        self.conv_in = nn.Conv2d(plan.in_channels, first, kernel_size=3, padding=1)
        skips = self._assemble_encoder(plan)
        self.middle = nn.ModuleList([Stage(plan, last, last, attention=True), Stage(plan, last, last, attention=False)])
        self._assemble_decoder(plan, skips)
        self.norm_out = nn.GroupNorm(plan.groups, first)
        self.conv_out = zero(nn.Conv2d(first, plan.out_channels, kernel_size=3, padding=1))

    def _assemble_encoder(self, plan: Plan) -> list[int]:
        """Makes the encoder, and returns the channels of its skips in the order in which they arise."""
        self.encoder, self.down = nn.ModuleList(), nn.ModuleList()
        channels, skips = plan.widths[0], [plan.widths[0]]
        for level, width in enumerate(plan.widths):
            stages = nn.ModuleList()
            for _ in range(plan.encoder_blocks):
                stages.append(Stage(plan, channels, width, plan.attention_at(level)))
                channels = width
                skips.append(channels)
            self.encoder.append(stages)
            if level < len(plan.widths) - 1:
                self.down.append(Downsample(channels))
                skips.append(channels)
        return skips

    def _assemble_decoder(self, plan: Plan, skips: list[int]) -> None:
        """Makes the decoder, whose stages take the skips from the last to the first."""
        self.decoder, self.up = nn.ModuleList(), nn.ModuleList()
        channels, remaining = plan.widths[-1], list(skips)
        for level in reversed(range(len(plan.widths))):
            stages, width = nn.ModuleList(), plan.widths[level]
            for _ in range(plan.encoder_blocks + 1):
                stages.append(Stage(plan, channels + remaining.pop(), width, plan.attention_at(level)))
                channels = width
            self.decoder.append(stages)
            if level > 0:
                self.up.append(Upsample(channels))

    def forward(self, sample: Tensor, timestep: Tensor | float, return_dict: bool = True) -> Any:
        """ε̂ of noisy images: `sample` [N, C, H, W], `timestep` [N] or a single one.

        Returns a UNet2DOutput with `sample` [N, C, H, W], or a tuple of that tensor without `return_dict`.
        """
        # 1. The timestep
        timesteps = torch.as_tensor(timestep, device=sample.device).expand(len(sample))
        time = self.time(timesteps)
        # 2. Down
        h = self.conv_in(sample)
        skips = [h]
        for level, stages in enumerate(cast(Iterable[nn.ModuleList], self.encoder)):
            for stage in stages:
                h = stage(h, time)
                skips.append(h)
            if level < len(self.down):
                h = self.down[level](h)
                skips.append(h)
        # 3. Through the middle
        for stage in self.middle:
            h = stage(h, time)
        # 4. Up
        for level, stages in enumerate(cast(Iterable[nn.ModuleList], self.decoder)):
            for stage in stages:
                h = stage(torch.cat([h, skips.pop()], dim=1), time)
            if level < len(self.up):
                h = self.up[level](h)
        # 5. To an image
        h = self.conv_out(F.silu(self.norm_out(h)))
        return UNet2DOutput(sample=h) if return_dict else (h,)
