"""A cluster that is there already: named before anything is done to it, and never without the tools it takes."""

import io
import json
from pathlib import Path

import pytest

from diffrun_devcluster import cluster
from diffrun_devcluster.errors import MissingToolError, UnsupportedError
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import Layout

KUBECONFIG = {
    "current-context": "team-west",
    "clusters": [{"name": "west", "cluster": {"server": "https://west.example:6443"}}],
}


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    return Layout(repo=tmp_path, cache=tmp_path / "cache", existing=True)


def program(folder: Path, name: str, output: str = "") -> None:
    """A program that prints something, whatever it is asked."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\nprintf %s '{output}'\n")
    path.chmod(0o755)


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on PATH, with kubectl and helm."""
    folder = tmp_path / "bin"
    program(folder, "kubectl", json.dumps(KUBECONFIG))
    program(folder, "helm")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_the_context_is_named_and_its_configuration_copied_for_nobody_else_to_read(place: Layout, tools: Path) -> None:
    said = io.StringIO()
    cluster.up(place, Progress(said))
    assert "CLUSTER=existing: the context team-west at https://west.example:6443" in said.getvalue()
    assert json.loads(place.kubeconfig.read_text()) == KUBECONFIG
    assert place.kubeconfig.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("tool", ["kubectl", "helm"])
def test_a_missing_tool_is_named(place: Layout, tools: Path, tool: str) -> None:
    (tools / tool).unlink()
    with pytest.raises(MissingToolError, match=f"{tool} is not installed"):
        cluster.up(place, Progress(io.StringIO()))


def test_images_go_by_a_registry_that_one_has_to_name(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DIFFRUN_REGISTRY", raising=False)
    with pytest.raises(UnsupportedError, match=r"DIFFRUN_REGISTRY=registry\.example/diffrun names one"):
        cluster.load_images(place, Progress(io.StringIO()))


def test_the_state_names_no_port_and_no_directory_of_our_own_node(place: Layout, tools: Path) -> None:
    cluster.up(place, Progress(io.StringIO()))
    assert not {"url", "workspaces"} & set(cluster.status(place))
