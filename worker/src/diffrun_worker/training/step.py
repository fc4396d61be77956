"""One training step. Nothing in it waits for the device, the disk or the network.

What a step measures goes into its row of the readback. Once a loss or a gradient norm is not finite no weight is
changed any more, on the device and without anybody looking: when the host hears of it some steps later, the weights
are still those before that step.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from diffrun_worker.diffusion.loss import ddpm_loss
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.training.batches import Batches
from diffrun_worker.training.config import TrainConfig
from diffrun_worker.training.distributed import World
from diffrun_worker.training.network import Network, computing_dtype
from diffrun_worker.training.randomness import Draws
from diffrun_worker.training.readback import GRAD_NORM, LOSS, PAUSE, STOP, Readback
from diffrun_worker.training.schedules import ema_decay, learning_rate


class TrainStep:
    """The steps of one training."""

    def __init__(
        self,
        config: TrainConfig,
        network: Network,
        optimizer: torch.optim.AdamW,
        diffusion: GaussianDiffusion,
        batches: Batches,
        draws: Draws,
        readback: Readback,
        total: int,
        *,
        forward: Any,
        world: World,
    ) -> None:
        """`total` steps are the whole training.

        `forward` is called instead of the network: itself, or its compiled or data-parallel form.
        """
        self._config = config
        self._network = network
        self._optimizer = optimizer
        self._diffusion = diffusion
        self._batches = batches
        self._draws = draws
        self._readback = readback
        self._total = total
        self._forward = forward
        self._world = world
        self._weights = [parameter for _, parameter in network.trained()]
        self._averaged = list(network.average.parameters())
        self._all_weights = list(network.unet.parameters())
        # The fused AdamW looks at it on the device and leaves everything as it is where it is not 0.
        self._failed = torch.zeros((), device=network.device)
        self._optimizer.found_inf = self._failed  # type: ignore[attr-defined]
        self._null = None if network.classes is None else torch.tensor(len(network.classes), device=network.device)

    def run(self, step: int, *, pause: bool = False, stop: bool = False) -> None:
        """Step `step`, from 0. `pause` and `stop` tell the other workers what this one was asked for."""
        # 1. x₀, t, ε and the class of each image, all functions of seed and step.
        self._draws.begin(step)
        timesteps, noise = self._draws.timesteps(), self._draws.noise()
        clean = self._batches.clean(step).to(memory_format=self._network.memory_format)
        labels = self._labels(step)
        # 2. The loss and its gradients; among several workers the gradients' mean.
        with self._autocast():
            loss = ddpm_loss(
                self._forward,
                self._diffusion,
                clean,
                timesteps,
                noise,
                class_labels=labels,
                min_snr_gamma=self._config.diffusion.min_snr_gamma,
            )
        self._optimizer.zero_grad(set_to_none=True)
        with self._world.together():
            loss.backward()  # type: ignore[no-untyped-call]
        # 3. What the host will hear of, and whether the weights may change.
        self._measure(step, loss.detach(), self._clip(), pause=pause, stop=stop)
        # 4. The weights, and their average.
        self._update(step)

    def _labels(self, step: int) -> Tensor | None:
        """Each image's class, or with probability `classDropout` the null class (Ho & Salimans 2022, algorithm 1)."""
        if self._null is None:
            return None
        labels = self._batches.labels(step)
        return torch.where(self._draws.dropped(self._config.class_dropout), self._null, labels)

    def _autocast(self) -> AbstractContextManager[Any]:
        device = self._network.device
        dtype = computing_dtype(self._config.precision, device)
        return nullcontext() if dtype is torch.float32 else torch.autocast(device.type, dtype)

    def _clip(self) -> Tensor:
        """The gradients' norm before they are clipped to `maxGradNorm`, a scalar on the device."""
        limit = self._config.optimizer.max_grad_norm
        if limit > 0:
            return torch.nn.utils.clip_grad_norm_(self._weights, limit, foreach=True)
        return torch.nn.utils.get_total_norm([one.grad for one in self._weights if one.grad is not None], foreach=True)

    def _measure(self, step: int, loss: Tensor, norm: Tensor, *, pause: bool, stop: bool) -> None:
        row = self._readback.row(step)
        row[LOSS], row[GRAD_NORM] = loss, norm
        if self._world.size > 1:
            row[PAUSE], row[STOP] = float(pause), float(stop)
            self._world.average(row)
        torch.maximum(self._failed, (~torch.isfinite(row[:PAUSE]).all()).float(), out=self._failed)
        self._readback.send(step)

    @torch.no_grad()
    def _update(self, step: int) -> None:
        rate = learning_rate(self._config.optimizer, step, self._total)
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        self._optimizer.step()
        # θ̄ ← decay · θ̄ + (1 − decay) · θ
        torch._foreach_lerp_(self._averaged, self._all_weights, 1 - ema_decay(self._config.ema, step))
