"""Which way to a cluster is chosen."""

from pathlib import Path

import pytest

from diffrun_devcluster import provider
from diffrun_devcluster.errors import UnsupportedError
from diffrun_devcluster.provider import Provider
from diffrun_devcluster.settings import Layout


@pytest.fixture
def place(tmp_path: Path) -> Layout:
    return Layout(repo=tmp_path, cache=tmp_path)


def pulls(monkeypatch: pytest.MonkeyPatch, *engines: str) -> None:
    monkeypatch.setattr(provider, "works", lambda command, **_: command[0] in engines)


@pytest.mark.parametrize(
    ("engines", "chosen"),
    [
        (("docker", "podman"), Provider.DOCKER),
        (("podman",), Provider.PODMAN),
        ((), Provider.PACKAGES),
    ],
    ids=["docker first", "podman alone", "neither pulls"],
)
def test_what_can_pull_a_node_is_preferred(
    place: Layout, monkeypatch: pytest.MonkeyPatch, engines: tuple[str, ...], chosen: Provider
) -> None:
    pulls(monkeypatch, *engines)
    assert provider.choose(place, {}) is chosen


def test_a_docker_that_cannot_pull_is_passed_over(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provider, "works", lambda command, **_: command[1] == "info")
    assert provider.choose(place, {}) is Provider.PACKAGES


def test_what_runs_the_cluster_goes_on_running_it(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    pulls(monkeypatch, "docker")
    provider.record(place, Provider.PACKAGES)
    assert provider.choose(place, {"DIFFRUN_PROVIDER": "docker"}) is Provider.PACKAGES


def test_the_user_has_the_say_before_the_machine(place: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    pulls(monkeypatch, "docker")
    assert provider.choose(place, {"DIFFRUN_PROVIDER": "packages"}) is Provider.PACKAGES
    with pytest.raises(UnsupportedError, match="It is one of: docker, podman, packages"):
        provider.choose(place, {"DIFFRUN_PROVIDER": "lima"})


def test_an_existing_cluster_is_taken_without_asking_any_engine(tmp_path: Path) -> None:
    assert provider.choose(Layout(tmp_path, tmp_path, existing=True), {}) is Provider.EXISTING
