"""3×3 convolutions on the CPU with half the multiplications: Winograd's minimal filtering along one axis.

Four rows of the result need six rows of the input. Their 1×3 convolutions, of which oneDNN does each at full
speed, take 18 multiplications a column where the direct way takes 36; what else is to be done is additions of
whole rows. Along one axis only: nesting it over both would quarter the multiplications, but costs more additions
on strided data than it saves, and ten times the rounding error instead of twice.

A. Lavin & S. Gray, "Fast algorithms for convolutional neural networks" (2016), section 4.1, F(4, 3):
y = Aᵀ[(G g) ⊙ (Bᵀ d)], with the products taken as convolutions along the other axis and summed over the channels.
"""

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor, nn

_OUT = 4
"""Rows of the result in one tile."""
_IN = 6
"""Rows of the input that it takes, the same number as of products."""
_FILTER = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
"""G, for the points 0, 1, −1, 2, −2 and infinity."""
_BIASED = 1
"""The product that every row of Aᵀ takes once: a bias added there reaches all rows of the result."""

_MIN_CHANNELS = 64  # fewer, and the additions weigh as much as the multiplications saved
_MIN_PIXELS = 32 * 32  # smaller maps have many weights, which would be kept twice over, and little to compute
_CHUNK = 2 * 1024 * 1024  # numbers: what is in work at a time stays in the last-level cache


class WinogradConv2d(nn.Conv2d):
    """A 3×3 convolution with the parameters of another one, which it shares.

    Where Winograd's way does not apply (gradients are wanted, the map is small, another layout or dtype) it is the
    direct convolution.
    """

    def __init__(self, source: nn.Conv2d) -> None:
        """Takes a convolution that `applicable` allows."""
        with torch.device("meta"):
            super().__init__(source.in_channels, source.out_channels, 3, padding=1, bias=source.bias is not None)
        self.weight, self.bias = source.weight, source.bias
        self.train(source.training)
        self._filters: tuple[tuple[int, int], list[Tensor]] | None = None

    def forward(self, input: Tensor) -> Tensor:
        """[N, C, H, W] to [N, K, H, W]."""
        if not self._fast(input):
            return super().forward(input)
        return _convolve(input, self._transformed(), self.bias)

    def _fast(self, sample: Tensor) -> bool:
        return (
            sample.device.type == "cpu"
            and sample.dtype is torch.float32
            and self.weight.dtype is torch.float32
            and not self.weight.is_inference()  # such weights do not tell when they change
            and sample.dim() == 4
            and sample.shape[2] % _OUT == 0
            and sample.shape[2] * sample.shape[3] >= _MIN_PIXELS
            and sample.is_contiguous(memory_format=torch.channels_last)
            and not (torch.is_grad_enabled() and (sample.requires_grad or self.weight.requires_grad))
        )

    def _transformed(self) -> list[Tensor]:
        """G g, six filters [K, C, 1, 3]; made anew where the weights have been changed."""
        version = self.weight.data_ptr(), self.weight._version
        if self._filters is None or self._filters[0] != version:
            transform = torch.tensor(_FILTER, dtype=torch.float64)
            filters = torch.einsum("ai,kcij->akcj", transform, self.weight.detach().double()).float()
            layout = torch.channels_last
            self._filters = version, [each.unsqueeze(2).contiguous(memory_format=layout) for each in filters]
        return self._filters[1]


def applicable(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Whether Winograd's way may be faster for a convolution."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (3, 3)
        and module.stride == module.dilation == (1, 1)
        and module.padding == (1, 1)
        and module.padding_mode == "zeros"
        and module.groups == 1
        and min(module.in_channels, module.out_channels) >= _MIN_CHANNELS
    )


def use_winograd(network: nn.Module) -> None:
    """Replaces the convolutions inside a network for which it may be faster; parameters and their names stay."""
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if applicable(child):
                setattr(parent, name, WinogradConv2d(child))


