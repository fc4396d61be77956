"""kind's configuration in both worlds."""

from pathlib import Path
from typing import Any

import yaml

from diffrun_devcluster.kind import configuration


def parsed(store: Path | None) -> dict[str, Any]:
    return yaml.safe_load(configuration(port=30180, store=store))  # type: ignore[no-any-return]


def test_the_node_port_is_published_on_loopback_only() -> None:
    (mapping,) = parsed(None)["nodes"][0]["extraPortMappings"]
    assert mapping == {
        "containerPort": 30080,
        "hostPort": 30180,
        "listenAddress": "127.0.0.1",
        "protocol": "TCP",
    }


def test_our_node_brings_its_own_network_and_images() -> None:
    cluster = parsed(Path("/cache/containerd"))
    assert cluster["networking"]["disableDefaultCNI"] is True
    assert cluster["nodes"][0]["extraMounts"] == [
        {"hostPath": "/cache/containerd", "containerPath": "/var/lib/containerd"}
    ]


def test_a_pulled_node_keeps_kinds_network_and_images() -> None:
    cluster = parsed(None)
    assert "networking" not in cluster
    assert "extraMounts" not in cluster["nodes"][0]


def test_the_job_controller_and_the_scheduler_may_go_fast() -> None:
    patch = yaml.safe_load(parsed(None)["kubeadmConfigPatches"][0])
    assert patch["controllerManager"]["extraArgs"]["concurrent-job-syncs"] == "30"
    assert patch["controllerManager"]["extraArgs"]["kube-api-qps"] == "500"
    assert patch["scheduler"]["extraArgs"]["kube-api-burst"] == "800"
