"""The edges of the HTTP side: hosts, heads, ids, pages under a prefix, probes and the end of the process."""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from gateway_kit import EventSource, Gateway, eventually, gateway
from run_kit import Pod, a_run, point, run_object, write_object

from diffrun_contracts.api import MetricList, RunDetail, RunList, SeriesList, StatisticsList
from diffrun_contracts.events import Metric
from diffrun_gateway.telemetry import JsonFormatter
from diffrun_testkit.servers import RedisServer


@pytest.fixture
def pod(workspace: Path) -> Pod:
    run = a_run()
    write_object(workspace, run_object(run))
    pod = Pod(run, workspace)
    pod.metric(0.5, 1.5, float("nan"), 2.5)
    return pod


@pytest.fixture
async def gate(workspace: Path, pod: Pod) -> AsyncIterator[Gateway]:
    async with gateway(workspace, None) as running:
        yield running


async def raw(gate: Gateway, request: bytes) -> tuple[int, bytes]:
    """Status and answer to bytes as they are."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(gate.url.rpartition(":")[2]))
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    await asyncio.gather(writer.wait_closed(), return_exceptions=True)
    return int(answer.split(b" ", 2)[1]), answer


@pytest.mark.parametrize(
    "host",
    [
        pytest.param(b"Host: evil.example\r\n", id="53 a foreign name"),
        pytest.param(b"Host: localhost.evil.example\r\n", id="53 a name that begins alike"),
        pytest.param(b"Host: localhost:8o\r\n", id="53 a malformed port"),
        pytest.param(b"Host: localhost/evil\r\n", id="53 malformed"),
        pytest.param(b"Host: \r\n", id="53 an empty name"),
        pytest.param(b"Host: localhost\r\nHost: evil.example\r\n", id="53 two names"),
        pytest.param(b"X: y\r\n", id="53 none"),
    ],
)
async def test_only_its_own_names_are_answered(gate: Gateway, host: bytes) -> None:
    status, answer = await raw(gate, b"GET /api/runs HTTP/1.1\r\n" + host + b"Connection: close\r\n\r\n")
    assert status == 400, answer


async def test_probes_are_answered_by_the_pods_address(gate: Gateway) -> None:
    for path in (b"/livez", b"/readyz"):
        status, _ = await raw(gate, b"GET " + path + b" HTTP/1.1\r\nHost: 10.0.0.7:8080\r\nConnection: close\r\n\r\n")
        assert status == 200


@pytest.mark.parametrize("whole", [True, False], ids=["at once", "never complete"])
async def test_an_oversized_head_is_431(gate: Gateway, whole: bool) -> None:
    head = b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"a" * 40_000 + (b"\r\n\r\n" if whole else b"")
    if not whole:
        head += b"a" * 300_000
    status, answer = await raw(gate, head)
    assert status == 431
    assert b"HeadTooLarge" in answer


async def test_an_oversized_or_endless_body_is_413(gate: Gateway) -> None:
    post = b"POST /api/runs/demo/cats/control HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
    assert (await raw(gate, post + b"Content-Length: 99999\r\n\r\n"))[0] == 413
    assert (await raw(gate, post + b"Transfer-Encoding: chunked\r\n\r\n"))[0] == 413


@pytest.mark.parametrize(
    ("path", "field"),
    [
        pytest.param("api/series", "run", id="51 no run"),
        pytest.param("api/events", "run", id="no run on a stream"),
        pytest.param("api/series?run={uid}&points=3", "points", id="too few points"),
        pytest.param("api/series?run={uid}&points=many", "points", id="points that are no number"),
        pytest.param("api/series?run={uid}&weight=1", "weight", id="a weight of 1"),
        pytest.param("api/series?run={uid}&x=banana", "x", id="an unknown axis"),
        pytest.param("api/series?run={uid}&from=nan", "from", id="from nowhere"),
        pytest.param("api/artifacts?run={uid}&limit=0", "limit", id="an empty page"),
        pytest.param("api/events?run={uid}&cursor=now", "cursor", id="a malformed cursor"),
        pytest.param("api/events?run={uid}&run={uid}", "run", id="a run twice"),
        pytest.param("api/events?run={uid}&cursor=1-0.a,1-0.a", "cursor", id="two positions for one run"),
    ],
)
async def test_a_malformed_request_is_400_and_names_the_field(gate: Gateway, pod: Pod, path: str, field: str) -> None:
    status, problem = await gate.refused(path.format(uid=pod.run.uid))
    assert (status, problem["field"]) == (400, field)


@pytest.mark.parametrize("most", [2, 70])
async def test_a_request_may_name_as_many_runs_as_the_setting_says(workspace: Path, pod: Pod, most: int) -> None:
    uids = [pod.run.uid, *(f"nobody-{number}" for number in range(most))]
    async with gateway(workspace, None, limits={"runs_per_request": most}) as gate:
        for path in ("api/metrics", "api/series", "api/statistics", "api/artifacts", "api/events"):
            assert (await gate.refused(path, run=uids[:most]))[1]["code"] == "RunNotFound"
            status, problem = await gate.refused(path, run=uids)
            assert (status, problem["field"]) == (400, "run")
            assert problem["message"] == f"name between 1 and {most} runs, as run=<uid>"


@pytest.mark.parametrize("value", ["abc", "1-2-3", "1-0.a,", "١-٠.a", "9" * 40 + "-0.a", "-1-0.a"])
async def test_a_bad_last_event_id_is_400(gate: Gateway, pod: Pod, value: str) -> None:
    headers = b"Host: localhost\r\nConnection: close\r\nLast-Event-ID: " + value.encode() + b"\r\n"
    status, answer = await raw(
        gate, b"GET /api/events?run=" + pod.run.uid.encode() + b" HTTP/1.1\r\n" + headers + b"\r\n"
    )
    assert status == 400
    assert b'"field":"Last-Event-ID"' in answer


async def test_the_empty_name_asks_for_the_cursors_and_no_line(gate: Gateway, pod: Pod) -> None:
    """How a chart without a metric yet learns from where to follow."""
    answer = SeriesList.model_validate(await gate.json("api/series", run=pod.run.uid, metric=""))
    assert list(answer.cursors) == [pod.run.uid]
    assert list(answer.series) == []


async def test_no_other_origin_is_let_in(gate: Gateway) -> None:
    async with gate.http.get(f"{gate.url}/api/runs", headers={"Origin": "null"}) as response:
        assert not [name for name in response.headers if name.lower().startswith("access-control")]
    async with gate.http.options(
        f"{gate.url}/api/runs", headers={"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    ) as response:
        assert response.status == 405
        assert not [name for name in response.headers if name.lower().startswith("access-control")]


async def test_answers_are_what_the_contracts_say(gate: Gateway, pod: Pod) -> None:
    uid = pod.run.uid
    RunList.model_validate(await gate.json("api/runs"))
    RunDetail.model_validate(await gate.json("api/runs/demo/cats"))
    metrics = MetricList.model_validate(await gate.json("api/metrics", run=uid)).metrics
    assert [(m.name, m.count, m.last.step, m.last.value) for m in metrics] == [("denoise/snr", 4, 3, 2.5)]
    (line,) = SeriesList.model_validate(await gate.json("api/series", run=uid, smoothing="ema", weight=0.5)).series
    assert line.values == [0.5, 1.5, None, 2.5]
    assert line.non_finite_points[0].value == "NaN"
    assert line.smoothed is not None
    assert line.smoothed[2] is None
    (figures,) = StatisticsList.model_validate(await gate.json("api/statistics", run=uid)).statistics
    assert (figures.count, figures.non_finite, figures.mean) == (4, 1, 1.5)
    assert figures.max is not None
    assert figures.max.step == 3


async def test_a_page_is_the_same_document_under_any_prefix(workspace: Path, pod: Pod, tmp_path: Path) -> None:
    static = tmp_path / "dist"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("<html><head><!--base--><script src='assets/a.js'></script></head></html>")
    (static / "assets" / "a.js").write_text("1")
    async with gateway(workspace, None, serve={"static": static, "prefix": "/deep/diffrun"}) as gate:
        for page in ("", "runs/demo/cats", "compare"):
            for prefix in ("deep/diffrun/", ""):  # a proxy may pass the prefix on, or not
                async with gate.http.get(f"{gate.url}/{prefix}{page}") as response:
                    assert response.status == 200
                    assert '<base href="/deep/diffrun/">' in await response.text()
                    assert "script-src 'self'" in response.headers["Content-Security-Policy"]
        async with gate.http.get(f"{gate.url}/deep/diffrun/assets/a.js") as response:
            assert response.headers["Cache-Control"].endswith("immutable")
            assert response.headers["Content-Type"].startswith("text/javascript")
        assert len((await gate.json("deep/diffrun/api/runs"))["runs"]) == 1
        assert (await gate.refused("api/nothing"))[0] == 404
        assert (await gate.refused("assets/../../secret.txt"))[0] == 404


async def test_a_gate_is_decided_without_a_cluster_too(gate: Gateway, workspace: Path, pod: Pod) -> None:
    waiting = {"preview": {"state": "Waiting", "openedAt": "2026-01-01T00:00:00Z", "previewDigest": "sha256:ab"}}
    write_object(workspace, run_object(pod.run, gates=waiting))
    await eventually(lambda: gate.services.registry.runs[pod.run.uid].status.gates)
    url = f"{gate.url}/api/runs/demo/cats/gates/preview"
    body = {"uid": pod.run.uid, "decision": "Approved", "previewDigest": "sha256:cd"}
    async with gate.http.post(url, json=body, headers={"X-Diffrun": "1"}) as response:
        assert (response.status, (await response.json())["field"]) == (422, "previewDigest")
    body["previewDigest"] = "sha256:ab"
    async with gate.http.post(url, json=body, headers={"X-Diffrun": "1"}) as response:
        assert (await response.json())["status"]["gates"]["preview"]["decidedBy"] == "local"
    async with gate.http.post(url, json=body, headers={"X-Diffrun": "1"}) as response:
        assert response.status == 409


@pytest.mark.redis
async def test_a_run_of_a_hundred_thousand_points_is_thinned_but_counted(
    workspace: Path, redis_server: RedisServer
) -> None:
    redis_server.start()
    long = Pod(a_run("long"), workspace, redis_server.client)
    for first in range(0, 100_000, 500):
        points = tuple(point(float((step * 7919) % 1000), step, "loss") for step in range(first, first + 500))
        long.emit(Metric(points=points), durable=False)
    long.started()
    async with gateway(None, redis_server.url) as gate:
        await gate.run(long.run.uid)
        (line,) = (await gate.json("api/series", run=long.run.uid))["series"]
        assert (line["total"], len(line["steps"])) == (100_000, line["shown"])
        assert line["shown"] <= 2000
        assert (min(line["values"]), max(line["values"])) == (0, 999)
        (part,) = (await gate.json("api/series", run=long.run.uid, from_=500, to=600))["series"]
        assert part["steps"] == list(range(499, 602))
        (whole,) = (await gate.json("api/series", run=long.run.uid, points=0))["series"]
        assert whole["shown"] == 100_000


async def test_the_process_ends_within_five_seconds_though_streams_are_open(workspace: Path, pod: Pod) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DIFFRUN_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "diffrun_gateway", "--local", "--no-auth", "--workspace", str(workspace),
        "--host", "127.0.0.1", "--port", "0",
        env={**environment, "PYTHONUNBUFFERED": "1"}, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    line = ""
    while "running on" not in line:
        line = (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
        assert line, "the gateway did not start"
    url = line.split("running on ")[1].split(" ")[0]
    async with aiohttp.ClientSession() as http:

        async def known() -> bool:
            async with http.get(f"{url}/api/runs") as response:
                return bool((await response.json())["runs"])

        await eventually(known)
        async with http.get(f"{url}/api/events?run={pod.run.uid}") as response:
            stream = EventSource(response)
            await stream.next("cursor")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            with pytest.raises(EOFError):
                await stream.until("no message has this name")
            await asyncio.wait_for(process.wait(), 10)
            assert time.monotonic() - began < 5
    assert process.returncode in (0, -signal.SIGTERM)
    await process.stderr.read()


@pytest.mark.parametrize(
    ("arguments", "variables", "words"),
    [
        pytest.param([], {}, "there is nothing to show", id="nothing"),
        pytest.param(["--redis", "redis://x"], {}, "name the namespaces", id="no namespaces"),
        pytest.param(
            ["--redis", "redis://x", "--kubeconfig", "/no/kubeconfig"],
            {"DIFFRUN_GATEWAY_RUNS__NAMESPACES": '["a"]'},
            "/no/kubeconfig",
            id="a kubeconfig that is not there",
        ),
        pytest.param([], {"DIFFRUN_GATEWAY_SERVE__PROT": "80"}, "SERVE__PROT", id="a misspelt variable"),
        pytest.param(["--redis", "redis://x", "--local"], {}, "auth.mode", id="sign-in without a cluster"),
        pytest.param(
            ["--local", "--no-auth", "--workspace", "/tmp", "--static", "/nowhere"], {}, "index.html", id="no pages"
        ),
    ],
)
async def test_settings_that_are_no_good_say_why(arguments: list[str], variables: dict[str, str], words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "diffrun_gateway", *arguments, env={**os.environ, **variables},
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, errors = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 2
    assert words in errors.decode()


async def test_logs_are_json_lines(workspace: Path) -> None:
    record = logging.LogRecord("a", logging.WARNING, "f", 1, "broken %s", ("line\nbreak",), None)
    record.fields = {"run": "x"}
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line)["run"] == "x"
