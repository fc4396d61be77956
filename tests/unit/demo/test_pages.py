"""Where the demo says that the pages are."""

from pathlib import Path

import pytest
from demo.__main__ import gateway_values, out, show_page
from demo.narrator import Narrator

from diffrun_devcluster.kubectl import Kubectl
from diffrun_devcluster.release import Images, Release

IMAGES = Images(operator="o:1", worker="w:1", testkit="t:1", gateway="g:1", redis="r:1")
FORWARD = "kubectl -n {0} port-forward service/{0}-gateway 8080:80"


@pytest.fixture(autouse=True)
def our_own_node(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("CLUSTER", raising=False)
    monkeypatch.delenv("DIFFRUN_PORT", raising=False)


def release(name: str) -> Release:
    return Release(Kubectl(), name=name, namespace=name, images=IMAGES, hub=None)


def shown(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    show_page("The page", release(name), {"metadata": {"name": "cat"}}, Narrator())
    return capsys.readouterr().out


def test_our_own_node_has_a_port_for_the_usual_release(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("diffrun", capsys)
    assert "http://127.0.0.1:30080/runs/diffrun/cat" in text
    assert "port-forward" not in text
    assert gateway_values(release("diffrun"))["gateway.service.type"] == "NodePort"


def test_another_release_beside_it_is_reached_by_forwarding(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("diffrun-two", capsys)
    assert "http://127.0.0.1:8080/runs/diffrun-two/cat" in text
    assert FORWARD.format("diffrun-two") in text
    assert gateway_values(release("diffrun-two")) == {}


def test_an_existing_cluster_is_reached_by_forwarding(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLUSTER", "existing")
    text = shown("diffrun", capsys)
    assert "http://127.0.0.1:8080/runs/diffrun/cat" in text
    assert FORWARD.format("diffrun") in text
    assert gateway_values(release("diffrun")) == {}


def test_the_files_of_two_releases_do_not_meet() -> None:
    assert out(release("diffrun")) != out(release("diffrun-two"))
