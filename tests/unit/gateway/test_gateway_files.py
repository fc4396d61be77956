"""No id and no path leads out of a run's own directory, and nothing but a regular file gives bytes."""

import os
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from diffrun_contracts import names
from diffrun_gateway.files import NotThere, VolumeFiles

UID = "3f1c2a90-6f1e-4e0b-9a52-6d7a3f0c1b2d"
OWN = b"the run's own"
SECRET = b"what nobody may read"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> VolumeFiles:
    """A run with a file, surrounded by what it must not reach."""
    base = tmp_path_factory.mktemp("base")
    own = base / "workspace" / names.run_dir(UID)
    for directory in (own / "deep", own.with_name(f"{UID}x"), own.with_name("other")):
        directory.mkdir(parents=True)
        (directory / "file").write_bytes(SECRET)
    for secret in (base, base / "workspace", own.parent):
        (secret / "file").write_bytes(SECRET)
    for mine in (own, own / "deep"):
        (mine / "file").write_bytes(OWN)
    (own / "link").symlink_to(base / "file")
    (own / "linked").symlink_to(base)
    (own / "around").symlink_to(own)
    return VolumeFiles(base / "workspace")


PARTS = st.sampled_from(
    ["runs", UID, f"{UID}x", "other", "file", "deep", "link", "linked", "around", "..", ".", "", "...", "%2e%2e",
     "%252e%252e", "..\\\\", "\0", "~", " ", "..\0", "\u2024\u2024", "\uff0e\uff0e"]
)  # fmt: skip
PATHS = st.lists(PARTS | st.text(max_size=5), max_size=8).map("/".join)
BELOW = PATHS.map(lambda path: f"{names.run_dir(UID)}/{path}")


@settings(deadline=None)
@given(path=PATHS | BELOW | PATHS.map(lambda path: f"/{path}"))
@example(path=f"{names.run_dir(UID)}/file")
@example(path=f"{names.run_dir(UID)}/deep/file")
@example(path=f"{names.run_dir(UID)}/../other/file")
@example(path=f"{names.run_dir(UID)}/linked/file")
@example(path=f"{names.run_dir(UID)}x/file")
def test_a_path_gives_the_runs_own_bytes_or_none(tree: VolumeFiles, path: str) -> None:
    own = {f"{names.run_dir(UID)}/file", f"{names.run_dir(UID)}/deep/file"}
    try:
        data = tree.read(UID, path, 1 << 20)
    except NotThere:
        assert path not in own
    else:
        assert path in own
        assert data == OWN


def test_a_device_in_the_place_of_a_file_gives_nothing(tree: VolumeFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []

    def device(*_: Any) -> int:
        opened.append(os.open("/dev/zero", os.O_RDONLY))
        return opened[-1]

    monkeypatch.setattr(tree, "_descend", device)  # making a device takes rights that tests need not have
    with pytest.raises(NotThere), tree.open(UID, f"{names.run_dir(UID)}/file"):
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(opened[0])
