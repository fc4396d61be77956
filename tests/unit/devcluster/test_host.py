"""What a machine lacks is named, with the remedy."""

import socket

import pytest

from diffrun_devcluster import host
from diffrun_devcluster.errors import MissingToolError, NotRootError, PortTakenError, UnsupportedError
from diffrun_devcluster.progress import Progress


def test_another_system_is_told_its_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    with pytest.raises(UnsupportedError, match="not on Darwin on arm64") as error:
        host.check_packages_world()
    assert "CLUSTER=existing" in error.value.remedy


def test_another_user_than_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(NotRootError, match="needs root"):
        host.check_packages_world()


def test_a_taken_port_is_named_with_another_way() -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = busy.getsockname()[1]
        with pytest.raises(PortTakenError, match=f"Port {port} of 127.0.0.1 is taken") as error:
            host.check_port(port)
    assert "DIFFRUN_PORT" in error.value.remedy


def test_a_free_port_is_fine() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    host.check_port(port)


def test_only_what_is_missing_is_listed() -> None:
    assert host.missing_packages({"sh": "dash", "no-such-program": "nosuch", "/no/such/file": "other"}) == [
        "nosuch",
        "other",
    ]


def test_missing_packages_are_not_installed_by_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "_FOR_THE_TESTS", {"no-such-program": "nosuch"})
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/apt-get" if name == "apt-get" else None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(MissingToolError, match="Not installed: nosuch") as error:
        host.install_for_the_tests(Progress())
    assert "apt-get install --no-install-recommends nosuch" in error.value.remedy
