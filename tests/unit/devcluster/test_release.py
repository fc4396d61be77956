"""What the chart is told of the cluster that it is installed on."""

from pathlib import Path

import pytest

from diffrun_devcluster.kubectl import Kubectl
from diffrun_devcluster.release import Images, Release

IMAGES = Images(
    **{part: f"registry.example:5000/{part}:tag" for part in ("operator", "worker", "testkit", "gateway", "redis")}
)
ON_THE_NODE = "workspace.hostPath=", "redis.persistence.hostPath="


def told(**values: str) -> list[str]:
    """What stands behind `--set` and `--set-string`."""
    release = Release(Kubectl(), name="diffrun", namespace="diffrun", images=IMAGES, hub=None)
    return release.chart_values(values)[1::2]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_our_own_node_keeps_the_directory_that_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CLUSTER", raising=False)
    assert not [each for each in told() if each.startswith(ON_THE_NODE)]


def test_an_existing_cluster_has_no_directory_of_ours_and_makes_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "existing")
    assert {*ON_THE_NODE, "workspace.accessMode=ReadWriteOnce"} <= set(told())


def test_what_a_caller_says_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLUSTER", "existing")
    given = told(**{"workspace.accessMode": "ReadWriteMany"})
    assert [each for each in given if each.startswith("workspace.accessMode")] == ["workspace.accessMode=ReadWriteMany"]


def test_an_image_of_a_registry_with_a_port_is_told_apart_from_its_tag(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"operator.image.repository=registry.example:5000/operator", "operator.image.tag=tag"} <= set(told())
