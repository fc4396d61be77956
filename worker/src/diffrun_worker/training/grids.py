"""Sample grids during training: drawn with the averaged weights, encoded and written off the loop's thread."""

import math
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import torch
from torch import Tensor

from diffrun_worker.block import BlockContext
from diffrun_worker.sampling.grids import grid_png
from diffrun_worker.sampling.images import PNG, to_pixels
from diffrun_worker.sampling.loader import Model
from diffrun_worker.sampling.loop import denoise, generators_for
from diffrun_worker.sampling.schedules import Schedule
from diffrun_worker.sampling.transfer import Arrival, begin_copy, host_buffer
from diffrun_worker.training.config import GridConfig
from diffrun_worker.training.network import Network

SCHEMA_TYPE = "sample_grid"


class Grids:
    """Draws the grids of one training. Leaving its context writes what is left and raises what failed."""

    def __init__(
        self, config: GridConfig, network: Network, scheduler_config: Mapping[str, Any], ctx: BlockContext
    ) -> None:
        """Raises PermanentError `InvalidParams` where the sampler cannot draw from the diffusion process."""
        self._config = config
        self._network = network
        self._schedule = Schedule(scheduler_config, config.sampler)
        self._ctx = ctx
        self._model = _model(network, scheduler_config, config.samples)
        self._columns = _columns(config.samples, network.classes)
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="grids")
        self._writing: Future[None] | None = None

    def __enter__(self) -> "Grids":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.shutdown(wait=True)
        if error is None:
            self.raise_failure()

    def raise_failure(self) -> None:
        """Raises what the last grid met with; waits for it."""
        if self._writing is not None:
            self._writing.result()

    def draw(self, step: int, epoch: int, check: Callable[[], None]) -> None:
        """Draws the grid after `step` steps. `check` is called between two steps of the sampler and may raise."""
        self.raise_failure()
        seeds = [self._config.seed + index for index in range(self._config.samples)]
        samples = denoise(self._model, self._schedule, generators_for(seeds), lambda *_: check())
        pixels = to_pixels(samples)  # [N, H, W, C] uint8
        host = host_buffer(pixels)
        begin_copy(host, pixels)
        tags = {"step": str(step), "epoch": str(epoch), "sampler": str(self._config.sampler.name)}
        self._writing = self._writer.submit(self._write, host, Arrival(pixels.device), tags)

    def _write(self, pixels: Tensor, arrival: Arrival, tags: Mapping[str, str]) -> None:
        arrival.wait()
        image = grid_png(pixels.permute(0, 3, 1, 2), self._columns)
        self._ctx.artifact(
            image.data,
            schema_type=SCHEMA_TYPE,
            content_type=PNG,
            tags=tags,
            width=image.width,
            height=image.height,
        )


class _EachClass:
    """A conditional network as one without classes: sample i is of class i, and again from the first."""

    def __init__(self, unet: Any, classes: int, samples: int, device: torch.device) -> None:
        self._unet = unet
        self._labels = torch.arange(samples, device=device) % classes

    def __call__(self, images: Tensor, timestep: Tensor, *, return_dict: bool) -> Any:
        return self._unet(images, timestep, class_labels=self._labels, return_dict=return_dict)


def _model(network: Network, scheduler_config: Mapping[str, Any], samples: int) -> Model:
    config, device = network.average.config, network.device
    unet = network.average
    if network.classes is not None:
        unet = _EachClass(unet, len(network.classes), samples, device)
    size = config.sample_size
    height, width = (size, size) if isinstance(size, int) else size
    shape = (config.in_channels, height, width)
    return Model(unet, scheduler_config, shape, torch.float32, device, network.memory_format)


def _columns(samples: int, classes: tuple[str, ...] | None) -> int:
    """As many as make a square; with classes one column each, where there are few enough to see."""
    if classes is not None and len(classes) <= 16:
        return len(classes)
    return max(1, round(math.sqrt(samples)))
