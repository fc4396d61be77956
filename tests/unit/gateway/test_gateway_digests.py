"""A file's hash is worked out once for each state that the file is in, and never taken for that of another state."""

import asyncio
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from diffrun_gateway import digests
from diffrun_gateway.digests import Digests
from diffrun_gateway.files import Descriptor

DATA = b"what was announced"
OTHER = b"what was put there"
SHA = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_bytes(DATA)
    return file


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every file that is read."""
    found: list[int] = []
    original = digests._sha256

    async def counted(file: Descriptor) -> str:
        found.append(file.size)
        return await original(file)

    monkeypatch.setattr(digests, "_sha256", counted)
    return found


@contextmanager
def opened(path: Path) -> Iterator[Descriptor]:
    file = Descriptor(os.open(path, os.O_RDONLY))
    try:
        yield file
    finally:
        file.close()


def write_over(path: Path) -> None:
    path.write_bytes(OTHER)


async def asked(known: Digests, path: Path, size: int = len(DATA)) -> bool:
    with opened(path) as file:
        return await known.is_what(file, size, SHA)


async def test_a_settled_file_is_read_once(path: Path, readings: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "SETTLED_NS", -1)
    known = Digests()
    assert [await asked(known, path) for _ in range(3)] == [True] * 3
    assert len(readings) == 1


async def test_a_file_written_this_moment_is_read_again(
    path: Path, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SETTLED_NS", 10**18)
    known = Digests()
    assert await asked(known, path)
    write_over(path)  # perhaps within one tick of the file system's clock
    assert not await asked(known, path)
    assert len(readings) == 2


async def test_those_who_ask_at_once_share_one_reading(path: Path, readings: list[int]) -> None:
    known = Digests()
    assert await asyncio.gather(*(asked(known, path) for _ in range(5))) == [True] * 5
    assert len(readings) == 1


async def test_one_who_goes_away_takes_nothing_from_the_others(path: Path, readings: list[int]) -> None:
    known = Digests()
    gone = asyncio.create_task(asked(known, path))
    await asyncio.sleep(0)  # until it has begun
    stays = asyncio.create_task(asked(known, path))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays
    assert gone.cancelled()
    assert len(readings) == 1


async def test_a_file_of_another_size_is_not_even_read(path: Path, readings: list[int]) -> None:
    assert not await asked(Digests(), path, size=len(DATA) - 1)
    assert readings == []


async def test_a_file_that_changes_while_it_is_read_is_not_what_was_announced(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = digests._sha256

    async def overtaken(file: Descriptor) -> str:
        found = await original(file)
        before = file.now()
        while file.now() == before:
            write_over(path)
        return found

    monkeypatch.setattr(digests, "_sha256", overtaken)
    assert not await asked(Digests(), path)


async def test_a_large_file_is_read_in_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(digests, "CHUNK", 5)
    monkeypatch.setattr(digests, "LARGE", 1)
    assert await asked(Digests(), path)


async def test_only_so_many_hashes_are_remembered(
    tmp_path: Path, path: Path, readings: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SETTLED_NS", -1)
    monkeypatch.setattr(digests, "REMEMBERED", 2)
    known = Digests()
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(DATA)
    for asked_for in (path, tmp_path / "a", path, tmp_path / "b", path):
        assert await asked(known, asked_for)
    assert len(readings) == 3
    assert await asked(known, tmp_path / "a")
    assert len(readings) == 4
