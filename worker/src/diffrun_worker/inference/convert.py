"""A `.pt` file's weights as a folder that diffrun and diffusers load: done once, by hand, never in a run's pod.

A `.pt` is a pickle, which can run code when it is loaded. It is read here by torch's own reader of weights alone
(`weights_only=True`), which makes tensors and plain values and refuses everything else; from then on only the
safetensors that this writes are read.
"""

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffrun_contracts.params import DType
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.models.store import save_model
from diffrun_worker.models.unet2d import build_unet2d
from diffrun_worker.sampling.loader import check_finite

WEIGHTS_KEYS = (
    "ema", "ema_state_dict", "ema_model", "model_ema", "unet", "unet_state_dict", "model", "model_state_dict",
    "state_dict",
)  # fmt: skip
"""Where people keep a network's weights in a checkpoint."""
CONFIG_KEYS = ("unet_config", "model_config", "config")
CLASSES_KEYS = ("classes", "class_names")
SCHEDULER_KEYS = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")

_PREFIXES = ("module.", "_orig_mod.")  # DistributedDataParallel's, torch.compile's


@dataclass(frozen=True)
class Noise:
    """The noise schedule that the model was trained with; None is what the file says, else the usual value."""

    num_train_timesteps: int | None = None
    beta_start: float | None = None
    beta_end: float | None = None
    beta_schedule: str | None = None


_USUAL = {"num_train_timesteps": 1000, "beta_start": 0.0001, "beta_end": 0.02, "beta_schedule": "linear"}


def convert(
    source: Path,
    output: Path,
    *,
    config: Mapping[str, Any] | None = None,
    classes: Sequence[str] | None = None,
    key: str | None = None,
    noise: Noise | None = None,
) -> Path:
    """Writes the model of a `.pt` as a folder of safetensors, configuration, schedule and classes; returns the folder.

    `config` is the UNet2DModel's, `classes` are the names in the order of their embeddings (without the null class),
    `key` names the weights where the file holds several; each is taken from the file where it is not given.

    Raises PermanentError: `ModelNotFound`, `CorruptCheckpoint` for what is no file of weights, `InvalidParams` for
    what must be said about it, `IncompatibleCheckpoint` where weights and configuration do not fit,
    `NonFiniteWeights`, `DiskFull`.
    """
    content = read_weights(source)
    weights = _without_prefixes(_pick_weights(content, key, source))
    unet_config = dict(config) if config is not None else _find(content, CONFIG_KEYS, Mapping)
    if unet_config is None:
        raise invalid_params(
            f"--config: {source.name} does not say how its network is built ({', '.join(CONFIG_KEYS)}); give the "
            "UNet2DModel's config.json"
        )
    names = list(classes) if classes is not None else _find(content, CLASSES_KEYS, Sequence)
    _check_classes(weights, names)
    unet = _build(unet_config, weights, len(names) if names else None)
    check_finite(weights, DType.FLOAT32)
    save_model(output, unet, _scheduler(content, noise or Noise()), names or None)
    return output


def read_weights(source: Path) -> Mapping[str, Any]:
    """The file's content, tensors mapped rather than read where its format allows it.

    Raises PermanentError `ModelNotFound`, `CorruptCheckpoint`.
    """
    if not source.is_file():
        raise PermanentError(ErrorCode.MODEL_NOT_FOUND, f"{source} is not a file; give a .pt that torch.save has made")
    try:
        # Only the zip format of torch 1.6 and later can be mapped.
        content = torch.load(source, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(source))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise PermanentError(
            ErrorCode.CORRUPT_CHECKPOINT,
            f"{source.name} is not a file of weights alone ({reason}); save the network's state_dict() by torch.save "
            "where the file was made, and convert that",
        ) from error
    if not isinstance(content, Mapping):
        raise PermanentError(
            ErrorCode.CORRUPT_CHECKPOINT, f"{source.name} holds a {type(content).__name__}; a state_dict is needed"
        )
    return content


