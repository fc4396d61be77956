"""The parts of the architectures, each against its formula."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from diffrun_worker.models.layers import (
    Conditioning,
    Downsample,
    ResidualBlock,
    SelfAttention,
    TimeEmbedding,
    Upsample,
    sinusoidal_embedding,
)


def randomised(layer: Any) -> Any:
    """The layer without its zeros, in float64."""
    generator = torch.Generator().manual_seed(0)
    for parameter in layer.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator) * 0.3
    return layer.double()


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_embedding_is_sines_then_cosines_with_periods_that_grow_to_ten_thousand() -> None:
    embedding = sinusoidal_embedding(torch.tensor([0, 7, 999]), 8)
    for row, t in zip(embedding.tolist(), (0, 7, 999), strict=True):
        frequencies = [math.exp(-i * math.log(10_000) / 3) for i in range(4)]
        expected = [math.sin(t * f) for f in frequencies] + [math.cos(t * f) for f in frequencies]
        assert row == pytest.approx(expected, abs=1e-4)
    assert embedding[0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]


def test_the_slowest_frequency_is_one_over_ten_thousand() -> None:
    embedding = sinusoidal_embedding(torch.tensor([1]), 64)
    assert float(embedding[0, 31]) == pytest.approx(math.sin(1e-4), rel=1e-4)


@pytest.mark.parametrize("dim", [2, 7])
def test_an_embedding_too_narrow_for_its_formula_is_refused(dim: int) -> None:
    with pytest.raises(ValueError, match="even width of 4 or more"):
        TimeEmbedding(dim, 8)


@pytest.mark.parametrize("conditioning", list(Conditioning))
@pytest.mark.parametrize("out", [8, 16], ids=["same width", "wider"])
def test_a_residual_block_begins_as_its_shortcut(conditioning: Conditioning, out: int) -> None:
    block = ResidualBlock(8, out, time=4, groups=4, conditioning=conditioning)
    x = random(2, 8, 4, 4).float()
    assert torch.equal(block(x, torch.ones(2, 4)), block.skip(x))


def test_film_scales_and_shifts_the_normalised_features() -> None:
    block = randomised(ResidualBlock(8, 8, time=4, groups=4, conditioning=Conditioning.FILM))
    x, time = random(2, 8, 4, 4), random(2, 4)
    scale, shift = block.time(F.silu(time))[:, :, None, None].chunk(2, dim=1)
    h = block.norm2(block.conv1(F.silu(block.norm1(x)))) * (1 + scale) + shift
    torch.testing.assert_close(block(x, time), x + block.conv2(F.silu(h)))


def test_an_additive_block_adds_the_timestep_before_the_normalisation() -> None:
    block = randomised(ResidualBlock(8, 8, time=4, groups=4, conditioning=Conditioning.ADDITIVE))
    x, time = random(2, 8, 4, 4), random(2, 4)
    h = block.norm2(block.conv1(F.silu(block.norm1(x))) + block.time(F.silu(time))[:, :, None, None])
    torch.testing.assert_close(block(x, time), x + block.conv2(F.silu(h)))


def test_attention_is_the_softmax_of_scaled_products_in_each_head() -> None:
    attention = randomised(SelfAttention(8, heads=2, groups=4))
    x = random(2, 8, 3, 5)
    pixels = attention.norm(x).flatten(2).transpose(1, 2)  # [N, 15, 8]
    query, key, value = attention.qkv(pixels).chunk(3, dim=2)
    heads = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = (query[..., head] @ key[..., head].transpose(1, 2) / math.sqrt(4)).softmax(dim=2)
        heads.append(weights @ value[..., head])
    expected = x + attention.out(torch.cat(heads, dim=2)).transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(attention(x), expected)


def test_attention_does_not_know_where_a_pixel_is() -> None:
    attention = randomised(SelfAttention(8, heads=2, groups=4))
    x = random(1, 8, 4, 4)
    torch.testing.assert_close(attention(x).flip(3), attention(x.flip(3)))


def test_attention_refuses_heads_that_do_not_divide_its_channels() -> None:
    with pytest.raises(ValueError, match="8 channels do not divide into 3"):
        SelfAttention(8, heads=3, groups=4)


def test_sides_are_halved_and_doubled() -> None:
    x = torch.zeros(2, 4, 8, 6)
    assert Downsample(4)(x).shape == (2, 4, 4, 3)
    assert Upsample(4)(x).shape == (2, 4, 16, 12)
