"""Those who follow: each for itself, whether it reads, stops reading, goes away, or is one too many."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from gateway_kit import Gateway, eventually, gateway, sample
from run_kit import Pod, a_pod, point

from diffrun_contracts.events import Metric
from diffrun_testkit.servers import RedisServer

pytestmark = pytest.mark.redis


@pytest.fixture
def pod(workspace: Path, live: RedisServer) -> Pod:
    return a_pod(workspace, live)


def closed(reason: str) -> float:
    """Streams that the gateway has closed for this reason."""
    return sample("diffrun_gateway_stream_clients_dropped_total", reason=reason)


def open_streams() -> float:
    """Of all gateways in this process."""
    return sample("diffrun_gateway_stream_clients")


@asynccontextmanager
async def deaf(gate: Gateway, uid: str) -> AsyncIterator[None]:
    """A client that asks for a stream and never reads from it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    with connection:
        await loop.sock_connect(connection, ("127.0.0.1", int(gate.url.rpartition(":")[2])))
        await loop.sock_sendall(connection, f"GET /api/events?run={uid} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        yield


async def test_a_silent_stream_beats(workspace: Path, live: RedisServer, pod: Pod) -> None:
    async with (
        gateway(workspace, live.url, limits={"heartbeat_seconds": 0.1}) as gate,
        gate.events(pod.run.uid) as stream,
    ):
        assert (await stream.next("heartbeat")).data["type"] == "heartbeat"


async def test_a_client_that_does_not_read_is_dropped_and_slows_nobody(
    workspace: Path, live: RedisServer, pod: Pod
) -> None:
    limits = {"client_bytes": 1 << 20, "send_seconds": 60}
    before = closed("slow")
    async with (
        gateway(workspace, live.url, limits=limits) as gate,
        deaf(gate, pod.run.uid),
        gate.events(pod.run.uid) as stream,
    ):
        await stream.next("cursor")
        feed = await gate.services.hub.feed(pod.run.uid)
        await eventually(lambda: len(feed.clients) == 2)
        body = Metric(points=tuple(point(0.0, step) for step in range(500)))
        big = [pod.line(body) for _ in range(400)]
        for start in range(0, 400, 10):
            pod.publish(big[start : start + 10])
            await stream.steps(5000)
        await eventually(lambda: len(feed.clients) == 1, "the drop")
        assert closed("slow") == before + 1


async def test_a_client_that_takes_no_write_in_time_is_closed_and_the_others_go_on(
    workspace: Path, live: RedisServer, pod: Pod
) -> None:
    before, other = closed("stuck"), a_pod(workspace, live, "dogs")
    # However much waits, it is not too much; the write that is not taken is the next heartbeat's at the latest.
    limits = {"client_bytes": 1 << 30, "send_seconds": 0.5, "heartbeat_seconds": 0.1}
    async with gateway(workspace, live.url, limits=limits) as gate, gate.events(other.run.uid) as stream:
        feed = await gate.services.hub.feed(pod.run.uid)
        async with deaf(gate, pod.run.uid):
            await eventually(lambda: len(feed.clients) == 1)
            body = Metric(points=tuple(point(0.0, step) for step in range(500)))
            pod.publish([pod.line(body) for _ in range(400)])
            other.metric(0.0)
            assert await stream.steps(1) == [0]
            await eventually(lambda: not feed.clients, "the end")
        assert closed("stuck") == before + 1
        other.metric(1.0, start=1)
        assert await stream.steps(1) == [1]


async def test_one_stream_too_many_is_refused_until_another_ends(workspace: Path, live: RedisServer, pod: Pod) -> None:
    path, uid, before = "api/events", pod.run.uid, open_streams()
    async with gateway(workspace, live.url, limits={"streams": 2}) as gate, gate.events(uid) as stays:
        async with gate.events(uid), gate.http.get(f"{gate.url}/{path}", params={"run": uid}) as response:
            assert response.status == 503
            problem = await response.json()
            assert problem["code"] == "TooManyStreams"
            assert problem["message"] == "there are 2 open streams; try again later"
            assert (await gate.refused("api/runs/events"))[1]["code"] == "TooManyStreams"
        await eventually(lambda: open_streams() == before + 1, "the end of the second")
        async with gate.events(uid) as again:
            pod.metric(0.0)
            assert await again.steps(1) == await stays.steps(1) == [0]


async def test_a_client_that_goes_in_the_middle_of_a_read_leaves_the_reader_to_the_others(
    workspace: Path, live: RedisServer, pod: Pod
) -> None:
    def reading() -> list[str]:
        """The gateway's connections that wait in a read, by their ids."""
        clients = live.client.client_list()
        return [c["id"] for c in clients if c["name"] == "diffrun-gateway" and "b" in c["flags"]]

    async with gateway(workspace, live.url) as gate, gate.events(pod.run.uid) as stays:
        feed = await gate.services.hub.feed(pod.run.uid)
        await stays.next("cursor")
        async with gate.events(pod.run.uid) as goes:
            await goes.next("cursor")
            await eventually(reading, "a read that waits")
            (reader,) = reading()
            goes.response.close()
            await eventually(lambda: len(feed.clients) == 1, "the end of the one that went")
        pod.metric(*range(3))
        assert await stays.steps(3) == [0, 1, 2]
        await eventually(reading, "the next read")
        assert reading() == [reader]
