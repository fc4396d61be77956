"""An installation whose workspace is an object store: an S3-compatible server on this machine, over real HTTP."""

import json
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator

import pytest
from forwarding import forwarded
from s3_kit import BUCKET, S3Server
from scenario import Runs

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, Manifest, condition
from diffrun_devcluster.release import Images, Release

SECRET = "diffrun-store"
STEPS = {"name": "DDIM", "steps": 2}


def address_towards(cluster: Kubectl) -> str:
    """This machine's address as the cluster's node sees it, and so the pods."""
    (node, *_) = cluster.items("nodes", "")
    inside = next(one["address"] for one in node["status"]["addresses"] if one["type"] == "InternalIP")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((inside, 1))
        address: str = probe.getsockname()[0]
        return address


@pytest.fixture(scope="module")
def store(cluster: Kubectl) -> Iterator[S3Server]:
    """The server, with an empty bucket."""
    server = S3Server(address_towards(cluster))
    yield server
    server.close()


@pytest.fixture(scope="module")
def stored(cluster: Kubectl, images: Images, hub: str, worker_id: str, store: S3Server) -> Iterator[Release]:
    """An installation over the store, with its gateway and its workers fenced in, of the workers' image as released."""
    name = f"diffrun-store-{worker_id}"
    installed = Release(cluster, name=name, namespace=name, images=images, hub=hub, test_blocks=False, pages=True)
    installed.make_namespace()
    installed.kubectl.apply({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET}, "stringData": store.environment(),
    })  # fmt: skip
    rule = "networkPolicies.workerEgress[0].ports[0]"
    installed.install(**{
        "workspace.hostPath": "",
        "workspace.url": f"s3://{BUCKET}/diffrun",
        "workspace.secretName": SECRET,
        f"{rule}.protocol": "TCP",
        f"{rule}.port": str(urllib.parse.urlsplit(store.url).port),
    })  # fmt: skip
    yield installed
    installed.uninstall()


def test_a_run_keeps_everything_in_the_store_and_the_gateway_shows_it_from_there(
    stored: Release, store: S3Server
) -> None:
    runs = Runs(stored.kubectl)
    stored.ensure_approver("alice")
    manifest: Manifest = {
        "apiVersion": f"{names.GROUP}/{names.VERSION}",
        "kind": "DiffusionRun",
        "metadata": {"name": "stored"},
        "spec": {"seed": 1, "blocks": [
            {"name": "download", "downloadCheckpoint": {"repo": "diffrun/ddpm-digits", "revision": "main"}},
            {"name": "full", "generateFull": {"samples": 4, "batchSize": 2, "sampler": STEPS}, "shards": 2},
        ]},
    }  # fmt: skip
    ended = runs.finished(runs.start(manifest), timeout=420)
    assert condition(ended, "Succeeded")["status"] == "True", json.dumps(ended["status"], indent=1)
    folder = names.run_dir(ended["metadata"]["uid"])
    assert len([path for path in store.puts(f"{folder}/full/") if path.endswith(".png")]) == 4
    assert store.puts(f"{folder}/full/1/0/0/events/000001.jsonl")

    token = stored.kubectl.run("create", "token", "alice").strip()
    with forwarded(stored) as url:

        def fetch(path: str) -> bytes:
            request = urllib.request.Request(f"{url}/api/{path}", headers={"Authorization": f"Bearer {token}"})
            with urllib.request.urlopen(request, timeout=30) as answer:
                return bytes(answer.read())

        uid = ended["metadata"]["uid"]
        listed = json.loads(fetch(f"artifacts?run={uid}"))["artifacts"]
        pictures = [one for one in listed if one["schemaType"] == "generated_sample"]
        assert len(pictures) == 4
        assert fetch(f"artifacts/{pictures[0]['id']}?run={uid}").startswith(b"\x89PNG")
