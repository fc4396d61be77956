"""Runs of other namespaces, whose files lie in claims that the gateway cannot mount: it says so, and what to do."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import Gateway, eventually, gateway
from kubernetes_kit import FakeKubernetes, kubernetes
from run_kit import Pod, a_run, run_object

from diffrun_testkit.servers import RedisServer

pytestmark = pytest.mark.redis

WORDS = "the files of namespace other are not mounted in this gateway, which has the claim of namespace demo alone"
ANSWERS = ("metrics", "series", "statistics", "artifacts")


@pytest.fixture
def volumes(tmp_path: Path) -> dict[str, Path]:
    """What each namespace's claim is bound to."""
    found = {namespace: tmp_path / namespace for namespace in ("demo", "other")}
    for path in found.values():
        path.mkdir()
    return found


@pytest.fixture
async def kube() -> AsyncIterator[FakeKubernetes]:
    async with kubernetes() as fake:
        fake.rights |= {("alice", "other", verb) for verb in ("get", "list")}
        yield fake


def settings(kube: FakeKubernetes, directory: Path) -> dict[str, Any]:
    namespaces = ["demo", "other"]
    return {
        "runs": {"source": "kubernetes", "namespaces": namespaces, "kubeconfig": kube.kubeconfig(directory)},
        "auth": {"mode": "kubernetes"},
        "workspace_namespace": "demo",
    }


def a_pod(namespace: str, volume: Path, kube: FakeKubernetes, live: RedisServer) -> Pod:
    """Of a run that has written a point and a picture, to its namespace's volume and to Redis."""
    pod = Pod(a_run(f"cats-of-{namespace}", namespace), volume, live.client)
    pod.metric(1.0)
    pod.artifact(b"\x89PNG\r\n\x1a\n")
    kube.put(run_object(pod.run))
    return pod


async def ask(gate: Gateway, path: str, **query: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": "Bearer alice-token"}
    async with gate.http.get(f"{gate.url}/{path}", params=query, headers=headers) as response:
        return response.status, await response.json() if response.content_type == "application/json" else {}


async def notices(gate: Gateway, pod: Pod) -> set[str]:
    """What all answers say of the run, which must be one and the same."""
    await gate.run(pod.run.uid)
    (found,) = {tuple((await ask(gate, f"api/{name}", run=pod.run.uid))[1]["notices"]) for name in ANSWERS}
    return set(found)


async def test_a_run_whose_files_are_in_another_namespace_says_so_everywhere(
    volumes: dict[str, Path], kube: FakeKubernetes, live: RedisServer, tmp_path: Path
) -> None:
    own, far = (a_pod(namespace, volume, kube, live) for namespace, volume in volumes.items())
    async with gateway(volumes["demo"], live.url, **settings(kube, tmp_path)) as gate:
        assert await notices(gate, own) == set()
        (notice,) = await notices(gate, far)
        assert notice.startswith(f"cats-of-other: {WORDS}")
        assert "Give other a release of its own" in notice
        assert "workspace.existingClaim" in notice
        series = (await ask(gate, "api/series", run=far.run.uid))[1]["series"]
        assert series[0]["values"] == [1.0]  # what Redis keeps is shown nevertheless
        known = far.artifacts[0].id
        for path in (f"api/artifacts/{known}", f"api/artifacts/{known}/thumbnail", "api/artifacts/forgotten"):
            status, problem = await ask(gate, path, run=far.run.uid)
            assert (status, problem["code"]) == (404, "FilesNotMounted")
            assert problem["message"].startswith(WORDS)
        assert (await ask(gate, f"api/artifacts/{own.artifacts[0].id}", run=own.run.uid))[0] == 200
        assert (await ask(gate, "api/artifacts/forgotten", run=own.run.uid))[1]["code"] == "ArtifactNotFound"


async def test_namespaces_that_share_a_volume_have_everything(
    volumes: dict[str, Path], kube: FakeKubernetes, live: RedisServer, tmp_path: Path
) -> None:
    far = a_pod("other", volumes["demo"], kube, live)
    async with gateway(volumes["demo"], live.url, **settings(kube, tmp_path)) as gate:
        assert await notices(gate, far) == set()
        assert (await ask(gate, f"api/artifacts/{far.artifacts[0].id}", run=far.run.uid))[0] == 200
        assert (await ask(gate, "api/artifacts/forgotten", run=far.run.uid))[1]["code"] == "ArtifactNotFound"


async def test_a_run_that_has_not_begun_lacks_nothing_yet(
    volumes: dict[str, Path], kube: FakeKubernetes, live: RedisServer, tmp_path: Path
) -> None:
    pod = Pod(a_run("later", "other"), volumes["demo"], live.client)
    kube.put(run_object(pod.run))
    async with gateway(volumes["demo"], live.url, **settings(kube, tmp_path)) as gate:
        assert await notices(gate, pod) == set()
        pod.metric(1.0)
        feed = await gate.services.hub.feed(pod.run.uid)
        await eventually(lambda: feed.store.points == 1)
        assert await notices(gate, pod) == set()
