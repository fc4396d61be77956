"""The operator dies, the API server refuses or falls silent, Redis goes: the outcome is that of a quiet day."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from apiproxy import (
    ApiProxy,
    KillingProxy,
    Last,
    Moment,
    Refusal,
    RefusingProxy,
    SilencingProxy,
    each_call_in_its_turn,
    nth_write,
)
from runs import block, quick, run
from scenario import Runs, ledger, states

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, Manifest, condition, eventually
from diffrun_devcluster.release import Release


class LocalOperator:
    """The operator as a process of this machine, with the identity and settings of the release's own."""

    def __init__(self, release: Release, folder: Path) -> None:
        self.release, self.folder = release, folder
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "operator.log"

    def start(self, server: str, **settings: str) -> None:
        """Starts a life against this API server URL, with other settings than the release's where they are given."""
        config = self.folder / "kubeconfig"
        config.write_text(json.dumps(self._kubeconfig(server)))
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "diffrun_operator"],
                env={**self._environment(config), **settings},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """SIGKILL: no chance to tidy up."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)

    def dead(self) -> bool:
        """Whether there is no living operator."""
        return self.process is None or self.process.poll() is not None

    def _kubeconfig(self, server: str) -> dict[str, object]:
        account = self._deployment()["template"]["spec"]["serviceAccountName"]
        token = self.release.kubectl.run("create", "token", account, "--duration=1h").strip()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": self.release.namespace}}],
            "clusters": [{"name": "x", "cluster": {"server": server}}],
            "users": [{"name": "x", "user": {"token": token}}],
        }

    def _deployment(self) -> dict[str, dict[str, dict[str, str]]]:
        found: dict[str, dict[str, dict[str, str]]] = self.release.kubectl.get(self.release.operator)["spec"]
        return found

    def _environment(self, config: Path) -> dict[str, str]:
        container = self._deployment()["template"]["spec"]["containers"][0]  # type: ignore[index]
        literal = {each["name"]: each["value"] for each in container["env"] if "value" in each}  # type: ignore[index]
        health, metrics = free_ports(2)
        own = {
            "DIFFRUN_SERVE__HOST": "127.0.0.1",
            "DIFFRUN_SERVE__HEALTH_PORT": str(health),
            "DIFFRUN_SERVE__METRICS_PORT": str(metrics),
        }
        return {**os.environ, **literal, **own, "KUBECONFIG": str(config)}


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on."""
    with ExitStack() as held:
        taken = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in taken]


@pytest.fixture
def local_operator(release: Release, tmp_path: Path) -> Iterator[LocalOperator]:
    """A local operator in the place of the release's own."""
    release.stop_operator()
    operator = LocalOperator(release, tmp_path)
    yield operator
    operator.kill()
    if operator.process:
        operator.process.wait()
    release.start_operator()


@pytest.fixture(scope="module")
def server(cluster: Kubectl) -> str:
    """The API server's URL, as seen from this machine."""
    return cluster.run("config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}")


def assert_as_on_a_quiet_day(runs: Runs, name: str, ended: Manifest) -> None:
    """Both blocks succeeded at their first attempt, each by one Job."""
    assert condition(ended, "Succeeded")["status"] == "True"
    assert states(ended) == {"preview": "Succeeded", "full": "Succeeded"}
    assert [line["attempt"] for line in ledger(ended).values()] == [1, 1]
    assert len(runs.jobs(name)) == 2


@pytest.mark.parametrize(
    ("last", "moment", "deaths"),
    [
        pytest.param(nth_write(1), Moment.AFTER, 8, id="after-each-write"),
        pytest.param(nth_write(2), Moment.BEFORE, 3, id="between-two-writes"),
        pytest.param(nth_write(3), Moment.AFTER, 3, id="after-each-third-write"),
        pytest.param(each_call_in_its_turn, Moment.AFTER, 17, id="after-each-call-in-its-turn"),
    ],
)
def test_an_operator_killed_between_any_two_of_its_calls_ends_the_run_as_an_unharmed_one_does(
    request: pytest.FixtureRequest,
    runs: Runs,
    server: str,
    local_operator: LocalOperator,
    approver: str,
    last: Last,
    moment: Moment,
    deaths: int,
) -> None:
    name = runs.start(run(f"killed-{request.node.callspec.id}", quick("preview", gate={}), quick("full")))
    decided = False
    with KillingProxy(server, local_operator.kill, last, moment) as proxy:
        deadline = time.monotonic() + 480
        while condition(seen := runs.get(name), "Finished").get("status") != "True":
            assert time.monotonic() < deadline, f"{seen['status']}\n{local_operator.log.read_text()[-4000:]}"
            if local_operator.dead():
                proxy.reset()
                local_operator.start(proxy.url)
            if not decided and condition(seen, "GatePending").get("status") == "True":
                decided = runs.decide(name, "preview", "Approved", approver).returncode == 0
            time.sleep(0.2)
        assert proxy.deaths >= deaths
    assert_as_on_a_quiet_day(runs, name, seen)


NOWHERE = {"nodeSelector": {"no-such-label": "x"}}
"""Of a block whose pods no node takes: its Job costs next to nothing."""


