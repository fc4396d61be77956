"""What a training state is: everything that the next step depends on, beside the configuration and the data.

Weights, their average, AdamW's moments and step count, the step, and the states of the generators of python, numpy and
torch. The latter matter to networks with dropout; the training's own noise is a function of seed and step.
"""

import copy
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.training.network import Network

_SHOWN = 3  # tensors named in an error


@dataclass(frozen=True)
class Snapshot:
    """A training state on the host, which no later step changes."""

    step: int
    """Steps done: the next one has this number."""
    average: Any
    """The network with the averaged weights: what is sampled from, and what others load."""
    tensors: Mapping[str, Tensor]
    """Weights, moments and generators' states, by name."""
    document: Mapping[str, Any]
    """Everything else, as JSON."""


def capture(network: Network, optimizer: torch.optim.AdamW, step: int, facts: Mapping[str, Any]) -> Snapshot:
    """Copies the state after `step` steps to the host; waits for the device. `facts` go into the document."""
    tensors = {f"weights.{name}": _copied(value) for name, value in network.unet.state_dict().items()}
    for name, parameter in network.trained():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"adamw.{key}.{name}"] = _copied(value)
    generators, python = _generators()
    document = {**facts, "step": step, "architecture": _architecture(network), "pythonRandom": python}
    return Snapshot(step, copy.deepcopy(network.average).cpu(), tensors | generators, document)


def restore(snapshot: Snapshot, network: Network, optimizer: torch.optim.AdamW, source: str) -> None:
    """Puts a state into a network and an optimiser of the same architecture. `source` names it in errors.

    Weights that the state holds no moments of start with none: AdamW has them only after a first step.
    Raises PermanentError `IncompatibleCheckpoint` where the state is another architecture's.
    """
    _require_architecture(snapshot, network, source)
    weights = _under(snapshot.tensors, "weights.")
    _require_same(weights, network.unet.state_dict(), source)
    network.unet.load_state_dict(weights)
    network.average.load_state_dict(snapshot.average.state_dict())
    adamw = _under(snapshot.tensors, "adamw.")
    for name, parameter in network.trained():
        # By name, not by position as the optimiser's own load_state_dict; moments lie in memory as their weights do.
        if f"step.{name}" not in adamw:
            continue
        state = optimizer.state[parameter]
        state["step"] = adamw[f"step.{name}"].to(parameter.device)
        for moment in ("exp_avg", "exp_avg_sq"):
            state[moment] = torch.empty_like(parameter, requires_grad=False).copy_(adamw[f"{moment}.{name}"])
    _restore_generators(snapshot)


def _copied(value: Tensor) -> Tensor:
    return value.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _architecture(network: Network) -> dict[str, Any]:
    return {
        "class": type(network.unet).__name__,
        "config": {key: value for key, value in network.unet.config.items() if not key.startswith("_")},
        "classes": None if network.classes is None else list(network.classes),
    }


def _require_architecture(snapshot: Snapshot, network: Network, source: str) -> None:
    """Names the first difference: what a user can act on, unlike a list of tensors."""
    found, wanted = snapshot.document["architecture"], _architecture(network)
    if found["class"] != wanted["class"]:
        raise _incompatible(source, f"is of a {found['class']}, the model is a {wanted['class']}")
    for key in sorted(found["config"].keys() | wanted["config"].keys()):
        old, new = found["config"].get(key), wanted["config"].get(key)
        if _plain(old) != _plain(new):
            raise _incompatible(source, f"was made with {key} {old!r}, the model has {new!r}")
    if found["classes"] != wanted["classes"]:
        raise _incompatible(source, f"knows the classes {found['classes']}, the data have {wanted['classes']}")


def _require_same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    wrong = sorted(
        name
        for name in found.keys() | wanted.keys()
        if name not in found or name not in wanted or found[name].shape != wanted[name].shape
    )
    if wrong:
        raise _incompatible(source, f"differs in {len(wrong)} tensors, among them {', '.join(wrong[:_SHOWN])}")


def _generators() -> tuple[dict[str, Tensor], list[Any]]:
    """The states of torch's and numpy's generators as tensors, and python's as JSON."""
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    tensors = {
        "random.torch": torch.get_rng_state(),
        "random.numpy.keys": torch.from_numpy(np.asarray(keys).astype(np.int64)),
        "random.numpy.rest": torch.tensor([position, has_gauss, cached], dtype=torch.float64),
    }
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    version, internal, gauss = random.getstate()
    return tensors, [version, list(internal), gauss]


def _restore_generators(snapshot: Snapshot) -> None:
    tensors = snapshot.tensors
    torch.set_rng_state(tensors["random.torch"])
    position, has_gauss, cached = tensors["random.numpy.rest"].tolist()
    keys = tensors["random.numpy.keys"].numpy().astype(np.uint32)
    np.random.set_state(("MT19937", keys, int(position), int(has_gauss), cached))
    if "random.cuda" in tensors and torch.cuda.is_available():
        torch.cuda.set_rng_state(tensors["random.cuda"])
    version, internal, gauss = snapshot.document["pythonRandom"]
    random.setstate((version, tuple(internal), gauss))


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _incompatible(source: str, what: str) -> PermanentError:
    return PermanentError(
        ErrorCode.INCOMPATIBLE_CHECKPOINT,
        f"{source}: the checkpoint {what}; resume with the model that it was made with, or leave resume out",
    )
