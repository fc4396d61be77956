"""A sample is the same whatever it shares a batch with and whatever shard draws it."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from diffrun_worker.inference import Generation, InferenceConfig, build_scheduler, load_checkpoint, load_unet

SAMPLES = 8
TOLERANCE = {"float64": 0.0, "float32": 2e-3}
"""Bit-equal in float64, where every sample goes through the network by itself.

In float32 a forward pass rounds differently in another batch size, by about 1e-6, and a network with random weights
makes more of it at every step; states span about ±1.
"""


def mine(model_output: Tensor, x_t: Tensor, state: dict[str, Any], randn_like: Any, **_: Any) -> Tensor:
    """Written for one sample: a norm over everything it gets, a memory, and noise."""
    state["mean"] = 0.5 * state.get("mean", 0.0) + x_t / x_t.norm()
    return state["mean"] + 0.05 * randn_like(x_t)


STACK = [
    {"name": "force_oscillate_two", "class_a": "A", "class_b": "B", "frequency": 0.2},
    {"name": "force_repel_class", "target_class": "C", "weight": 0.5},
    {"name": "force_user_custom", "fn": mine},
]


def shuffle(x: Tensor, state: dict[str, Any], generator: torch.Generator, **_: Any) -> Tensor:
    """A drift of the user's that draws from the sample's own generator."""
    state["count"] = state.get("count", 0) + 1
    return x + 0.02 * state["count"] * torch.rand(1, generator=generator, dtype=x.dtype)


NOISE = {"enabled": True, "scale": 2.0}
NORMALIZED = {"enabled": True, "function_name": "drift_normalize"}
CUSTOM = {"enabled": True, "function_name": "drift_user_custom", "params": {"fn": shuffle}}
DDIM, NOISY_DDIM, DDPM = {"name": "DDIM"}, {"name": "DDIM", "eta": 0.8}, {"name": "DDPM"}

CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "float64, DDIM": ("float64", DDIM, {}),
    "float64, DDIM with noise, drift of noise": ("float64", NOISY_DDIM, NOISE),
    "float64, DDIM, normalized": ("float64", DDIM, NORMALIZED),
    "float64, DDPM, drift of the user's": ("float64", DDPM, CUSTOM),
    "float32, DDIM with noise, drift of noise": ("float32", NOISY_DDIM, NOISE),
    "float32, DDPM, drift of the user's": ("float32", DDPM, CUSTOM),
}


@pytest.fixture(scope="module")
def generations(tiny_checkpoint: Path) -> Any:
    ckpt = load_checkpoint(tiny_checkpoint)
    unet = cache(lambda dtype: load_unet(ckpt, dtype=dtype))

    def make(dtype: str, sampler: dict[str, Any], drift: dict[str, Any]) -> Generation:
        config = InferenceConfig.from_dict(
            {"seed": 11, "sampler": {"steps": 3, **sampler}, "force": {"force_stack": STACK}, "drift": drift}
        )
        return Generation(unet(dtype), build_scheduler(ckpt, config.sampler.name), config, ckpt)

    return make


@pytest.mark.parametrize(("dtype", "sampler", "drift"), CASES.values(), ids=CASES.keys())
def test_neither_batches_nor_shards_change_a_sample(
    generations: Any, dtype: str, sampler: dict[str, Any], drift: dict[str, Any]
) -> None:
    generation = generations(dtype, sampler, drift)
    together = generation.draw(range(SAMPLES))
    threes = torch.cat([generation.draw(batch) for batch in (range(3), range(3, 6), range(6, SAMPLES))])
    another_process = generations(dtype, sampler, drift)
    alone = torch.cat([another_process.draw([index]) for index in range(SAMPLES)])
    torch.testing.assert_close(threes, together, rtol=0, atol=TOLERANCE[dtype])
    torch.testing.assert_close(alone, together, rtol=0, atol=TOLERANCE[dtype])
    assert len({sample.numpy().tobytes() for sample in together}) == SAMPLES
    assert (together[0] - together[1]).abs().max() > 100 * TOLERANCE["float32"]


def test_a_configuration_without_a_seed_draws_one_for_all_of_its_samples(tiny_checkpoint: Path) -> None:
    ckpt = load_checkpoint(tiny_checkpoint)
    unet, scheduler, config = load_unet(ckpt), build_scheduler(ckpt), InferenceConfig(num_inference_steps=2)
    one, other = (Generation(unet, scheduler, config, ckpt) for _ in range(2))
    assert one.seed != other.seed
    torch.testing.assert_close(one.draw([3, 4])[1:], one.draw([4]), rtol=0, atol=1e-4)


def test_the_start_is_the_same_noise_that_unconditional_generation_starts_from(tiny_checkpoint: Path) -> None:
    ckpt = load_checkpoint(tiny_checkpoint)
    frames: list[Any] = []
    config = InferenceConfig(seed=7, num_inference_steps=1)
    Generation(load_unet(ckpt), build_scheduler(ckpt), config, ckpt).draw([2], frames.append)
    expected = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(9))
    assert torch.equal(frames[0].previous[0], expected)
