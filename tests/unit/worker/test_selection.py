"""Which files of a repository are fetched, and which repositories are refused by their listing alone."""

import pytest

from diffrun_worker.errors import PermanentError
from diffrun_worker.hub import Commit, RepoFile
from diffrun_worker.selection import select_files

ROOT = ["model_index.json", "config.json", "scheduler_config.json", "diffusion_pytorch_model.safetensors"]
NOISE = [".gitattributes", "README.md", "diffusion_pytorch_model.bin", "images/1.png"]


def commit(*names: str) -> Commit:
    return Commit("c" * 40, tuple(RepoFile(name, 1, None, None) for name in names))


def test_of_the_root_layout_only_configurations_and_safetensors_are_fetched() -> None:
    assert [file.name for file in select_files("o/n", commit(*NOISE, *ROOT)).files] == ROOT


def test_of_the_folder_layout_the_components_own_files_are_fetched() -> None:
    folders = [
        "model_index.json",
        "unet/config.json",
        "scheduler/scheduler_config.json",
        "unet/diffusion_pytorch_model.safetensors",
    ]
    others = ["unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.fp16.safetensors", "vae/config.json"]
    assert [file.name for file in select_files("o/n", commit(*others, *folders)).files] == folders


def test_weights_in_several_files_come_with_their_index() -> None:
    names = [
        "diffusion_pytorch_model.safetensors.index.json",
        "diffusion_pytorch_model-00001-of-00002.safetensors",
        "diffusion_pytorch_model-00002-of-00002.safetensors",
    ]
    selection = select_files("o/n", commit("config.json", "scheduler_config.json", *reversed(names)))
    assert [file.name for file in selection.weights] == names


@pytest.mark.parametrize(
    ("names", "code", "message"),
    [
        (
            [*ROOT, "pipeline.py"],
            "RemoteCode",
            "o/n at cccccccccccc brings code (pipeline.py); diffrun runs none: use a repository without",
        ),
        (
            [*ROOT[:3], "diffusion_pytorch_model.bin", "model.ckpt"],
            "NoSafetensors",
            "o/n at cccccccccccc has no diffusion_pytorch_model.safetensors, only pickles "
            "(diffusion_pytorch_model.bin, model.ckpt), which run code when they are loaded; "
            "use a revision that was converted to safetensors",
        ),
        (
            ROOT[:3],
            "NoSafetensors",
            "o/n at cccccccccccc has no diffusion_pytorch_model.safetensors, no weights; "
            "use a revision that was converted to safetensors",
        ),
        (
            ["README.md"],
            "NotACheckpoint",
            "o/n at cccccccccccc has no config.json; use a diffusers checkpoint of an unconditional UNet",
        ),
        (
            ["config.json", ROOT[3]],
            "NotACheckpoint",
            "o/n at cccccccccccc has no scheduler_config.json; use a diffusers checkpoint of an unconditional UNet",
        ),
    ],
    ids=["code", "pickles", "no-weights", "no-model", "no-scheduler"],
)
def test_a_repository_that_is_no_safe_checkpoint_is_refused(names: list[str], code: str, message: str) -> None:
    with pytest.raises(PermanentError) as caught:
        select_files("o/n", commit(*names))
    assert (caught.value.code, caught.value.message) == (code, message)
