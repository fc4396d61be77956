"""Converting `.pt` files: weights go over bit for bit, and everything else is refused by its name."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import UNet2DModel
from torch import Tensor

from diffrun_worker.errors import PermanentError
from diffrun_worker.inference.convert import Noise, convert, read_weights
from diffrun_worker.inference.loading import load_checkpoint, load_unet

CLASSES = ["A", "B", "C"]


@pytest.fixture
def unet(tiny_checkpoint: Path) -> UNet2DModel:
    network: UNet2DModel = UNet2DModel.from_pretrained(tiny_checkpoint)
    return network


@pytest.fixture
def config(tiny_checkpoint: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((tiny_checkpoint / "config.json").read_text())
    return document


def save(folder: Path, content: object, **how: Any) -> Path:
    path = folder / "model.pt"
    torch.save(content, path, **how)
    return path


def test_weights_go_over_bit_for_bit_with_their_classes(
    tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]
) -> None:
    made = convert(save(tmp_path, unet.state_dict()), tmp_path / "made", config=config, classes=CLASSES)

    ckpt = load_checkpoint(made)
    assert ckpt.classes == ("A", "B", "C")
    assert ckpt.null_class == 3
    loaded: dict[str, Tensor] = load_unet(ckpt).state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in unet.state_dict().items())
    assert {path.suffix for path in made.iterdir()} == {".json", ".safetensors"}


def test_what_the_file_says_need_not_be_said_again(tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]) -> None:
    content = {"unet": unet.state_dict(), "config": config, "classes": CLASSES, "beta_end": 0.01, "epoch": 5}

    made = convert(save(tmp_path, content), tmp_path / "made")

    ckpt = load_checkpoint(made)
    assert ckpt.classes == ("A", "B", "C")
    assert (ckpt.scheduler_config["beta_start"], ckpt.scheduler_config["beta_end"]) == (0.0001, 0.01)


def test_what_is_said_rules_over_the_file(tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]) -> None:
    content = {"unet": unet.state_dict(), "config": config, "classes": CLASSES, "beta_end": 0.01}
    noise = Noise(num_train_timesteps=500, beta_end=0.03, beta_schedule="squaredcos_cap_v2")

    made = convert(save(tmp_path, content), tmp_path / "made", classes=["x", "y", "z"], noise=noise)

    ckpt = load_checkpoint(made)
    assert ckpt.classes == ("x", "y", "z")
    assert ckpt.num_train_timesteps == 500
    assert ckpt.scheduler_config["beta_schedule"] == "squaredcos_cap_v2"
    assert ckpt.scheduler_config["beta_end"] == 0.03


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_the_prefixes_of_wrappers_are_taken_off(
    tmp_path: Path, unet: UNet2DModel, config: dict[str, Any], prefix: str
) -> None:
    weights = {f"{prefix}{name}": tensor for name, tensor in unet.state_dict().items()}

    made = convert(save(tmp_path, weights), tmp_path / "made", config=config, classes=CLASSES)

    assert load_unet(load_checkpoint(made)).state_dict().keys() == unet.state_dict().keys()


def test_the_old_file_format_is_read_too(tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]) -> None:
    path = save(tmp_path, unet.state_dict(), _use_new_zipfile_serialization=False)

    assert load_checkpoint(convert(path, tmp_path / "made", config=config, classes=CLASSES)).channels == 1


def test_of_several_networks_one_must_be_named(tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]) -> None:
    zeros = {name: torch.zeros_like(tensor) for name, tensor in unet.state_dict().items()}
    path = save(tmp_path, {"model": zeros, "ema": unet.state_dict()})

    with pytest.raises(PermanentError, match=r"--key: model\.pt holds several \(ema, model\)"):
        convert(path, tmp_path / "made", config=config, classes=CLASSES)
    with pytest.raises(PermanentError, match=r"no weights under 'best'; it has model, ema"):
        convert(path, tmp_path / "made", config=config, classes=CLASSES, key="best")
    made = convert(path, tmp_path / "made", config=config, classes=CLASSES, key="ema")
    assert float(load_unet(load_checkpoint(made)).conv_in.weight.abs().sum()) > 0


class Payload:
    """What a pickle could do on loading."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("write", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what, protocol=2))])
