"""How workers find each other, and what is told where they cannot. Real ones meet, and wait, in tests/integration."""

import pytest
import torch

from diffrun_worker.errors import PermanentError, TemporaryError
from diffrun_worker.training.distributed import World, join


def test_one_worker_meets_nobody() -> None:
    with join(1, torch.device("cpu"), {}) as world:
        assert world == World(rank=0, size=1)
        assert world.leads
        assert world.any(True) is True
        assert world.tell("key", "word") == "word"


@pytest.mark.parametrize(
    ("workers", "environment", "message"),
    [
        (2, {}, "workers: 2 need each other's addresses, and RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT"),
        (3, {"WORLD_SIZE": "2"}, "workers: is 3, but WORLD_SIZE is 2"),
        (2, {"WORLD_SIZE": "2", "RANK": "0"}, "workers: MASTER_ADDR, MASTER_PORT must be set"),
        (2, {"WORLD_SIZE": "2", "RANK": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}, "RANK is 2, but there are 2"),
        (2, {"WORLD_SIZE": "two"}, "workers: WORLD_SIZE is 'two', and must be a number"),
    ],
    ids=["nothing set", "another size", "no address", "a rank too high", "no number"],
)
def test_an_environment_that_leads_nowhere_is_told(workers: int, environment: dict[str, str], message: str) -> None:
    with pytest.raises(PermanentError, match=message), join(workers, torch.device("cpu"), environment):
        pass


def test_what_goes_wrong_together_is_the_peers_fault_and_alone_it_is_not() -> None:
    gone = r"a pod that trains with this one has gone \(Connection closed by peer\)"
    with pytest.raises(TemporaryError, match=gone), World(rank=0, size=2).together():
        raise RuntimeError("Connection closed by peer\nand a long trace")
    with pytest.raises(RuntimeError, match="mine"), World().together():
        raise RuntimeError("mine")
    with pytest.raises(torch.OutOfMemoryError), World(rank=0, size=2).together():
        raise torch.OutOfMemoryError
