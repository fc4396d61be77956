"""Servers that tests start and stop: Redis as a process that can be killed, the Hub's look-alike on a thread."""

import asyncio
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import redis
from aiohttp import web

from diffrun_contracts.events import EVENT_FIELD, Event
from diffrun_testkit.hub import HubServer
from diffrun_testkit.repos import Repo

START_SECONDS = 20


def free_port() -> int:
    """A port of loopback that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class RedisServer:
    """A redis-server on a port of its own."""

    def __init__(self, directory: Path) -> None:
        """Starts nothing yet. Raises FileNotFoundError without a redis-server on PATH."""
        binary = shutil.which("redis-server")
        if binary is None:
            raise FileNotFoundError("install redis-server: a real one is needed")
        self.binary = binary
        self.directory = directory
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.client = redis.Redis(host="127.0.0.1", port=self.port)

    @property
    def url(self) -> str:
        """Where it is, or will be."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Starts the server and waits until it answers."""
        options = {
            "port": str(self.port),
            "dir": str(self.directory),
            "appendonly": "yes",
            "save": "",
            "bind": "127.0.0.1",
            "repl-diskless-sync-delay": "0",
        }
        command = [self.binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log)
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.directory / "log").read_text())
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return bool(self.client.ping())
        except redis.ConnectionError:
            return False

    def kill(self) -> None:
        """SIGKILL; what was not in the append-only file is lost."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM; everything is kept."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """Takes connections and answers nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Answers again."""
        self._signal(signal.SIGCONT)

    def demote(self, master: int | None = None) -> None:
        """Becomes a replica: it refuses writes (READONLY), and takes over what the server on `master`'s port has.

        Without a port it is the replica of a server that is gone, and keeps what it has.
        """
        self.client.replicaof("127.0.0.1", str(master or free_port()))
        if master is not None:
            self._until(lambda: self.client.info("replication")["master_link_status"] == "up")

    def promote(self) -> None:
        """Takes writes again, and follows nobody."""
        self.client.replicaof("NO", "ONE")

    @staticmethod
    def _until(met: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not met():
            if time.monotonic() > deadline:
                raise TimeoutError("redis-server did not follow its master in time")
            time.sleep(0.01)

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.send_signal(signal.SIGCONT)
            self.process.wait(10)
            self.process = None

    def events(self, key: str) -> list[Event]:
        """The stream's events, duplicates included."""
        entries: Any = self.client.xrange(key)
        return [Event.model_validate_json(fields[EVENT_FIELD.encode()]) for _, fields in entries]


class HubThread:
    """The Hub-compatible server on a thread."""

    def __init__(self, repos: Iterable[Repo], *, token: str | None = None) -> None:
        """Serves on a free port of 127.0.0.1 until it is closed."""
        self.server = HubServer(repos, token=token)
        self.runner = web.AppRunner(self.server.application(), shutdown_timeout=0.1)
        self.loop = asyncio.new_event_loop()
        self.url = ""
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()
        if not self._ready.wait(START_SECONDS):
            raise RuntimeError("the Hub's look-alike did not start")

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._start())
        self._ready.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self.runner.cleanup())
        self.loop.close()

    async def _start(self) -> None:
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self.runner.addresses[0][1]}"

    def close(self) -> None:
        """Ends the thread."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(START_SECONDS)
