"""Real servers for the worker: a Redis that can be killed, and the Hub's look-alike."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diffrun_testkit.repos import lookalike
from diffrun_testkit.servers import HubThread, RedisServer
from diffrun_worker.testing import RecordingContext

TOKEN = "hf_canary_0123456789"


@pytest.fixture
def redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis that has not been started yet."""
    with stopped_redis(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RedisServer]:
    """A second Redis, which answers."""
    with stopped_redis(tmp_path / "other-redis") as server:
        server.start()
        yield server


@contextmanager
def stopped_redis(directory: Path) -> Iterator[RedisServer]:
    directory.mkdir()
    server = RedisServer(directory)
    yield server
    server.client.close()
    server.kill()


@pytest.fixture
def live(redis_server: RedisServer) -> RedisServer:
    """A Redis that answers."""
    redis_server.start()
    return redis_server


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """An empty workspace."""
    path = tmp_path / "workspace"
    path.mkdir()
    return path


@pytest.fixture
def ctx(tmp_path: Path) -> RecordingContext:
    """A context of an empty workspace."""
    return RecordingContext(tmp_path)


@pytest.fixture
def token() -> str:
    """The token that opens gated repositories, which no log may ever show."""
    return TOKEN


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, token: str) -> Iterator[HubThread]:
    """The Hub's look-alike, where HF_ENDPOINT points to; no token is set."""
    running = HubThread([lookalike()], token=token)
    monkeypatch.setenv("HF_ENDPOINT", running.url)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield running
    running.close()


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The Hub's client waits a second before it goes on after a broken connection; a test need not."""
    hasty = type("Hasty", (), {"sleep": staticmethod(lambda seconds: None)})
    monkeypatch.setattr("huggingface_hub.file_download.time", hasty)
