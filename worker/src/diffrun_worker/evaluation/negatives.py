"""Images of nothing: what a classifier must not be sure of."""

import torch
from torch import Generator, Tensor

_TILES = 4  # along each side


def negatives(images: Tensor, generator: Generator) -> Tensor:
    """Half of the images with their parts shuffled, noise in the place of the rest: [N, C, H, W] uint8 as given.

    Shuffled images have every local stroke of real ones and none of their form; noise has neither.
    """
    half = (len(images) + 1) // 2
    noise = torch.randint(256, images[half:].shape, generator=generator, dtype=torch.uint8)
    return torch.cat([shuffle_tiles(images[:half], generator), noise])


def shuffle_tiles(images: Tensor, generator: Generator) -> Tensor:
    """Each image cut into 4×4 tiles that are put together in an order of its own: [N, C, H, W].

    Rows and columns that do not fill a tile stay where they are.
    """
    count, channels, height, width = images.shape
    high, wide = height // _TILES, width // _TILES
    inner = images[:, :, : high * _TILES, : wide * _TILES]
    tiles = inner.reshape(count, channels, _TILES, high, _TILES, wide).permute(0, 2, 4, 1, 3, 5)
    tiles = tiles.reshape(count, _TILES * _TILES, channels, high, wide)  # [N, 16, C, h, w]
    orders = torch.rand(count, _TILES * _TILES, generator=generator).argsort(dim=1)
    tiles = tiles[torch.arange(count)[:, None], orders]
    mixed = tiles.reshape(count, _TILES, _TILES, channels, high, wide).permute(0, 3, 1, 4, 2, 5)
    result = images.clone()
    result[:, :, : high * _TILES, : wide * _TILES] = mixed.reshape(inner.shape)
    return result
