"""Everything the chart renders, as a real API server sees it: every field known, every pod within the standard."""

import subprocess
import uuid
from collections.abc import Iterator

import pytest
from admission_support import ROOT, ensure_crd

from diffrun_devcluster.kubectl import Kubectl

pytestmark = pytest.mark.cluster

CHART = ROOT / "charts" / "diffrun"
WAYS = {
    "defaults": [],
    "kind": ["--values", str(CHART / "ci" / "kind-values.yaml")],
    "plain install": ["--values", str(ROOT / "manifests" / "install-values.yaml")],
    "cluster-wide": ["--set", "clusterWide=true,workspace.url=s3://bucket/runs"],
    "another Redis": ["--set", "redis.enabled=false,redis.external.secretName=events"],
}


@pytest.fixture(scope="module")
def restricted(cluster: Kubectl) -> Iterator[Kubectl]:
    """A namespace that refuses pods, and warns of workloads, that do not meet the restricted standard."""
    ensure_crd(cluster)
    name = f"chart-{uuid.uuid4().hex[:8]}"
    cluster.run("create", "namespace", name)
    levels = [f"pod-security.kubernetes.io/{mode}=restricted" for mode in ("enforce", "warn")]
    cluster.run("label", "namespace", name, *levels)
    here = cluster.within(name)
    # A dry run makes no account, and no pod of an account that is not there is taken.
    here.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": f"{name}-operator"}})
    yield here
    cluster.run("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("way", WAYS)
def test_the_api_server_takes_every_object_without_a_warning(restricted: Kubectl, way: str) -> None:
    assert restricted.namespace
    rendered = subprocess.run(
        ["helm", "template", restricted.namespace, str(CHART), "--namespace", restricted.namespace,
         "--kube-version", "1.34.0", "--set", "crds.install=false", *WAYS[way]],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    done = restricted.try_run("apply", "--dry-run=server", "--validate=strict", "-f", "-", stdin=rendered)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert f"pod/{restricted.namespace}-test created (server dry run)" in done.stdout
