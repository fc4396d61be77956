"""A saved model loads again, with diffusers and with ours, and no kill leaves none."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDPMPipeline
from torch import nn

from diffrun_contracts.params.train import ModelName
from diffrun_worker.diffusion.process import GaussianDiffusion
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.models import ARCHITECTURES, build_model, store
from diffrun_worker.sampling.loader import load_conditional, load_model
from diffrun_worker.sampling.weights import SINGLE_FILE

SCHEDULER = GaussianDiffusion().scheduler_config()
CONFIG = {
    "block_out_channels": [8, 16],
    "norm_num_groups": 4,
    "layers_per_block": 1,
    "attention_head_dim": 4,
    "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
    "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
}


def unet2d(seed: int = 0, num_classes: int | None = None) -> nn.Module:
    torch.manual_seed(seed)
    return build_model(ModelName.UNET2D, config=CONFIG, channels=1, image_size=8, num_classes=num_classes)


def same_weights(one: Any, other: Any) -> bool:
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


pytestmark = pytest.mark.usefixtures("checked_once")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "checkpoints" / "model"


def test_a_pipeline_of_diffusers_loads_the_folder_and_draws(folder: Path) -> None:
    unet = unet2d()
    store.save_model(folder, unet, SCHEDULER)
    pipeline: Any = DDPMPipeline.from_pretrained(folder)
    assert same_weights(pipeline.unet, unet)
    assert pipeline.scheduler.config.beta_schedule == "linear"
    pipeline.set_progress_bar_config(disable=True)
    assert pipeline(num_inference_steps=2, output_type="np").images.shape == (1, 8, 8, 1)


def test_generation_loads_the_folder(folder: Path) -> None:
    unet = unet2d()
    store.save_model(folder, unet, SCHEDULER)
    model = load_model(folder)
    assert same_weights(model.unet, unet)
    assert model.shape == (1, 8, 8)
    assert model.scheduler_config["clip_sample"] is True


def test_inference_loads_a_conditional_one_with_the_names_of_its_classes(folder: Path) -> None:
    unet = unet2d(num_classes=3)
    store.save_model(folder, unet, SCHEDULER, ["A", "b", "ß"])
    assert json.loads((folder / "classes.json").read_text()) == {"classes": ["A", "b", "ß"], "nullClass": 3}
    loaded = load_conditional(folder)
    assert same_weights(loaded.model.unet, unet)
    assert (loaded.classes, loaded.null_class) == (("A", "b", "ß"), 3)


def test_an_architecture_of_ours_loads_by_its_own_name(folder: Path, small: nn.Module) -> None:
    store.save_model(folder, small, SCHEDULER)
    assert same_weights(load_model(folder).unet, small)
    assert same_weights(type(small).from_pretrained(folder), small)  # type: ignore[attr-defined]
    assert json.loads((folder / "config.json").read_text())["_class_name"] == type(small).__name__
    assert not (folder / "model_index.json").exists()  # diffusers does not know the class


def test_every_architecture_can_be_told_from_the_others() -> None:
    assert len({one.__name__ for one in ARCHITECTURES.values()}) == len(ARCHITECTURES)


def test_weights_in_another_memory_format_are_saved_as_they_are(folder: Path) -> None:
    unet = unet2d().to(memory_format=torch.channels_last)
    store.save_model(folder, unet, SCHEDULER)
    assert same_weights(load_model(folder).unet, unet)


def test_the_weights_say_that_they_are_of_torch(folder: Path) -> None:
    store.save_model(folder, unet2d(), SCHEDULER)
    data = (folder / SINGLE_FILE).read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert json.loads(data[8 : 8 + length])["__metadata__"] == {"format": "pt"}


def test_a_loaded_model_is_saved_without_the_path_that_it_came_from(folder: Path, tmp_path: Path) -> None:
    store.save_model(folder, unet2d(), SCHEDULER)
    store.save_model(tmp_path / "again", load_model(folder).unet, SCHEDULER)
    assert str(tmp_path) not in (tmp_path / "again" / "config.json").read_text()


@pytest.mark.parametrize(("num_classes", "classes"), [(3, None), (None, ["a"]), (3, ["a", "b"])])
def test_names_that_are_not_the_networks_are_refused(
    folder: Path, num_classes: int | None, classes: list[str] | None
) -> None:
    with pytest.raises(ValueError, match="one name for each class but the null class"):
        store.save_model(folder, unet2d(num_classes=num_classes), SCHEDULER, classes)
    assert not folder.exists()


def test_the_old_model_is_replaced_and_nothing_else_is_left(folder: Path) -> None:
    store.save_model(folder, unet2d(num_classes=1), SCHEDULER, ["a"])
    store.save_model(folder, unet2d(seed=1), SCHEDULER)
    assert same_weights(load_model(folder).unet, unet2d(seed=1))
    assert not (folder / "classes.json").exists()
    assert list(folder.parent.iterdir()) == [folder]


class Killed(BaseException):
    """What no handler of Exception sees, as a SIGKILL is not seen."""


def killed_at(function: str, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the pod die just before the `count`-th call of a function that the store goes through."""
    owner, name = {"rename": (Path, "rename"), "tensor_bytes": (store, "tensor_bytes"), "fsync": (store, "fsync_file")}[
        function
    ]
    original, calls = getattr(owner, name), 0

    def call(*arguments: Any, **others: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count:
            raise Killed
        return original(*arguments, **others)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("function", "count"),
    [("tensor_bytes", 1), ("fsync", 1), ("fsync", 3), ("rename", 1), ("rename", 2)],
    ids=["before the weights", "before the first fsync", "between fsyncs", "before setting aside", "between renames"],
)
def test_a_kill_while_saving_leaves_the_old_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, function: str, count: int
) -> None:
    store.save_model(folder, unet2d(), SCHEDULER)
    with monkeypatch.context() as patched:
        killed_at(function, count, patched)
        with pytest.raises(Killed):
            store.save_model(folder, unet2d(seed=1), SCHEDULER)
    store.recover(folder)
    assert same_weights(load_model(folder).unet, unet2d())
    store.save_model(folder, unet2d(seed=2), SCHEDULER)
    assert same_weights(load_model(folder).unet, unet2d(seed=2))
    assert list(folder.parent.iterdir()) == [folder]


