"""A checkpoint's folder, found, described and loaded."""

import argparse
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from diffrun_worker.commands import convert
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.inference import build_scheduler, load_checkpoint, load_unet, newest_checkpoint
from diffrun_worker.inference.loading import load_model_of
from diffrun_worker.inference.loop import as_model
from diffrun_worker.stored_workspace import StoredWorkspace

WEIGHTS = "diffusion_pytorch_model.safetensors"


def test_a_checkpoint_says_what_it_is_without_its_weights_being_read(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    (folder / WEIGHTS).write_bytes(b"not read")
    ckpt = load_checkpoint(str(folder))
    assert (ckpt.classes, ckpt.null_class, ckpt.size, ckpt.channels) == (("A", "B", "C"), 3, 8, 1)
    assert ckpt.num_train_timesteps == 1000
    assert ckpt.class_index("B") == 1
    assert ckpt.describe() == {"path": str(folder), "classes": ["A", "B", "C"], "size": 8, "channels": 1}


def test_its_network_is_a_unet_in_evaluation_mode(tiny_checkpoint: Path) -> None:
    unet = load_unet(load_checkpoint(tiny_checkpoint), device="cpu", dtype="float64")
    assert isinstance(unet, UNet2DModel)
    assert not unet.training
    assert unet.dtype == torch.float64


def test_its_scheduler_has_its_noise_schedule(tiny_checkpoint: Path) -> None:
    ckpt = load_checkpoint(tiny_checkpoint)
    assert isinstance(build_scheduler(ckpt), DDIMScheduler)
    ddpm = build_scheduler(ckpt, "DDPM")
    assert isinstance(ddpm, DDPMScheduler)
    assert ddpm.config.beta_end == 0.02
    with pytest.raises(PermanentError, match=r"sampler\.name: infer takes DDIM or DDPM; got Heun"):
        build_scheduler(ckpt, "Heun")


def test_the_newest_of_a_folder_is_taken_and_unfinished_ones_are_not(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name, age in (("step-900", 30), ("step-1000", 10), ("step-950", 20), (".step-2000.partial", 0)):
        folder = shutil.copytree(tiny_checkpoint, tmp_path / name)
        os.utime(folder / WEIGHTS, (10**9 - age, 10**9 - age))
    (tmp_path / "notes").mkdir()
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1000"
    assert load_checkpoint(tmp_path).path == tmp_path / "step-1000"


def test_of_two_written_at_once_the_higher_number_is_the_newer(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("step-1000", "step-900"):
        folder = shutil.copytree(tiny_checkpoint, tmp_path / name)
        os.utime(folder / WEIGHTS, (10**9, 10**9))
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1000"


def test_folders_that_are_no_checkpoints_hide_no_other(tiny_checkpoint: Path, tmp_path: Path) -> None:
    for name in ("being-written", "of-another-kind"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    (tmp_path / "being-written" / "scheduler_config.json").write_text("{}")
    with pytest.raises(PermanentError) as caught:
        newest_checkpoint(tmp_path)
    assert caught.value.code == ErrorCode.MODEL_NOT_FOUND
    assert (
        f"{tmp_path} holds no checkpoint (being-written is none: being-written: no {WEIGHTS}; " in caught.value.message
    )
    assert "(of-another-kind is none: " in caught.value.message

    shutil.copytree(tiny_checkpoint, tmp_path / "step-1")
    assert newest_checkpoint(tmp_path) == tmp_path / "step-1"


def test_in_an_object_store_the_newest_is_what_was_put_last(tiny_checkpoint: Path, tmp_path: Path) -> None:
    ours, theirs = (StoredWorkspace("memory://newest/x", tmp_path / name) for name in ("ours", "theirs"))
    for name in ("step-2", "step-1"):
        ours.keep(shutil.copytree(tiny_checkpoint, ours.place(f"models/{name}")), whole=True)
    assert newest_checkpoint(theirs.path("models")).name == "step-1"


def test_the_line_that_converts_a_pickle_runs_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(PermanentError) as caught:
        newest_checkpoint(tmp_path / "model.pt")
    line = re.search(r"diffrun-worker convert (.*?) and give", caught.value.message)
    assert line is not None
    parser = argparse.ArgumentParser()
    convert.add(parser.add_subparsers())
    assert parser.parse_args(["convert", *line[1].split()]).output == tmp_path / "model"


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("model.pt", ErrorCode.NO_SAFETENSORS, "convert it once by diffrun-worker convert"),
        ("absent", ErrorCode.MODEL_NOT_FOUND, "is not a folder"),
        ("empty", ErrorCode.MODEL_NOT_FOUND, "holds no checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused_with_what_to_do(
    tmp_path: Path, name: str, code: ErrorCode, words: str
) -> None:
    (tmp_path / "model.pt").write_bytes(b"PK\x03\x04")
    (tmp_path / "empty").mkdir()
    with pytest.raises(PermanentError, match=words) as caught:
        load_checkpoint(tmp_path / name)
    assert caught.value.code == code


def test_a_checkpoint_without_classes_is_refused(tiny_checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_checkpoint, tmp_path / "model")
    (folder / "classes.json").unlink()
    with pytest.raises(PermanentError, match=r"classes\.json"):
        load_checkpoint(folder)


def test_a_bare_network_is_fed_in_the_layout_of_its_weights(tiny_checkpoint: Path) -> None:
    ckpt = load_checkpoint(tiny_checkpoint)
    unet = load_unet(ckpt)
    assert as_model(unet, ckpt).memory_format is torch.contiguous_format
    assert as_model(unet.to(memory_format=torch.channels_last), ckpt).memory_format is torch.channels_last
    model = load_model_of(ckpt)
    assert as_model(model, ckpt) is model
