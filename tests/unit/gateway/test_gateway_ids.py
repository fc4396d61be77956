"""An artifact's id is opaque: whatever a client asks for, it gets what the run announced under that very id, or 404."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from run_kit import Pod, a_run, run_object, write_object

from diffrun_gateway.app import Application
from diffrun_gateway.settings import Auth, Runs, Settings

OWN = b"the run's own"
SECRET = b"what nobody may read"


class Served:
    """The application on a loop of its own, without a server: requests go in decoded, as any client may choose them."""

    def __init__(self, workspace: Path) -> None:
        chosen = Settings(workspace=workspace, runs=Runs(source="workspace"), auth=Auth(mode="none"))
        self._application = Application(chosen)
        self._runner = asyncio.Runner()
        self._runner.run(self._start())

    def get(self, path: str, query: str) -> tuple[int, bytes]:
        """Status and body."""
        return self._runner.run(self._get(path, query))

    def close(self) -> None:
        self._runner.run(self._end())
        self._runner.close()

    async def _start(self) -> None:
        self._said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        await self._heard.put({"type": "lifespan.startup"})
        scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
        self._life = asyncio.create_task(self._application.asgi(scope, self._heard.get, self._said.put))  # type: ignore[arg-type]
        assert (await self._said.get())["type"] == "lifespan.startup.complete"
        assert self._application.services is not None
        await asyncio.wait_for(self._application.services.registry.ready.wait(), 15)

    async def _end(self) -> None:
        await self._heard.put({"type": "lifespan.shutdown"})
        with suppress(asyncio.CancelledError):
            await self._life

    async def _get(self, path: str, query: str) -> tuple[int, bytes]:
        messages: list[dict[str, Any]] = []

        waiting = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in waiting:
                return message
            await asyncio.Event().wait()  # the client stays
            raise AssertionError

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "query_string": query.encode(), "root_path": "", "state": {},
            "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80),
        }  # fmt: skip
        await self._application.asgi(scope, receive, send)
        return messages[0]["status"], b"".join(message.get("body", b"") for message in messages)


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Pod:
    """Of a run with one good artifact, and some that are announced under paths and ids that lead elsewhere."""
    base = tmp_path_factory.mktemp("base")
    pod = Pod(a_run(), base / "workspace")
    for path in (base / "file", base / "workspace" / "file", base / "workspace" / "runs" / "file"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(SECRET)
    write_object(base / "workspace", run_object(pod.run))
    pod.artifact(OWN, identifier="good")
    for number, path in enumerate(("../file", "runs/file", f"runs/{pod.run.uid}/../file", str(base / "file"))):
        pod.artifact(SECRET, path=path, identifier=f"bad{number}")
    pod.artifact(SECRET, path="runs/file", identifier="../file")
    return pod


@pytest.fixture(scope="module")
def served(pod: Pod) -> Iterator[Served]:
    assert pod.workspace is not None
    running = Served(pod.workspace)
    yield running
    running.close()


PARTS = st.sampled_from(["good", "bad0", "bad1", "file", "..", ".", "/", "%2e", "%2f", "%", "\\", "\0", "thumbnail"])
IDS = st.text(max_size=20) | st.lists(PARTS | st.characters(), max_size=8).map("".join)


@settings(deadline=None)
@given(identifier=IDS)
@example(identifier="good")
@example(identifier="bad0")
@example(identifier="bad3")
@example(identifier="../file")
@example(identifier="good/../../../runs/file")
@example(identifier="good\0")
def test_an_id_gives_what_was_announced_under_it_or_nothing(served: Served, pod: Pod, identifier: str) -> None:
    status, body = served.get(f"/api/artifacts/{identifier}", f"run={pod.run.uid}")
    assert SECRET not in body
    assert (status == 200) == (identifier == "good")
    if status == 200:
        assert body == OWN
