"""Who may look, what they may see, and what they may do: Kubernetes decides, for the one who asks."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from gateway_kit import EventSource, Gateway, eventually, gateway
from kubernetes_kit import FakeKubernetes, kubernetes
from run_kit import Pod, a_run, run_object

from diffrun_contracts import names
from diffrun_gateway.grants import UNTOLD, Right, grant

WRITE = {"X-Diffrun": "1"}
GATE = {"preview": {"state": "Waiting", "openedAt": "2026-01-01T00:00:00Z", "previewDigest": "sha256:ab"}}


@pytest.fixture
async def kube() -> AsyncIterator[FakeKubernetes]:
    async with kubernetes() as fake:
        yield fake


@pytest.fixture
def pod(workspace: Path, kube: FakeKubernetes) -> Pod:
    pod = Pod(a_run(), workspace)
    pod.metric(1.0, 2.0)
    kube.put(run_object(pod.run, gates=copy.deepcopy(GATE)))
    return pod


def settings(kube: FakeKubernetes, directory: Path, **auth: Any) -> dict[str, Any]:
    config = kube.kubeconfig(directory)
    return {
        "runs": {"source": "kubernetes", "namespaces": ["demo", "other"], "kubeconfig": config, "archive_seconds": 0.1},
        "auth": {"mode": "kubernetes", **auth},
    }


@pytest.fixture
async def gate(workspace: Path, kube: FakeKubernetes, pod: Pod, tmp_path: Path) -> AsyncIterator[Gateway]:
    async with gateway(workspace, None, **settings(kube, tmp_path, review_seconds=0.2)) as running:
        yield running


async def ask(gate: Gateway, path: str, method: str = "GET", token: str | None = None, body: Any = None,
              **headers: str) -> tuple[int, dict[str, Any]]:  # fmt: skip
    """Status and JSON."""
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with gate.http.request(method, f"{gate.url}/{path}", headers=headers, json=body) as response:
        text = await response.text()
        return response.status, json.loads(text) if text.startswith("{") else {}


async def sign_in(gate: Gateway, token: str = "alice-token") -> dict[str, str]:
    """The cookie, as a browser would send it."""
    headers = {"Authorization": f"Bearer {token}", **WRITE}
    async with gate.http.post(f"{gate.url}/api/session", headers=headers) as response:
        assert response.status == 200
        cookie = response.cookies["diffrun_session"]
        assert cookie["httponly"]
        assert cookie["samesite"] == "strict"
        assert token not in cookie.value
        gate.http.cookie_jar.clear()
        return {"Cookie": f"diffrun_session={cookie.value}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="nothing"),
        pytest.param({"Authorization": "Bearer nothing"}, 401, id="50 a token that is none"),
        pytest.param({"Authorization": "Bearer "}, 401, id="an empty token"),
        pytest.param({"Authorization": "Basic YTpi"}, 401, id="another scheme"),
        pytest.param({"X-Forwarded-User": "alice", "X-Remote-User": "alice"}, 401, id="52 a spoofed user"),
        pytest.param({"Cookie": "diffrun_session=guess"}, 401, id="a session that is none"),
        pytest.param({"Authorization": "Bearer alice-token"}, 200, id="a token"),
    ],
)
async def test_only_a_token_that_kubernetes_knows_opens_anything(
    gate: Gateway, pod: Pod, headers: dict[str, str], status: int
) -> None:
    run = f"?run={pod.run.uid}"
    for path in ("api/runs", f"api/runs/demo/{pod.run.name}", f"api/series{run}", f"api/metrics{run}",
                 f"api/statistics{run}", f"api/artifacts{run}"):  # fmt: skip
        found, body = await ask(gate, path, **headers)
        assert found == status, (path, body)
    if status == 401:
        for path in (f"api/events{run}", "api/runs/events", f"api/artifacts/x{run}", f"api/artifacts/x/thumbnail{run}"):
            assert (await ask(gate, path, **headers))[0] == 401


async def test_a_run_in_a_namespace_without_rights_is_not_there(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    hidden = a_run("hidden", "other")
    kube.put(run_object(hidden))
    await eventually(lambda: hidden.uid in gate.services.registry.runs)
    status, listed = await ask(gate, "api/runs", token="alice-token")
    assert (status, [run["name"] for run in listed["runs"]]) == (200, ["cats"])
    status, problem = await ask(gate, f"api/series?run={hidden.uid}", token="alice-token")
    assert (status, problem["code"]) == (404, "RunNotFound")
    status, problem = await ask(gate, "api/runs/other/hidden", token="alice-token")
    assert (status, problem["message"]) == (403, "alice may not get diffusionruns in namespace other")
    assert problem["grant"] == grant(Right.VIEW, "alice", "other")
    assert (await ask(gate, f"api/events?run={pod.run.uid}&run={hidden.uid}", token="alice-token"))[0] == 404


async def test_a_session_stands_for_the_token_until_it_is_ended(gate: Gateway, pod: Pod) -> None:
    cookie = await sign_in(gate)
    status, session = await ask(gate, "api/session", **cookie)
    assert (status, session["user"], session["authRequired"]) == (200, "alice", True)
    assert (await ask(gate, f"api/metrics?run={pod.run.uid}", **cookie))[0] == 200
    assert (await ask(gate, "api/session", "DELETE", **cookie, **WRITE))[0] == 204
    assert (await ask(gate, f"api/metrics?run={pod.run.uid}", **cookie))[0] == 401
    assert "user" not in (await ask(gate, "api/session", **cookie))[1]


async def test_a_session_ends_with_its_token(gate: Gateway, kube: FakeKubernetes) -> None:
    cookie = await sign_in(gate)
    del kube.users["alice-token"]

    async def ended() -> bool:
        return (await ask(gate, "api/runs", **cookie))[0] == 401

    await eventually(ended)


async def test_an_open_stream_ends_when_the_right_to_look_does(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    cookie = await sign_in(gate)
    async with gate.http.get(f"{gate.url}/api/events?run={pod.run.uid}", headers=cookie) as response:
        stream = EventSource(response)
        await stream.next("cursor")
        kube.rights.discard(("alice", "demo", "get"))
        pod.metric(3.0, start=2)  # a stream that is busy is checked too
        denied = await stream.next("denied")
        assert denied.data["problem"]["code"] == "RunNotFound"
        with pytest.raises(EOFError):
            await stream.next()


async def test_a_decision_is_sent_in_the_viewers_own_name(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    cookie = await sign_in(gate)
    body = {"uid": pod.run.uid, "decision": "Approved", "note": "fine", "previewDigest": "sha256:ab"}
    status, detail = await ask(gate, "api/runs/demo/cats/gates/preview", "POST", body=body, **cookie, **WRITE)
    assert status == 200
    assert detail["status"]["gates"]["preview"]["decidedBy"] == "alice"
    ((authorization, path, patch),) = kube.patches
    assert authorization == "Bearer alice-token"
    assert path == f"/apis/{names.API_VERSION}/namespaces/demo/{names.PLURAL}/cats/status"
    gate_ = {"decision": "Approved", "decidedBy": "alice", "note": "fine", "previewDigest": "sha256:ab"}
    assert patch == {"metadata": {"uid": pod.run.uid}, "status": {"gates": {"preview": gate_}}}


@pytest.mark.parametrize("status", [403, 409, 422])
async def test_what_kubernetes_refuses_is_passed_on_in_its_own_words(
    gate: Gateway, kube: FakeKubernetes, pod: Pod, status: int
) -> None:
    kube.refusal = status, "ValidatingAdmissionPolicy denied request: the gate is not waiting"
    body = {"uid": pod.run.uid, "decision": "Rejected"}
    found = await ask(gate, "api/runs/demo/cats/gates/preview", "POST", "alice-token", body, **WRITE)
    assert (found[0], found[1]["message"]) == kube.refusal


async def test_pause_and_cancel_patch_the_spec(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    for action, spec in (("pause", {"pause": True}), ("resume", {"pause": False}), ("cancel", {"cancel": True})):
        body = {"uid": pod.run.uid, "action": action}
        status, _ = await ask(gate, "api/runs/demo/cats/control", "POST", "alice-token", body, **WRITE)
        assert status == 200
        assert kube.patches[-1][2] == {"metadata": {"uid": pod.run.uid}, "spec": spec}


async def test_the_page_says_which_right_is_missing(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    kube.rights.add(("alice", "demo", "patch/status"))
    permissions = (await ask(gate, "api/runs/demo/cats", token="alice-token"))[1]["permissions"]
    assert permissions["approve"]
    assert not permissions["edit"]
    assert permissions["explanation"] == (
        "alice may not patch diffusionruns (to pause, resume and cancel) in namespace demo"
    )
    assert permissions["editGrant"] == grant(Right.EDIT, "alice", "demo")
    assert "approveGrant" not in permissions


async def test_who_may_list_nothing_is_told_so_and_no_namespace_by_name(
    gate: Gateway, kube: FakeKubernetes, pod: Pod
) -> None:
    kube.rights.clear()
    listed = (await ask(gate, "api/runs", token="alice-token"))[1]
    assert listed["runs"] == []
    assert listed["denied"]["grant"] == grant(Right.VIEW, "alice", UNTOLD)
    assert "demo" not in json.dumps(listed)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="a form of a foreign page"),
        pytest.param({**WRITE, "Origin": "https://evil.example"}, id="a foreign origin"),
        pytest.param({**WRITE, "Origin": "null"}, id="54 the null origin"),
    ],
)
async def test_a_foreign_page_cannot_decide(
    gate: Gateway, kube: FakeKubernetes, pod: Pod, headers: dict[str, str]
) -> None:
    cookie = await sign_in(gate)
    body = {"uid": pod.run.uid, "decision": "Approved"}
    found = await ask(gate, "api/runs/demo/cats/gates/preview", "POST", body=body, **cookie, **headers)
    assert found[0] == 403
    assert not kube.patches


async def test_a_namesake_of_the_run_that_was_looked_at_is_left_alone(
    gate: Gateway, kube: FakeKubernetes, pod: Pod
) -> None:
    body = {"uid": "another", "decision": "Approved"}
    found = await ask(gate, "api/runs/demo/cats/gates/preview", "POST", "alice-token", body, **WRITE)
    assert (found[0], kube.patches) == (404, [])


async def test_without_sign_in_everybody_looks_and_nobody_decides(
    workspace: Path, kube: FakeKubernetes, pod: Pod, tmp_path: Path
) -> None:
    async with gateway(workspace, None, **settings(kube, tmp_path) | {"auth": {"mode": "none"}}) as gate:
        assert (await ask(gate, "api/session"))[1]["authRequired"] is False
        detail = (await ask(gate, "api/runs/demo/cats"))[1]
        assert not detail["permissions"]["approve"]
        assert "kubectl" in detail["permissions"]["explanation"]
        body = {"uid": pod.run.uid, "decision": "Approved"}
        assert (await ask(gate, "api/runs/demo/cats/gates/preview", "POST", body=body, **WRITE))[0] == 403
        assert not kube.patches
        assert kube.reviews == 0


async def test_the_watch_shows_a_change_at_once(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    headers = {"Authorization": "Bearer alice-token"}
    async with gate.http.get(f"{gate.url}/api/events?run={pod.run.uid}", headers=headers) as response:
        stream = EventSource(response)
        assert (await stream.next("status")).data["detail"]["entry"]["phase"] == "Waiting"
        kube.put(run_object(pod.run, over=True))
        assert (await stream.next("status")).data["detail"]["entry"]["phase"] == "Succeeded"
        await stream.next("end")


async def test_a_run_deleted_from_the_cluster_keeps_its_pages(
    workspace: Path, kube: FakeKubernetes, pod: Pod, tmp_path: Path
) -> None:
    raw = run_object(pod.run, over=True)
    async with gateway(workspace, None, **settings(kube, tmp_path)) as gate:
        kube.put(raw)
        final = workspace / names.run_dir(pod.run.uid) / names.RUN_FILE
        await eventually(final.exists)
        kube.put(raw, "DELETED")
        await eventually(lambda: gate.services.registry.runs[pod.run.uid].archived)
    async with gateway(workspace, None, **settings(kube, tmp_path)) as gate:  # a week later
        await eventually(lambda: pod.run.uid in gate.services.registry.runs)
        status, detail = await ask(gate, "api/runs/demo/cats", token="alice-token")
        assert (status, detail["entry"]["archived"], detail["entry"]["phase"]) == (200, True, "Succeeded")
        series = (await ask(gate, f"api/series?run={pod.run.uid}", token="alice-token"))[1]["series"]
        assert series[0]["values"] == [1.0, 2.0]


async def test_a_run_created_again_under_its_name_is_another_run(gate: Gateway, kube: FakeKubernetes, pod: Pod) -> None:
    old = run_object(pod.run, over=True)
    kube.put(old)
    kube.put(old, "DELETED")
    await eventually(lambda: gate.services.registry.runs[pod.run.uid].archived)
    again = a_run()
    kube.put(run_object(again))
    await eventually(lambda: again.uid in gate.services.registry.runs)
    assert (await ask(gate, "api/runs/demo/cats", token="alice-token"))[1]["entry"]["uid"] == again.uid
    older = (await ask(gate, f"api/runs/demo/cats?uid={pod.run.uid}", token="alice-token"))[1]["entry"]
    assert (older["uid"], older["archived"]) == (pod.run.uid, True)
    artifacts = (await ask(gate, f"api/series?run={again.uid}", token="alice-token"))[1]
    assert artifacts["series"] == []


async def test_kubernetes_is_asked_once_a_while_not_once_a_request(
    workspace: Path, kube: FakeKubernetes, pod: Pod, tmp_path: Path
) -> None:
    async with gateway(workspace, None, **settings(kube, tmp_path)) as gate:
        await asyncio.gather(*(ask(gate, f"api/metrics?run={pod.run.uid}", token="alice-token") for _ in range(20)))
        before = kube.reviews
        for _ in range(20):
            await ask(gate, f"api/metrics?run={pod.run.uid}", token="alice-token")
        assert kube.reviews == before
