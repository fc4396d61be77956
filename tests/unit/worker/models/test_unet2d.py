"""A UNet2DModel by the user's configuration: what is made of it, and what is refused with the key's name."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from diffusers import UNet2DModel

from diffrun_contracts.params.train import ModelName
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.models import build_model

ROOT = Path(__file__).parents[4]

TWO_LEVELS: Mapping[str, Any] = {
    "block_out_channels": [8, 16],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}


def build(
    config: Mapping[str, Any] | None, *, num_classes: int | None = None, channels: int = 1, image_size: int | None = 8
) -> Any:
    return build_model(
        ModelName.UNET2D, config=config, num_classes=num_classes, channels=channels, image_size=image_size
    )


def refused(config: Mapping[str, Any] | None, **others: Any) -> str:
    with pytest.raises(PermanentError) as caught:
        build(config, **others)
    assert caught.value.code == ErrorCode.INVALID_PARAMS
    return caught.value.message


def test_size_and_channels_follow_from_the_images() -> None:
    unet = build(TWO_LEVELS)
    assert isinstance(unet, UNet2DModel)
    assert (unet.config.sample_size, unet.config.in_channels, unet.config.out_channels) == (8, 1, 1)
    assert unet(torch.zeros(2, 1, 8, 8), torch.tensor([0, 1]), return_dict=False)[0].shape == (2, 1, 8, 8)


def test_a_configuration_that_says_what_the_images_say_is_taken() -> None:
    config = {**TWO_LEVELS, "sample_size": [8, 8], "in_channels": 1, "_class_name": "UNet2DModel"}
    assert build({**config, "_diffusers_version": "0.1.1"}).config.sample_size == [8, 8]


def test_a_conditional_one_has_an_embedding_for_each_class_and_the_null_class() -> None:
    unet = build(TWO_LEVELS, num_classes=10)
    assert unet.config.num_class_embeds == 11
    images, timesteps = torch.zeros(2, 1, 8, 8), torch.tensor([5, 5])
    class_and_null = unet(images, timesteps, class_labels=torch.tensor([3, 10]), return_dict=False)[0]
    assert not torch.equal(class_and_null[0], class_and_null[1])


def test_the_weights_come_from_the_global_generator() -> None:
    weights = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        weights.append(build(TWO_LEVELS).conv_in.weight)
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("size", [28, 32], ids=["as they are", "resized"])
def test_the_samples_network_for_emnist_fits_its_images_in_both_sizes(size: int) -> None:
    manifest = yaml.safe_load((ROOT / "manifests" / "samples" / "infer-letter.yaml").read_text())
    (config,) = [block["train"]["model"]["config"] for block in manifest["spec"]["blocks"] if "train" in block]
    with torch.device("meta"):
        unet = build({**config, "sample_size": size}, num_classes=62, image_size=size)
    assert unet.config.num_class_embeds == 63


def test_without_a_configuration_there_is_nothing_to_make() -> None:
    assert refused(None).startswith("model.config: unet2d has no size of its own")


def test_without_a_size_of_the_images_the_configuration_must_have_one() -> None:
    assert refused(TWO_LEVELS, image_size=None).startswith("model.config.sample_size: is needed")
    assert build({**TWO_LEVELS, "sample_size": 4}, image_size=None).config.sample_size == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"block_channels": [8]}, "model.config.block_channels: UNet2DModel has no such key; it has act_fn, "),
        ({"_class_name": "Evil"}, "model.config._class_name: is 'Evil'; unet2d makes a UNet2DModel"),
        ({"sample_size": 16}, "model.config.sample_size: is 16, but the images need 8; leave the key out"),
        ({"in_channels": 3}, "model.config.in_channels: is 3, but the images need 1; leave the key out"),
        ({"out_channels": 2}, "model.config.out_channels: is 2, but the images need 1; leave the key out"),
        ({"block_out_channels": []}, "model.config.block_out_channels: must be a list of whole numbers"),
        ({"block_out_channels": [8, "16"]}, "model.config.block_out_channels: must be a list of whole numbers"),
        ({"norm_num_groups": 3}, "model.config.norm_num_groups: is 3, by which block_out_channels [8, 16] do not"),
        ({"norm_num_groups": 0}, "model.config.norm_num_groups: is 0"),
        ({"down_block_types": ["DownBlock2D"]}, "model.config: no UNet2DModel can be made of it: Must provide"),
        ({"down_block_types": ["Evil", "Evil"]}, "model.config: no UNet2DModel can be made of it: Evil"),
        ({"layers_per_block": "many"}, "model.config: no UNet2DModel can be made of it: "),
        ({"num_class_embeds": 11}, "model.config.num_class_embeds: the model is not conditional; set model.cond"),
        ({"class_embed_type": "timestep"}, "model.config.class_embed_type: is 'timestep'; classes are learned"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_configuration_that_cannot_be_made_is_refused_by_its_key(change: dict[str, Any], words: str) -> None:
    assert refused({**TWO_LEVELS, **change}).startswith(words)


def test_another_number_of_classes_than_the_data_has_is_refused() -> None:
    message = refused({**TWO_LEVELS, "num_class_embeds": 10}, num_classes=10)
    assert message.startswith("model.config.num_class_embeds: is 10, but the data has 10 classes and one null class")
    assert build({**TWO_LEVELS, "num_class_embeds": 11}, num_classes=10).config.num_class_embeds == 11


@pytest.mark.parametrize("size", [7, [8, 9]])
def test_images_that_do_not_divide_into_the_levels_are_refused(size: Any) -> None:
    message = refused({**TWO_LEVELS, "sample_size": size}, image_size=None)
    assert message.startswith(f"model.config.sample_size: {size} is not divisible by 2, by which 2 levels divide")


def test_a_model_beyond_all_memory_is_judged_without_taking_any() -> None:
    config = {**TWO_LEVELS, "block_out_channels": [8, 2**40], "up_block_types": ["Evil", "UpBlock2D"]}
    assert refused(config).startswith("model.config: no UNet2DModel can be made of it")
