"""The networks of the studies: their size, their shape, and that all of them learns."""

from typing import Any

import pytest
import torch
from diffusers import DDPMPipeline, DDPMScheduler
from torch import Tensor, nn

from diffrun_contracts.params.train import ModelName
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.models import ARCHITECTURES, build_model
from diffrun_worker.models.layers import ResidualBlock, SelfAttention


def full(name: ModelName) -> nn.Module:
    """The network in its own size, without memory."""
    with torch.device("meta"):
        return build_model(name)


def attention_sides(unet: Any) -> list[int]:
    """The image's side at each self-attention, in the order in which they run."""
    sides: list[int] = []
    for module in unet.modules():
        if isinstance(module, SelfAttention):
            module.register_forward_pre_hook(lambda _, inputs: sides.append(inputs[0].shape[-1]))
    size = unet.config.sample_size
    unet(torch.empty(1, 3, size, size, device="meta"), torch.empty(1, dtype=torch.int64, device="meta"))
    return sides


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        (ModelName.DDPM_64, 57_892_995),
        (ModelName.ENHANCED_UNET_64, 14_213_923),
        (ModelName.UNET_CIFAR32, 1_980_387),
    ],
)
def test_an_architecture_has_its_number_of_parameters(name: ModelName, parameters: int) -> None:
    assert sum(one.numel() for one in full(name).parameters()) == parameters


@pytest.mark.parametrize(
    ("name", "size", "encoder", "decoder"),
    [
        (ModelName.DDPM_64, 64, [2, 2, 2, 2], [3, 3, 3, 3]),
        (ModelName.ENHANCED_UNET_64, 64, [1, 1, 1, 1], [2, 2, 2, 2]),
        (ModelName.UNET_CIFAR32, 32, [1, 1, 1, 1], [2, 2, 2, 2]),
    ],
)
def test_an_architecture_has_its_blocks(name: ModelName, size: int, encoder: list[int], decoder: list[int]) -> None:
    unet: Any = full(name)
    assert unet.config.sample_size == size
    assert [len(level) for level in unet.encoder] == encoder
    assert [len(level) for level in unet.decoder] == decoder
    middle = [type(one) for stage in unet.middle for one in (stage.block, stage.attention)]
    assert middle == [ResidualBlock, SelfAttention, ResidualBlock, nn.Identity]


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        (ModelName.DDPM_64, [16, 16, 8, 16, 16, 16]),
        (ModelName.ENHANCED_UNET_64, [16, 8, 16, 16]),
        (ModelName.UNET_CIFAR32, [16, 4, 16, 16]),
    ],
)
def test_attention_follows_every_block_at_16_and_stands_in_the_middle(name: ModelName, sides: list[int]) -> None:
    unet = full(name)
    assert attention_sides(unet) == sides
    assert {one.heads for one in unet.modules() if isinstance(one, SelfAttention)} == {4}


def test_only_the_enhanced_network_scales_and_shifts_by_the_timestep() -> None:
    film = {
        name: {one.film for one in full(name).modules() if isinstance(one, ResidualBlock)} for name in ARCHITECTURES
    }
    assert film == {ModelName.DDPM_64: {False}, ModelName.UNET_CIFAR32: {False}, ModelName.ENHANCED_UNET_64: {True}}


def awake(unet: nn.Module) -> nn.Module:
    """The network as training leaves it: with no layer that is still zero."""
    generator = torch.Generator().manual_seed(0)
    for parameter in unet.parameters():
        if parameter.dim() > 1 and not bool(parameter.any()):
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return unet


def loss(unet: nn.Module, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noisy, noise = (torch.randn(2, 1, 32, 32, generator=generator) for _ in range(2))
    predicted: Tensor = unet(noisy, torch.tensor([3, 700]), return_dict=False)[0]
    return (predicted - noise).square().mean()


def test_the_first_prediction_is_no_noise_at_all(small: nn.Module) -> None:
    out = small(torch.randn(2, 1, 32, 32), torch.tensor([0, 999]), return_dict=False)[0]
    assert out.shape == (2, 1, 32, 32)
    assert torch.equal(out, torch.zeros_like(out))


def test_every_parameter_learns_once_the_zeros_are_left(small: nn.Module) -> None:
    """The last layer leaves its zeros in the first step, those before it in the second, all learn from the third."""
    optimizer = torch.optim.SGD(small.parameters(), lr=0.05)
    for step in range(3):
        optimizer.zero_grad()
        loss(small, step).backward()
        optimizer.step()
    gradients = {name: one.grad for name, one in small.named_parameters()}
    assert [name for name, one in gradients.items() if one is None or not bool(one.abs().max() > 0)] == []


def test_the_prediction_depends_on_the_timestep_of_each_image(small: nn.Module) -> None:
    awake(small)
    noisy = torch.randn(1, 1, 32, 32).expand(2, -1, -1, -1)
    with torch.no_grad():
        early, late = small(noisy, torch.tensor([3, 700]), return_dict=False)[0]
        alone = small(noisy[:1], torch.tensor([700]), return_dict=False)[0][0]
    assert float((early - late).abs().max()) > 0.01
    torch.testing.assert_close(late, alone)


def test_a_single_timestep_is_that_of_all_images(small: nn.Module) -> None:
    awake(small)
    noisy = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        each = small(noisy, torch.tensor([500, 500]), return_dict=False)[0]
        assert torch.equal(small(noisy, 500, return_dict=False)[0], each)
        assert torch.equal(small(noisy, torch.tensor(500)).sample, each)


def test_it_computes_in_the_type_of_its_weights(small: nn.Module) -> None:
    small.double()
    assert small(torch.randn(1, 1, 32, 32).double(), 5).sample.dtype == torch.float64


def test_a_pipeline_of_diffusers_samples_with_it(small: nn.Module) -> None:
    pipeline: Any = DDPMPipeline(small, DDPMScheduler())
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(batch_size=1, num_inference_steps=2, output_type="np").images
    assert images.shape == (1, 32, 32, 1)


@pytest.mark.parametrize("name", list(ARCHITECTURES), ids=str)
def test_an_image_that_does_not_halve_often_enough_is_refused(name: ModelName) -> None:
    with pytest.raises(ValueError, match="sample_size 36 is not divisible by 8, as 4 levels need"):
        ARCHITECTURES[name](sample_size=36)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"config": {}}, "model.config: unet-cifar32 has a fixed configuration; leave it out, or name unet2d"),
        ({"num_classes": 10}, "model.conditional: unet-cifar32 takes no classes; use unet2d, or leave it out"),
        ({"image_size": 64}, "data.imageSize: unet-cifar32 is made for images of 32×32; got 64"),
    ],
    ids=["config", "classes", "size"],
)
def test_what_an_architecture_does_not_take_is_refused_by_name(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        build_model(ModelName.UNET_CIFAR32, **arguments)
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    assert caught.value.message == words


def test_grey_images_make_a_network_of_one_channel() -> None:
    unet: Any = build_model(ModelName.UNET_CIFAR32, channels=1, image_size=32)
    assert (unet.config.in_channels, unet.config.out_channels) == (1, 1)


def test_an_unknown_architecture_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(PermanentError, match=r"model.name: 'resnet' is unknown; use one of ddpm-64, unet-cifar32"):
        build_model("resnet")  # type: ignore[arg-type]
