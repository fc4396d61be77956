"""The script that makes the plain install's Secrets, also where an earlier run of it has stopped half-way."""

import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from diffrun_devcluster.kubectl import Kubectl

REDIS, WORKER = "diffrun-redis", "diffrun-worker-redis"


@pytest.fixture
def namespace(cluster: Kubectl, worker_id: str) -> Iterator[Kubectl]:
    """An empty namespace, gone after the test."""
    name = f"diffrun-secrets-{worker_id}"
    cluster.run("delete", "namespace", name, "--ignore-not-found", "--wait=true")
    cluster.run("create", "namespace", name)
    yield cluster.within(name)
    cluster.run("delete", "namespace", name, "--wait=false")


def script(namespace: Kubectl, root: Path) -> subprocess.CompletedProcess[str]:
    command = ["sh", str(root / "manifests" / "redis-secrets.sh"), str(namespace.namespace)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=namespace.environment())


def secrets(namespace: Kubectl) -> dict[str, dict[str, str]]:
    """What the Secrets hold, by name and key."""
    return {
        each["metadata"]["name"]: {key: base64.b64decode(text).decode() for key, text in each["data"].items()}
        for each in namespace.items("secrets")
    }


def test_the_workers_secret_is_made_again_from_the_other_one(namespace: Kubectl, root: Path) -> None:
    made = script(namespace, root)
    assert made.returncode == 0, made.stderr
    first = secrets(namespace)
    assert first[WORKER]["url"] == first[REDIS]["url-worker"] != ""
    namespace.run("delete", "secret", WORKER)
    again = script(namespace, root)
    assert again.returncode == 0, again.stderr
    assert secrets(namespace) == first
    third = script(namespace, root)
    assert (third.returncode, third.stdout) == (0, f"namespace {namespace.namespace} has both Secrets\n")


def test_the_workers_secret_alone_is_refused_with_what_to_delete(namespace: Kubectl, root: Path) -> None:
    assert script(namespace, root).returncode == 0
    namespace.run("delete", "secret", REDIS)
    refused = script(namespace, root)
    assert refused.returncode == 1
    remedy = f"kubectl -n {namespace.namespace} delete secret {WORKER}"
    assert remedy in refused.stderr
    namespace.run(*remedy.split()[3:])
    assert script(namespace, root).returncode == 0
    assert set(secrets(namespace)) == {REDIS, WORKER}