def test_a_pickle_that_would_run_code_is_refused_and_does_not(tmp_path: Path, write: Any) -> None:
    write({"model": Payload(tmp_path / "touched")}, tmp_path / "model.pt")

    with pytest.raises(PermanentError, match=r"CorruptCheckpoint: model\.pt is not a file of weights.*state_dict"):
        convert(tmp_path / "model.pt", tmp_path / "made", classes=CLASSES)
    assert not (tmp_path / "touched").exists()
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04torn", b"no weights"], ids=["empty", "torn zip", "text"])
def test_what_is_no_file_of_weights_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(data)

    with pytest.raises(PermanentError, match="CorruptCheckpoint"):
        read_weights(tmp_path / "model.pt")


def test_a_file_that_is_not_there_and_one_of_something_else_are_named(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"ModelNotFound.*nowhere\.pt"):
        read_weights(tmp_path / "nowhere.pt")
    with pytest.raises(PermanentError, match="holds a list"):
        read_weights(save(tmp_path, [torch.zeros(1)]))
    with pytest.raises(PermanentError, match=r"--key: model\.pt holds none"):
        convert(save(tmp_path, {"epoch": 3}), tmp_path / "made")


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (None, r"--classes: the weights have 4 class embeddings.*give the 3 classes"),
        (["A", "B"], r"--classes: 2 classes and the null class do not fit the weights' 4"),
        (["A", "B", "C", "D"], r"give 3 names"),
        (["A", "A", "B"], r"name of its own"),
    ],
)
def test_classes_that_do_not_fit_the_embeddings_are_refused(
    tmp_path: Path, unet: UNet2DModel, config: dict[str, Any], classes: list[str] | None, message: str
) -> None:
    with pytest.raises(PermanentError, match=message):
        convert(save(tmp_path, unet.state_dict()), tmp_path / "made", config=config, classes=classes)


def test_classes_of_an_unconditional_network_are_refused(
    tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]
) -> None:
    weights = {name: tensor for name, tensor in unet.state_dict().items() if name != "class_embedding.weight"}
    unconditional = {key: value for key, value in config.items() if key != "num_class_embeds"}
    path = save(tmp_path, weights)

    with pytest.raises(PermanentError, match="unconditional"):
        convert(path, tmp_path / "made", config=unconditional, classes=CLASSES)
    made = convert(path, tmp_path / "made", config=unconditional)
    assert not (made / "classes.json").exists()


def test_a_configuration_of_another_network_is_refused_with_the_difference(
    tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]
) -> None:
    path = save(tmp_path, unet.state_dict())

    with pytest.raises(PermanentError, match=r"IncompatibleCheckpoint.*tensors are missing"):
        convert(path, tmp_path / "made", config=config | {"layers_per_block": 2}, classes=CLASSES)
    with pytest.raises(PermanentError, match=r"conv_in\.weight: \[8, 1, 3, 3\], not \[16, 1, 3, 3\]"):
        convert(path, tmp_path / "made", config=config | {"block_out_channels": [16]}, classes=CLASSES)
    with pytest.raises(PermanentError, match=r"--config: model\.pt does not say"):
        convert(path, tmp_path / "made", classes=CLASSES)


def test_broken_weights_are_refused(tmp_path: Path, unet: UNet2DModel, config: dict[str, Any]) -> None:
    weights = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    weights["conv_in.bias"][0] = float("nan")

    with pytest.raises(PermanentError, match=r"NonFiniteWeights.*conv_in\.bias"):
        convert(save(tmp_path, weights), tmp_path / "made", config=config, classes=CLASSES)
