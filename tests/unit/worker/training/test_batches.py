"""The images of a step, with their classes, in the order of the data."""

import torch

from diffrun_worker.data import DataOrder, Images
from diffrun_worker.training.batches import Batches


def images(*, flip: bool) -> Images:
    """Ten images of one row, each of which is told by its first pixel."""
    pixels = torch.zeros(10, 1, 1, 2, dtype=torch.uint8)
    pixels[:, 0, 0, 0] = torch.arange(10) * 25
    return Images(pixels, torch.arange(10), tuple("abcdefghij"), flip, "rows", "digest")


def test_images_and_labels_are_those_of_the_order() -> None:
    batches = Batches(images(flip=False), 4, seed=3, device=torch.device("cpu"))
    indexes = DataOrder(10, 4, 3).at(5)
    assert torch.equal(batches.labels(5), indexes)
    expected = (indexes * 25).float() / 127.5 - 1
    assert torch.equal(batches.clean(5)[:, 0, 0, 0], expected)
    assert bool((batches.clean(5)[:, 0, 0, 1] == -1).all())


def test_mirrored_images_are_those_that_the_order_says() -> None:
    batches = Batches(images(flip=True), 8, seed=0, device=torch.device("cpu"))
    order = DataOrder(10, 8, 0)
    mirrored, indexes = order.flips(0), order.at(0)
    assert bool(mirrored.any())
    assert not bool(mirrored.all())
    found = batches.clean(0)[:, 0, 0, :]  # [8, 2]
    values = (indexes * 25).float() / 127.5 - 1
    assert torch.equal(torch.where(mirrored, found[:, 1], found[:, 0]), values)


def test_workers_share_a_batch_out() -> None:
    alone = Batches(images(flip=True), 4, seed=1, device=torch.device("cpu"))
    pair = [Batches(images(flip=True), 4, seed=1, device=torch.device("cpu"), rank=rank, world=2) for rank in range(2)]
    assert torch.equal(alone.clean(2), torch.cat([one.clean(2) for one in pair]))
    assert torch.equal(alone.labels(2), torch.cat([one.labels(2) for one in pair]))
