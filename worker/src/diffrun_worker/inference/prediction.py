"""ε(x_t, t, c) for every class that a step needs, in one forward pass of the network, and no class twice."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor


class Forward:
    """The network as a function of a batch, a timestep and several classes at once.

    In float64, where results are compared bit by bit, every sample goes through the network by itself, with all of
    its classes: matrix products round differently in other shapes, and this one knows neither batch nor shard. In the
    other types all samples go through it together, and agree over batch sizes to the last few bits.
    """

    def __init__(self, unet: Any, dtype: torch.dtype, device: torch.device) -> None:
        """Takes a UNet that is called like diffusers' UNet2DModel, and what it computes in."""
        self._unet = unet
        self._dtype = dtype
        self._device = device
        self._labels: dict[tuple[tuple[int, ...], int], Tensor] = {}

    def __call__(self, state: Tensor, timestep: Tensor, classes: tuple[int, ...]) -> tuple[Tensor, ...]:
        """ε of each class, [N, C, H, W] each in the state's dtype; `state` is [N, C, H, W], `timestep` a scalar."""
        if self._dtype is torch.float64 and len(state) > 1:
            alone = [self._together(row, timestep, classes) for row in state.split(1)]  # type: ignore[no-untyped-call]
            return tuple(torch.cat(rows) for rows in zip(*alone, strict=True))
        return self._together(state, timestep, classes)

    def _together(self, state: Tensor, timestep: Tensor, classes: tuple[int, ...]) -> tuple[Tensor, ...]:
        samples = len(state)
        batch = torch.cat([state.to(self._dtype)] * len(classes))  # [K·N, C, H, W], all samples of a class together
        labels = self._labels_of(classes, samples)
        output: Tensor = self._unet(batch, timestep, class_labels=labels, return_dict=False)[0]
        return tuple(torch.split(output.to(state.dtype), samples))

    def _labels_of(self, classes: tuple[int, ...], samples: int) -> Tensor:
        """[K·N] int64 on the device, made once: a copy at every step would wait for the device."""
        key = (classes, samples)
        if key not in self._labels:
            labels = torch.tensor(classes, dtype=torch.int64).repeat_interleave(samples)
            self._labels[key] = labels.to(self._device)
        return self._labels[key]


class Predictions:
    """What the network has said about one state so far."""

    def __init__(self, forward: Forward, state: Tensor, timestep: Tensor) -> None:
        """Takes x_t [N, C, H, W] and its timestep as a scalar on the device."""
        self._forward = forward
        self._state = state
        self._timestep = timestep
        self.values: dict[int, Tensor] = {}
        """ε by class, [N, C, H, W] each."""

    def evaluate(self, classes: Iterable[int]) -> None:
        """Makes sure of these classes, with one forward pass for all that are missing."""
        missing = tuple(dict.fromkeys(index for index in classes if index not in self.values))
        if missing:
            self.values |= zip(missing, self._forward(self._state, self._timestep, missing), strict=True)

    def __getitem__(self, class_idx: int) -> Tensor:
        """ε of one class, [N, C, H, W]; evaluated now where nobody planned for it."""
        if class_idx not in self.values:
            self.evaluate([class_idx])
        return self.values[class_idx]