def test_two_operators_at_once_start_no_job_twice(runs: Runs, server: str, local_operator: LocalOperator) -> None:
    local_operator.release.start_operator()
    with ApiProxy(server) as proxy:
        local_operator.start(proxy.url)
        many = [runs.start(run(f"twice-nowhere-{n}", quick("one", **NOWHERE), quick("two"))) for n in range(30)]
        made = [runs.start(run(f"twice-{n}", quick("one"), quick("two"))) for n in range(3)]
        for name in many:
            waiting = runs.until_block(name, "one", "Pending", reason="Unschedulable")
            assert [line["attempt"] for line in ledger(waiting).values()] == [1, 0]
            assert len(runs.jobs(name)) == 1
        for name in made:
            ended = runs.finished(name)
            assert condition(ended, "Succeeded")["status"] == "True"
            assert [line["attempt"] for line in ledger(ended).values()] == [1, 1]
            assert len(runs.jobs(name)) == 2
        assert not local_operator.dead()


def test_an_operator_that_is_refused_lists_watches_and_writes_carries_on(
    runs: Runs, server: str, local_operator: LocalOperator, approver: str
) -> None:
    watched = (names.PLURAL, "jobs", "pods")
    with RefusingProxy(server, Refusal("list", names.PLURAL, 429), Refusal("watch", "jobs", 429)) as proxy:
        local_operator.start(proxy.url)
        name = runs.start(run("refused", quick("preview", gate={}), quick("full")))
        runs.until_condition(name, "GatePending")
        assert proxy.due == []
        proxy.refuse(*(Refusal("watch", plural, 410) for plural in watched), Refusal("create", "jobs", 429))
        eventually(lambda: [each.verb for each in proxy.due] == ["create"], 60, "every watch has begun again")
        runs.decide(name, "preview", "Approved", approver)
        ended = runs.finished(name)
        assert proxy.due == []
        assert not local_operator.dead(), local_operator.log.read_text()[-4000:]
    assert_as_on_a_quiet_day(runs, name, ended)


def test_an_error_in_a_watch_ends_the_operator_and_its_next_life_carries_on(
    runs: Runs, server: str, local_operator: LocalOperator, approver: str
) -> None:
    with RefusingProxy(server) as proxy:
        local_operator.start(proxy.url)
        name = runs.start(run("watch-error", quick("preview", gate={}), quick("full")))
        runs.until_condition(name, "GatePending")
        proxy.refuse(Refusal("watch", names.PLURAL, 500))
        eventually(local_operator.dead, 60, "the operator has ended")
        assert local_operator.process is not None
        assert local_operator.process.returncode == 1  # for the kubelet to start it again
        runs.decide(name, "preview", "Approved", approver)
        local_operator.start(proxy.url)
        ended = runs.finished(name)
    assert_as_on_a_quiet_day(runs, name, ended)


def test_a_decision_made_while_the_network_was_silent_counts_although_the_watches_stay_so(
    runs: Runs, server: str, local_operator: LocalOperator, approver: str
) -> None:
    with SilencingProxy(server) as proxy:
        local_operator.start(proxy.url, DIFFRUN_WATCH__RESYNC_SECONDS="2")
        name = runs.start(run("silence", quick("preview", gate={}), quick("full")))
        runs.until_condition(name, "GatePending")
        proxy.silence()
        runs.decide(name, "preview", "Approved", approver)
        eventually(lambda: names.PLURAL in proxy.swallowed, 60, "the decision did not come through the watch")
        proxy.heal()
        ended = runs.finished(name)
        assert not local_operator.dead()
    assert_as_on_a_quiet_day(runs, name, ended)


@contextmanager
def redis_stopped(release: Release) -> Iterator[None]:
    """Redis scaled to nothing, and back."""
    release.kubectl.run("scale", release.redis, "--replicas=0")
    release.kubectl.run("wait", "pod", "--selector", release.redis_selector, "--for=delete", "--timeout=60s")
    try:
        yield
    finally:
        release.kubectl.run("scale", release.redis, "--replicas=1")
        release.kubectl.run("rollout", "status", release.redis, "--timeout=120s")


def test_a_run_that_starts_without_redis_succeeds_and_its_history_is_complete(runs: Runs, release: Release) -> None:
    with redis_stopped(release):
        name = runs.start(run("no-redis", block("work", params={"steps": 20, "stepSeconds": 0.01, "artifacts": 3})))
        ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "True"
    history = release.workspace.events(ended["metadata"]["uid"], "work")
    assert [event["seq"] for event in history] == list(range(len(history)))
    kinds = [event["body"]["type"] for event in history]
    assert kinds[0] == "block_started"
    assert kinds[-1] == "block_finished"
    assert kinds.count("artifact_written") == 3


def test_a_redis_restarted_under_a_run_gets_every_artifact_and_lifecycle_event(runs: Runs, release: Release) -> None:
    name = runs.start(run("redis-restart", block("work", params={"steps": 200, "stepSeconds": 0.05, "artifacts": 20})))
    runs.until_block(name, "work", "Running")
    with redis_stopped(release):
        pass
    ended = runs.finished(name)
    assert condition(ended, "Succeeded")["status"] == "True"
    uid = ended["metadata"]["uid"]
    streamed = {(event["pod"], event["seq"]) for event in release.redis_events(names.events_key(uid))}
    lasting = [
        event for event in release.workspace.events(uid, "work") if event["body"]["type"] not in ("metric", "progress")
    ]
    assert {(event["pod"], event["seq"]) for event in lasting} <= streamed