def test_a_kill_before_the_old_model_is_deleted_leaves_the_new_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save_model(folder, unet2d(), SCHEDULER)
    with monkeypatch.context() as patched:
        patched.setattr(store.shutil, "rmtree", lambda *_, **__: None)
        store.save_model(folder, unet2d(seed=1), SCHEDULER)
    assert len(list(folder.parent.iterdir())) == 2
    assert same_weights(load_model(folder).unet, unet2d(seed=1))
    store.save_model(folder, unet2d(seed=2), SCHEDULER)
    assert same_weights(load_model(folder).unet, unet2d(seed=2))
    assert list(folder.parent.iterdir()) == [folder]


def test_a_full_disk_is_told_and_the_old_model_stays(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.save_model(folder, unet2d(), SCHEDULER)
    monkeypatch.setattr(store, "SINGLE_FILE", "/dev/full")  # the kernel's own refusal
    with pytest.raises(PermanentError) as caught:
        store.save_model(folder, unet2d(seed=1), SCHEDULER)
    assert caught.value.code == ErrorCode.DISK_FULL
    assert "no room to save the model model: " in caught.value.message
    assert same_weights(load_model(folder).unet, unet2d())
    assert list(folder.parent.iterdir()) == [folder]


def test_everything_is_durable_before_it_bears_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def noting(owner: Any, name: str, what: Callable[..., str]) -> None:
        original = getattr(owner, name)

        def call(*arguments: Any) -> Any:
            done.append(what(*arguments))
            return original(*arguments)

        monkeypatch.setattr(owner, name, call)

    noting(store, "fsync_file", lambda file: file.name)
    noting(store, "fsync_dir", lambda path: path.name)
    noting(Path, "rename", lambda _, target: f"-> {target.name}")
    store.save_model(folder, unet2d(), SCHEDULER)
    files = {"config.json", SINGLE_FILE, "scheduler_config.json", "model_index.json"}
    assert set(done[:4]) == files
    assert done[4:] == [".model.partial", "-> model", "checkpoints"]
