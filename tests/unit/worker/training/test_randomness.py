"""What a step draws is a function of seed and step, and of nothing else."""

import pytest
import torch
from torch import Tensor

from diffrun_contracts.params.train import TimestepSampling
from diffrun_worker.training.randomness import Draws, Slice

SHAPE = (1, 4, 4)


def draws(seed: int = 0, *, part: Slice | None = None, sampling: TimestepSampling = TimestepSampling.UNIFORM) -> Draws:
    return Draws(seed, 8, SHAPE, 1000, torch.device("cpu"), sampling=sampling, part=part)


def everything(source: Draws, step: int) -> tuple[Tensor, Tensor, Tensor]:
    source.begin(step)
    return source.timesteps(), source.noise(), source.dropped(0.5)


def equal(one: tuple[Tensor, ...], other: tuple[Tensor, ...]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_step_draws_the_same_whatever_was_drawn_before() -> None:
    fresh, used = draws(), draws()
    for step in range(3):
        everything(used, step)
    assert equal(everything(fresh, 3), everything(used, 3))


@pytest.mark.parametrize(("seed", "step"), [(0, 1), (1, 0)], ids=["another step", "another seed"])
def test_other_steps_and_seeds_draw_otherwise(seed: int, step: int) -> None:
    first, other = everything(draws(0), 0), everything(draws(seed), step)
    assert not torch.equal(first[0], other[0])
    assert not torch.allclose(first[1], other[1])


@pytest.mark.parametrize("sampling", TimestepSampling)
def test_workers_together_draw_what_one_alone_would(sampling: TimestepSampling) -> None:
    whole = everything(draws(sampling=sampling), 5)
    parts = [everything(draws(part=Slice(rank, 4), sampling=sampling), 5) for rank in range(4)]
    joined = tuple(torch.cat(pieces) for pieces in zip(*parts, strict=True))
    assert equal(whole, joined)


def test_timesteps_cover_the_whole_process_evenly() -> None:
    source = Draws(0, 100_000, (1, 1, 1), 1000, torch.device("cpu"))
    source.begin(0)
    counts = torch.bincount(source.timesteps(), minlength=1000)
    assert counts.shape == (1000,)
    assert counts.min() > 50
    assert counts.max() < 160


def test_stratified_timesteps_come_one_from_each_part() -> None:
    source = draws(sampling=TimestepSampling.STRATIFIED)
    for step in range(20):
        source.begin(step)
        timesteps = source.timesteps()
        assert torch.equal(timesteps // 125, torch.arange(8))  # eight parts of 125 of the 1000 timesteps


def test_the_noise_is_unit_gaussian() -> None:
    source = Draws(0, 64, (3, 32, 32), 1000, torch.device("cpu"))
    source.begin(0)
    source.timesteps()
    noise = source.noise()
    assert noise.dtype == torch.float32
    assert float(noise.mean()) == pytest.approx(0, abs=0.01)
    assert float(noise.std()) == pytest.approx(1, abs=0.01)


def test_classes_are_dropped_as_often_as_asked() -> None:
    source = Draws(0, 20_000, (1, 1, 1), 1000, torch.device("cpu"))
    source.begin(0)
    assert float(source.dropped(0.1).float().mean()) == pytest.approx(0.1, abs=0.01)
    source.begin(0)
    assert not source.dropped(0.0).any()
