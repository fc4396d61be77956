"""A state is there whole or not at all, whatever happens while it is written."""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from diffrun_contracts.params.train import ModelName
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import PermanentError
from diffrun_worker.models import build_model
from diffrun_worker.training import checkpoints
from diffrun_worker.training.checkpoints import CheckpointFolder, find
from diffrun_worker.training.state import Snapshot

from .conftest import UNET

SCHEDULER = GaussianDiffusion().scheduler_config()


class Killed(BaseException):
    """The process ends here; no handler of its own runs."""


@pytest.fixture(scope="module")
def network() -> Any:
    return build_model(ModelName.UNET2D, config=UNET, channels=1, image_size=8)


@pytest.fixture
def snapshot(network: Any) -> Callable[[int], Snapshot]:
    """A state after so many steps, told from others by one tensor."""

    def make(step: int) -> Snapshot:
        architecture = {"class": "UNet2DModel", "config": {}, "classes": None}
        return Snapshot(
            step, network, {"mark": torch.full((3,), float(step))}, {"step": step, "architecture": architecture}
        )

    return make


def save(folder: CheckpointFolder, snapshot: Snapshot) -> Path:
    return folder.save(snapshot, SCHEDULER, None)


def newest_step(folder: CheckpointFolder) -> int:
    found = folder.newest()
    assert found is not None
    assert torch.equal(found[0].tensors["mark"], torch.full((3,), float(found[0].step)))
    return found[0].step


def test_where_nothing_was_ever_saved_there_is_nothing(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path / "checkpoints", keep=2).newest() is None


def test_the_newest_comes_back_with_everything_that_was_saved(
    tmp_path: Path, snapshot: Callable[[int], Snapshot]
) -> None:
    folder = CheckpointFolder(tmp_path, keep=2)
    save(folder, snapshot(9))
    place = save(folder, snapshot(10))
    found = folder.newest()
    assert found is not None
    assert found[1] == place
    assert found[0].document["step"] == 10
    expected = snapshot(10).average.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in found[0].average.state_dict().items())


def test_a_kill_at_any_write_leaves_the_state_of_before_or_the_new_one(
    tmp_path: Path, snapshot: Callable[[int], Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    moments = ["write_model", "save_file", "sha256_file", "fsync_file", "fsync_dir"]
    for number, moment in enumerate(moments):
        folder = CheckpointFolder(tmp_path / moment, keep=1)
        save(folder, snapshot(1))
        with monkeypatch.context() as patched:
            patched.setattr(checkpoints, moment, _killed)
            patched.setattr(shutil, "rmtree", lambda *_, **__: None)  # the dead clean nothing up
            with pytest.raises(Killed):
                save(folder, snapshot(2))
        assert newest_step(folder) == 1, moment
        save(folder, snapshot(3 + number))
        assert newest_step(folder) == 3 + number
        assert [path.name for path in (tmp_path / moment / "state").iterdir()] == [f"step-00000000{3 + number}"]


def _killed(*_: object, **__: object) -> None:
    raise Killed


@pytest.mark.parametrize(
    "full",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left (os error 28)")],
    ids=["told by the system", "told by safetensors"],
)
def test_a_full_disk_is_told_and_the_older_state_still_loads(
    tmp_path: Path, snapshot: Callable[[int], Snapshot], monkeypatch: pytest.MonkeyPatch, full: Exception
) -> None:
    folder = CheckpointFolder(tmp_path, keep=1)
    save(folder, snapshot(1))

    def no_room(*_: object, **__: object) -> None:
        raise full

    monkeypatch.setattr(checkpoints, "save_file", no_room)
    with pytest.raises(PermanentError, match=r"no room to save the checkpoint of step 2: .* untouched") as caught:
        save(folder, snapshot(2))
    assert caught.value.code == "DiskFull"
    assert newest_step(folder) == 1
    assert len(list((tmp_path / "state").iterdir())) == 1


def test_a_disk_that_is_full_before_the_first_weight_is_told_in_the_same_words(
    tmp_path: Path, snapshot: Callable[[int], Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = CheckpointFolder(tmp_path, keep=1)
    save(folder, snapshot(1))

    def no_room(file: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(PermanentError, match=r"no room to save the checkpoint of step 2: .* untouched"):
        save(folder, snapshot(2))
    assert newest_step(folder) == 1
    assert len(list((tmp_path / "state").iterdir())) == 1


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


@pytest.mark.parametrize("damage", [_truncate, _flip, Path.unlink], ids=["truncated", "one bit", "missing"])
@pytest.mark.parametrize(
    "name",
    ["training.safetensors", "diffusion_pytorch_model.safetensors", "training.json", "config.json", "manifest.json"],
)
def test_damage_of_any_file_is_seen(
    tmp_path: Path, snapshot: Callable[[int], Snapshot], name: str, damage: Callable[[Path], None]
) -> None:
    place = save(CheckpointFolder(tmp_path, keep=1), snapshot(1))
    damage(place / name)
    if name == "manifest.json" and damage is not Path.unlink:
        (place / name).write_text((place / name).read_text() + "}")  # its last byte is but a line's end
    with pytest.raises(PermanentError, match=rf"step-000000001: {name}") as caught:
        find(place)
    assert caught.value.code == "CorruptCheckpoint"


def test_a_state_of_another_format_is_not_guessed_at(tmp_path: Path, snapshot: Callable[[int], Snapshot]) -> None:
    place = save(CheckpointFolder(tmp_path, keep=1), snapshot(1))
    manifest = json.loads((place / "manifest.json").read_text())
    (place / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    with pytest.raises(PermanentError, match="it has format 99, this worker reads 1"):
        find(place)


def test_a_damaged_newer_state_does_not_push_a_whole_one_out(
    tmp_path: Path, snapshot: Callable[[int], Snapshot]
) -> None:
    folder = CheckpointFolder(tmp_path, keep=1)
    _truncate(save(folder, snapshot(20)) / "training.json")
    save(folder, snapshot(15))
    assert newest_step(folder) == 15
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["step-000000015"]
