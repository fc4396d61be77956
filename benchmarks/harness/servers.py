"""The servers that the benchmark of events talks to, and what it reads of their processes."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp

from diffrun_contracts import names
from diffrun_contracts.task import RunRef
from diffrun_testkit.servers import RedisServer, free_port


def role(name: str) -> list[str]:
    """The command of a process in a role."""
    return [sys.executable, str(Path(__file__).with_name("roles.py")), name]


@contextmanager
def server(
    way: str, url: str, directory: Path, *, ready: bool = True
) -> "Iterator[tuple[int, subprocess.Popen[bytes]]]":
    """A gateway of either kind, on a free port; the plain one is a role."""
    port = free_port()
    if way == "gateway":
        command = [sys.executable, "-m", "diffrun_gateway", "--local", "--no-auth", "--workspace", str(directory),
                   "--redis", url, "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
    else:
        command = [*role("naive"), "--redis", url, "--port", str(port)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while ready and not _open(port):
            assert time.monotonic() < deadline, f"the {way} did not start"
            time.sleep(0.05)
        yield port, process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def redis_server(directory: Path) -> Iterator[str]:
    """A redis-server with its append-only file on; its URL."""
    files = directory / "redis"
    files.mkdir()
    running = RedisServer(files)
    running.start()
    try:
        yield running.url
    finally:
        running.kill()


def write_run(directory: Path, run: RunRef) -> None:
    """An object, so that the gateway knows the run before its first event."""
    path = directory / names.run_dir(run.uid) / names.RUN_FILE
    path.parent.mkdir(parents=True)
    spec = {"blocks": [{"name": "b", "custom": {"type": "x"}}]}
    path.write_text(json.dumps({"metadata": run.model_dump(), "spec": spec, "status": {}}))


async def fetch(address: str) -> tuple[float, int]:
    """Seconds and bytes."""
    async with aiohttp.ClientSession() as http:
        began = time.perf_counter()
        async with http.get(address) as response:
            size = len(await response.read())
            assert response.status == 200
        return time.perf_counter() - began, size


def wait_for(address: str, text: str) -> None:
    """Until the answer holds the text."""

    async def ask() -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(address) as response:
                        if text in await response.text():
                            return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(ask(), 120))


def rss(pid: int) -> float:
    """Resident memory, MiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)


def cpu_seconds(pid: int) -> float:
    """User and system time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
