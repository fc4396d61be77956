"""The order of the data: what holds for every size, batch, seed and number of workers."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffrun_worker.data import DataOrder
from diffrun_worker.errors import PermanentError

seeds = st.integers(0, 2**31 - 1)
steps = st.integers(0, 500)


@st.composite
def shapes(draw: st.DrawFn) -> tuple[int, int]:
    """A data set's size and a batch that is not larger."""
    size = draw(st.integers(1, 60))
    return size, draw(st.integers(1, size))


@given(shape=shapes(), seed=seeds, epoch=st.integers(0, 50))
def test_an_epoch_shows_no_image_twice_and_drops_less_than_a_batch(
    shape: tuple[int, int], seed: int, epoch: int
) -> None:
    size, batch = shape
    order = DataOrder(size, batch, seed)
    first = epoch * order.steps_per_epoch
    seen = torch.cat([order.at(step) for step in range(first, first + order.steps_per_epoch)])
    assert len(seen.unique()) == len(seen) == size - size % batch
    assert (seen >= 0).all()
    assert (seen < size).all()
    assert {order.epoch(first), order.epoch(first + order.steps_per_epoch - 1)} == {epoch}


@given(shape=shapes(), seed=seeds, visited=st.lists(steps, max_size=8), step=steps)
def test_a_step_is_the_same_whatever_was_looked_at_before(
    shape: tuple[int, int], seed: int, visited: list[int], step: int
) -> None:
    order, fresh = DataOrder(*shape, seed), DataOrder(*shape, seed)
    for other in visited:
        order.at(other)
        order.flips(other)
    assert torch.equal(order.at(step), fresh.at(step))
    assert torch.equal(order.flips(step), fresh.flips(step))


@given(world=st.integers(1, 6), share=st.integers(1, 8), more=st.integers(0, 30), seed=seeds, step=steps)
def test_workers_see_together_exactly_what_one_would(world: int, share: int, more: int, seed: int, step: int) -> None:
    size, batch = world * share + more, world * share
    one = DataOrder(size, batch, seed)
    workers = [DataOrder(size, batch, seed, rank=rank, world=world) for rank in range(world)]
    assert torch.equal(torch.cat([worker.at(step) for worker in workers]), one.at(step))
    assert torch.equal(torch.cat([worker.flips(step) for worker in workers]), one.flips(step))


def epoch_of(order: DataOrder, epoch: int) -> list[int]:
    first = epoch * order.steps_per_epoch
    return torch.cat([order.at(step) for step in range(first, first + order.steps_per_epoch)]).tolist()


def test_epochs_and_seeds_each_have_an_order_of_their_own() -> None:
    orders = [epoch_of(DataOrder(100, 10, seed), epoch) for seed in range(4) for epoch in range(4)]
    assert len({tuple(order) for order in orders}) == 16
    assert all(order != sorted(order) for order in orders)


def test_flips_are_fair_coins_that_do_not_follow_the_order() -> None:
    order = DataOrder(20_000, 100, seed=1)
    flips = torch.stack([order.flips(step) for step in range(order.steps_per_epoch)]).float()
    indexes = torch.stack([order.at(step) for step in range(order.steps_per_epoch)]).float()
    # Five standard deviations of 20,000 fair coins, and of their correlation with something independent.
    assert abs(flips.mean().item() - 0.5) < 5 * 0.5 / 20_000**0.5
    correlation = torch.corrcoef(torch.stack([flips.flatten(), indexes.flatten()]))[0, 1].item()
    assert abs(correlation) < 5 / 20_000**0.5


def test_another_epoch_mirrors_other_images() -> None:
    order = DataOrder(64, 64, seed=3)
    assert not torch.equal(order.flips(0), order.flips(1))


def test_the_first_batches_of_a_seed_stay_what_they_are() -> None:
    order = DataOrder(12, 5, seed=7)
    assert [order.at(step).tolist() for step in range(3)] == [[4, 1, 6, 10, 7], [11, 5, 0, 9, 8], [5, 2, 10, 0, 7]]
    assert ["".join("-x"[flip] for flip in order.flips(step)) for step in range(3)] == ["-xx--", "xx-xx", "-x---"]


@pytest.mark.parametrize(
    ("size", "batch", "world", "words"),
    [
        (10, 11, 1, "batchSize: 11 is larger than the data set, which has 10 images; set it to at most 10"),
        (10, 5, 2, "batchSize: 5 images cannot be shared evenly by 2 workers; make it a multiple of workers"),
    ],
    ids=["too-large", "uneven"],
)
def test_a_batch_that_cannot_be_made_is_refused_by_its_field(size: int, batch: int, world: int, words: str) -> None:
    with pytest.raises(PermanentError) as caught:
        DataOrder(size, batch, 0, world=world)
    assert (caught.value.code, caught.value.message) == ("InvalidParams", words)


def test_a_rank_that_is_no_worker_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="rank 2 is not one of 2 workers"):
        DataOrder(10, 2, 0, rank=2, world=2)