def _convolve(sample: Tensor, filters: Sequence[Tensor], bias: Tensor | None) -> Tensor:
    """The convolution of [N, C, H, W] in channels_last, a few tiles' rows of one sample at a time.

    Samples are taken one by one, so that the batch changes no bit of an image.
    """
    count, channels, height, width = sample.shape
    wide = filters[0].shape[0]
    result = torch.empty(count, height, width, wide)
    tiles = height // _OUT
    step = max(1, min(tiles, _CHUNK // (_IN * width * max(channels, wide))))
    rows = torch.empty(_IN, step, width, channels)
    spare = torch.empty(2, step, width, channels)
    for image, out in zip(sample.permute(0, 2, 3, 1), result, strict=True):  # [H, W, C], [H, W, K]
        for first in range(0, tiles, step):
            last = min(first + step, tiles)
            taken = rows[:, : last - first]
            _input_rows(_with_border(image, first * _OUT - 1, last * _OUT + 1), taken, spare[:, : last - first])
            products = [
                _along_rows(taken[index], filters[index], bias if index == _BIASED else None) for index in range(_IN)
            ]
            _output_rows(products, out[first * _OUT : last * _OUT])
    return result.permute(0, 3, 1, 2)


def _with_border(image: Tensor, start: int, stop: int) -> Tensor:
    """Rows `start` to `stop` of [H, W, C], with a row of zeros for each of the two that may lie outside."""
    height = image.shape[0]
    inside = image[max(start, 0) : min(stop, height)]
    above, below = max(-start, 0), max(stop - height, 0)
    return nn.functional.pad(inside, (0, 0, 0, 0, above, below)) if above or below else inside


def _along_rows(rows: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    """The 1×3 convolution of [R, W, C] to [R, W, K]."""
    convolved = torch.conv2d(rows.permute(2, 0, 1).unsqueeze(0), weights, bias, padding=(0, 1))
    return convolved[0].permute(1, 2, 0)


def _input_rows(image: Tensor, out: Tensor, spare: Tensor) -> None:
    """Bᵀ d: rows 4R + 2 of [rows, W, C] to `out`, [6, R, W, C]; `spare` is [2, R, W, C]."""
    last = image.shape[0] - _IN + 1
    d = [image[index : index + last : _OUT] for index in range(_IN)]
    even, odd = spare
    torch.sub(d[4], d[2], out=out[0])
    torch.sub(d[3], d[1], out=out[5])
    torch.add(out[0], out[5], alpha=2, out=out[3])  # −2 d₁ − d₂ + 2 d₃ + d₄
    torch.sub(out[0], out[5], alpha=2, out=out[4])  # 2 d₁ − d₂ − 2 d₃ + d₄
    torch.sub(out[0], d[2], alpha=3, out=even)
    torch.sub(out[5], d[1], alpha=3, out=odd)
    torch.add(even, odd, out=out[1])  # −4 d₁ − 4 d₂ + d₃ + d₄
    torch.sub(even, odd, out=out[2])  # 4 d₁ − 4 d₂ − d₃ + d₄
    torch.sub(d[0], d[2], out=even)
    torch.add(out[0], even, alpha=4, out=out[0])  # 4 d₀ − 5 d₂ + d₄
    torch.sub(d[5], d[3], out=odd)
    torch.sub(odd, out[5], alpha=4, out=out[5])  # 4 d₁ − 5 d₃ + d₅


def _output_rows(products: Sequence[Tensor], out: Tensor) -> None:
    """Aᵀ m: six of [R, W, K] to 4R rows, `out` [4R, W, K]. The products are used up."""
    m0, m1, m2, m3, m4, m5 = products
    y = [out[index::_OUT] for index in range(_OUT)]
    inner_sum = m1 + m2
    inner_difference = m1.sub_(m2)
    outer_sum = torch.add(m3, m4, out=m2)
    outer_difference = m3.sub_(m4)
    torch.add(m0.add_(inner_sum), outer_sum, out=y[0])
    torch.add(inner_difference, outer_difference, alpha=2, out=y[1])
    torch.add(inner_sum, outer_sum, alpha=4, out=y[2])
    torch.add(m5.add_(inner_difference), outer_difference, alpha=8, out=y[3])
