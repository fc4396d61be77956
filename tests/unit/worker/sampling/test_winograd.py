import pytest
import torch
from torch import Tensor, nn

from diffrun_worker.sampling import winograd
from diffrun_worker.sampling.winograd import WinogradConv2d, applicable, use_winograd


def convolution(channels: int = 64, wide: int = 96, *, bias: bool = True, seed: int = 0) -> nn.Conv2d:
    torch.manual_seed(seed)
    with torch.inference_mode(False):
        return nn.Conv2d(channels, wide, 3, padding=1, bias=bias).to(memory_format=torch.channels_last)


def image(*shape: int, seed: int = 1) -> Tensor:
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return made.to(memory_format=torch.channels_last)


def error(result: Tensor, source: nn.Conv2d, sample: Tensor) -> float:
    """Root mean square against the direct convolution in float64."""
    bias = None if source.bias is None else source.bias.double()
    exact = nn.functional.conv2d(sample.double(), source.weight.double(), bias, padding=1)
    return float((result - exact).square().mean().sqrt())


@pytest.mark.parametrize("shape", [(1, 64, 32, 32), (2, 64, 36, 33), (1, 64, 4, 256)], ids=str)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "plain"])
@pytest.mark.parametrize("chunk", [1, 6 * 33 * 96 * 4, 1 << 30], ids=["a row of tiles", "an uneven rest", "whole"])
@torch.inference_mode()
def test_it_is_the_convolution_to_within_thrice_the_direct_ways_rounding(
    shape: tuple[int, ...], bias: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(winograd, "_CHUNK", chunk)
    source, sample = convolution(bias=bias), image(*shape)
    fast = WinogradConv2d(source)
    result = fast(sample)
    assert fast._filters is not None, "took the direct way"
    assert result.is_contiguous(memory_format=torch.channels_last)
    assert error(result, source, sample) < 3 * error(source(sample), source, sample)


@torch.inference_mode()
def test_an_impulse_gives_the_filter_back_at_every_edge() -> None:
    source = convolution(bias=False)
    fast = WinogradConv2d(source)
    for row, column in ((0, 0), (31, 31), (0, 17), (13, 0), (16, 16)):
        sample = torch.zeros(1, 64, 32, 32).to(memory_format=torch.channels_last)
        sample[0, 5, row, column] = 1
        torch.testing.assert_close(fast(sample), source(sample), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_the_batch_changes_no_bit() -> None:
    fast, sample = WinogradConv2d(convolution()), image(3, 64, 32, 32)
    alone = torch.cat([fast(one) for one in sample.split(1)])
    assert torch.equal(fast(sample), alone)


def test_gradients_flow_as_through_the_direct_convolution() -> None:
    source = convolution().requires_grad_(False)
    sample = image(1, 64, 32, 32).requires_grad_(True)
    (wanted,) = torch.autograd.grad(source(sample).square().sum(), sample)
    (found,) = torch.autograd.grad(WinogradConv2d(source)(sample).square().sum(), sample)
    assert torch.equal(found, wanted)


@torch.no_grad()
def test_changed_weights_are_followed() -> None:
    source, sample = convolution(), image(1, 64, 32, 32)
    fast = WinogradConv2d(source)
    before = fast(sample)
    source.weight.mul_(2)
    assert not torch.allclose(fast(sample), before)
    torch.testing.assert_close(fast(sample), source(sample), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "sample",
    [
        image(1, 64, 30, 40),
        image(1, 64, 16, 16),
        image(1, 64, 32, 32).contiguous(),
    ],
    ids=["rows that are no multiple of four", "a small map", "contiguous"],
)
@torch.inference_mode()
def test_elsewhere_it_is_the_direct_convolution(sample: Tensor) -> None:
    source = convolution()
    fast = WinogradConv2d(source)
    assert torch.equal(fast(sample), source(sample))
    assert fast._filters is None


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        (nn.Conv2d(64, 64, 3, padding=1), True),
        (nn.Conv2d(63, 64, 3, padding=1), False),
        (nn.Conv2d(64, 64, 1), False),
        (nn.Conv2d(64, 64, 3), False),
        (nn.Conv2d(64, 64, 3, padding=1, stride=2), False),
        (nn.Conv2d(64, 64, 3, padding=2, dilation=2), False),
        (nn.Conv2d(64, 64, 3, padding=1, groups=2), False),
        (nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"), False),
        (nn.Linear(64, 64), False),
    ],
    ids=["3x3", "narrow", "1x1", "no padding", "stride", "dilation", "groups", "reflect", "no convolution"],
)
def test_only_plain_wide_3x3_convolutions_are_taken(module: nn.Module, expected: bool) -> None:
    assert applicable(module) is expected


def test_a_network_keeps_its_parameters_and_their_names() -> None:
    network = nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Sequential(convolution(64, 64), nn.SiLU()))
    before = dict(network.named_parameters())
    use_winograd(network)
    assert isinstance(network[1][0], WinogradConv2d)
    assert type(network[0]) is nn.Conv2d
    assert {name: id(each) for name, each in network.named_parameters()} == {n: id(p) for n, p in before.items()}
    assert network.state_dict().keys() == before.keys()
