"""One thread: small matrices are slower on many, and other tests run beside these."""

import pytest
import torch


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
