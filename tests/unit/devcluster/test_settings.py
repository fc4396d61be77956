"""Places, keys and ports."""

from pathlib import Path

import pytest

from diffrun_devcluster.errors import UnsupportedError
from diffrun_devcluster.settings import host_port, key_of, layout


def test_the_cache_follows_xdg_and_else_the_home(tmp_path: Path) -> None:
    assert layout({"XDG_CACHE_HOME": str(tmp_path)}).cache == tmp_path / "diffrun"
    assert layout({"HOME": str(tmp_path)}).cache == tmp_path / ".cache" / "diffrun"


def test_the_kubeconfig_is_never_the_users(tmp_path: Path) -> None:
    place = layout({"HOME": str(tmp_path)})
    assert place.kubeconfig == tmp_path / ".cache/diffrun/cluster/kubeconfig"


def test_an_existing_cluster_has_a_state_of_its_own(tmp_path: Path) -> None:
    ours, existing = (layout({"HOME": str(tmp_path), "CLUSTER": name}) for name in ("", "existing"))
    assert ours.state != existing.state


def test_an_unknown_cluster_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedError, match="CLUSTER=minikube is unknown"):
        layout({"HOME": "/", "CLUSTER": "minikube"})


def test_the_repository_is_found_from_the_package() -> None:
    assert (layout({"HOME": "/"}).repo / "devcluster" / "gomods").is_dir()


def test_a_key_changes_with_content_and_name_and_with_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    folder.mkdir()
    (folder / "one").write_text("1")
    first = key_of(["v1", folder])
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "one.pyc").write_text("noise")
    assert key_of(["v1", folder]) == first
    (folder / "one").write_text("2")
    second = key_of(["v1", folder])
    (folder / "one").rename(folder / "two")
    assert len({first, second, key_of(["v1", folder]), key_of(["v2", folder])}) == 4


def test_a_key_does_not_depend_on_where_the_checkout_lies(tmp_path: Path) -> None:
    for name in ("here", "there"):
        (tmp_path / name / "files").mkdir(parents=True)
        (tmp_path / name / "files" / "a").write_text("same")
    assert key_of([tmp_path / "here" / "files"]) == key_of([tmp_path / "there" / "files"])


def test_adjacent_strings_do_not_run_together() -> None:
    assert key_of(["ab", "c"]) != key_of(["a", "bc"])


@pytest.mark.parametrize(("text", "port"), [("", 30080), ("30180", 30180)])
def test_the_port_is_configurable(text: str, port: int) -> None:
    assert host_port({"DIFFRUN_PORT": text}) == port


@pytest.mark.parametrize("text", ["http", "0", "65536", "-1"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(UnsupportedError, match="is no port"):
        host_port({"DIFFRUN_PORT": text})