def _pick_weights(content: Mapping[str, Any], key: str | None, source: Path) -> dict[str, Tensor]:
    if _is_weights(content):
        return dict(content)
    found = [name for name in WEIGHTS_KEYS if _is_weights(content.get(name))]
    if key is None and len(found) == 1:
        key = found[0]
    if key is None:
        some = f"several ({', '.join(found)})" if found else f"none under {', '.join(WEIGHTS_KEYS)}"
        raise invalid_params(f"--key: {source.name} holds {some}; name the one to convert")
    if not _is_weights(content.get(key)):
        there = ", ".join(str(name) for name in content if _is_weights(content[name])) or "none"
        raise invalid_params(f"--key: {source.name} has no weights under {key!r}; it has {there}")
    return dict(content[key])


def _is_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and bool(value) and all(isinstance(one, Tensor) for one in value.values())


def _without_prefixes(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in (*_PREFIXES, *_PREFIXES):  # either may be outside
        if all(name.startswith(prefix) for name in weights):
            weights = {name.removeprefix(prefix): tensor for name, tensor in weights.items()}
    return weights


def _check_classes(weights: Mapping[str, Tensor], names: Sequence[str] | None) -> None:
    table = weights.get("class_embedding.weight")
    if table is None:
        if names:
            raise invalid_params(
                "--classes: the weights have no class_embedding; the model is unconditional, leave it out"
            )
        return
    embeddings = int(table.shape[0])
    if not names:
        raise invalid_params(
            f"--classes: the weights have {embeddings} class embeddings and nothing names them; give the "
            f"{embeddings - 1} classes in their order, the last embedding stands for no class"
        )
    if len(names) + 1 != embeddings:
        raise invalid_params(
            f"--classes: {len(names)} classes and the null class do not fit the weights' {embeddings} class "
            f"embeddings; give {embeddings - 1} names, the last embedding stands for no class"
        )
    if len(set(names)) != len(names) or not all(isinstance(name, str) and name for name in names):
        raise invalid_params(f"--classes: each class needs a name of its own; got {list(names)}")


def _build(config: Mapping[str, Any], weights: Mapping[str, Tensor], classes: int | None) -> Any:
    channels = int(config.get("in_channels", 3))
    unet = build_unet2d(config, num_classes=classes, channels=channels, image_size=None)
    expected = {name: tuple(tensor.shape) for name, tensor in unet.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        raise PermanentError(ErrorCode.INCOMPATIBLE_CHECKPOINT, _difference(expected, found))
    unet.load_state_dict({name: tensor.float() for name, tensor in weights.items()})
    return unet


def _difference(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    missing, surplus = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    other = [name for name in expected if name in found and expected[name] != found[name]]
    parts = []
    if missing:
        parts.append(f"{len(missing)} tensors are missing ({', '.join(missing[:3])})")
    if surplus:
        parts.append(f"{len(surplus)} are not the network's ({', '.join(surplus[:3])})")
    if other:
        name = other[0]
        parts.append(f"{len(other)} have another shape ({name}: {list(found[name])}, not {list(expected[name])})")
    return f"--config: the weights are not those of this configuration: {'; '.join(parts)}"


def _scheduler(content: Mapping[str, Any], noise: Noise) -> dict[str, Any]:
    # Not clipped, as for the models that `train` makes: guidance pushes x̂₀ far outside [-1, 1].
    config: dict[str, Any] = {"_class_name": "DDPMScheduler", "prediction_type": "epsilon", "clip_sample": False}
    for name in SCHEDULER_KEYS:
        given = getattr(noise, name)
        config[name] = given if given is not None else content.get(name, _USUAL[name])
    return config


def _find(content: Mapping[str, Any], keys: Sequence[str], kind: type) -> Any:
    found = (content[key] for key in keys if isinstance(content.get(key), kind))
    value = next(found, None)
    return value if value is None or kind is Mapping else list(value)
