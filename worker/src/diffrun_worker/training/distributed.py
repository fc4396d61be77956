"""Pods that train one model together: torch.distributed in torchrun's environment.

Each rank takes its slice of the global batch, and the gradients' mean over all ranks is the gradient of that batch. So
the loss curve is that of one pod, up to the order in which floating-point numbers are added.

Rank 0 alone writes checkpoints, grids, metrics and progress. Short words go through the rendezvous' key-value store:
where the state lies that all resume from, and nothing that would have to be pickled.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from diffrun_contracts import names
from diffrun_worker.errors import ErrorCode, TemporaryError, invalid_params

logger = logging.getLogger(__name__)

RENDEZVOUS_SECONDS = 600.0
"""How long a rank waits for the others: images are pulled and nodes started at very different speeds."""

# A pause may last for days, and so may one rank's wait for another that draws a grid or saves.
_COLLECTIVE_TIMEOUT = timedelta(days=30)
_VARIABLES = (names.ENV_RANK, names.ENV_WORLD_SIZE, names.ENV_MASTER_ADDR, names.ENV_MASTER_PORT)


@dataclass(frozen=True)
class World:
    """The pods of one training; of a single one every method does nothing."""

    rank: int = 0
    size: int = 1
    store: Any = None
    """The rendezvous' key-value store."""

    @property
    def leads(self) -> bool:
        """Whether this rank writes and speaks for all."""
        return self.rank == 0

    def average(self, values: Tensor) -> None:
        """Replaces float values by their mean over the ranks. Begun and not waited for where the device is a GPU."""
        if self.size > 1:
            with self.together():
                dist.all_reduce(values)
            values.div_(self.size)

    def any(self, flag: bool) -> bool:
        """Whether any rank says so; waits for all."""
        if self.size == 1:
            return flag
        value = torch.tensor(float(flag), device=self._device)
        self.average(value)
        return bool(value.item() > 0)

    def tell(self, key: str, word: str | None) -> str:
        """Rank 0's word, on every rank; waits for it. Others give None."""
        if self.size == 1:
            return word or ""
        if self.leads:
            self.store.set(key, word or "")
        with self.together():
            return bytes(self.store.get(key)).decode()

    def parallel(self, network: nn.Module) -> nn.Module:
        """The network, with gradients that are averaged over the ranks while they are computed."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, forward_sync_buffers=False, gradient_as_bucket_view=True)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Around whatever the ranks do together, the backward pass included.

        Raises TemporaryError `PeersUnavailable` where one of them has gone: the block is started again whole.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (dist.DistError, RuntimeError) as error:
            if self.size == 1:
                raise
            raise TemporaryError(
                ErrorCode.PEERS_UNAVAILABLE,
                f"workers: a pod that trains with this one has gone ({_first_line(error)}); its own message says why",
            ) from error

    @property
    def _device(self) -> str:
        return "cuda" if dist.get_backend() == "nccl" else "cpu"


@contextmanager
def join(workers: int, device: torch.device, environment: Mapping[str, str] | None = None) -> Iterator[World]:
    """Meets the other workers, and parts from them at the end.

    With one worker and no WORLD_SIZE there is nobody to meet.

    Raises PermanentError `InvalidParams` where the environment does not say how, TemporaryError `PeersUnavailable`
    where they do not come in time.
    """
    environment = os.environ if environment is None else environment
    size = _world_size(workers, environment)
    if size == 1:
        yield World()
        return
    rank, address, port = _place(size, environment)
    seconds = float(environment.get(names.ENV_RENDEZVOUS_SECONDS) or RENDEZVOUS_SECONDS)
    logger.info("rank %d of %d meets the others at %s:%d", rank, size, address, port)
    try:
        store = _store(address, port, size, rank, seconds)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=_COLLECTIVE_TIMEOUT)
    except (dist.DistError, RuntimeError, ValueError) as error:
        raise TemporaryError(
            ErrorCode.PEERS_UNAVAILABLE,
            f"workers: rank {rank} of {size} did not meet the others at {address}:{port} within {seconds:.0f} s "
            f"({_first_line(error)}); see whether every pod of the block could start",
        ) from error
    try:
        yield World(rank, size, store)
    finally:
        dist.destroy_process_group()


def _store(address: str, port: int, size: int, rank: int, seconds: float) -> Any:
    """The key-value store of the rendezvous, which rank 0 keeps; all have come when it returns."""
    tcp_store: Any = dist.TCPStore  # type: ignore[attr-defined] # it is exported, though not for type checkers
    return tcp_store(address, port, size, rank == 0, timedelta(seconds=seconds))


def _world_size(workers: int, environment: Mapping[str, str]) -> int:
    """WORLD_SIZE where it is set, as torchrun sets it; `workers` must agree, or be 1."""
    if names.ENV_WORLD_SIZE not in environment:
        if workers > 1:
            raise invalid_params(
                f"workers: {workers} need each other's addresses, and {', '.join(_VARIABLES)} are not all set; "
                "start them with torchrun, or set workers: 1"
            )
        return 1
    size = _number(environment, names.ENV_WORLD_SIZE)
    if size < 1 or workers not in (1, size):
        raise invalid_params(f"workers: is {workers}, but {names.ENV_WORLD_SIZE} is {size}; they must be the same")
    return size


def _place(size: int, environment: Mapping[str, str]) -> tuple[int, str, int]:
    missing = [name for name in _VARIABLES if not environment.get(name)]
    if missing:
        raise invalid_params(
            f"workers: {', '.join(missing)} must be set beside {names.ENV_WORLD_SIZE}, as torchrun does"
        )
    rank = _number(environment, names.ENV_RANK)
    if rank >= size:
        raise invalid_params(f"workers: {names.ENV_RANK} is {rank}, but there are {size} workers, numbered from 0")
    return rank, environment[names.ENV_MASTER_ADDR], _number(environment, names.ENV_MASTER_PORT)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment[name]
    if not text.isdecimal():
        raise invalid_params(f"workers: {name} is {text!r}, and must be a number")
    return int(text)


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0][:200]
