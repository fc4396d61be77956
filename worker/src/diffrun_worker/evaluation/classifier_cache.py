"""Classifiers that were trained before, in the workspace's cache: safetensors, with their accuracy beside them.

Statistics of a reference data set are of one network's features, to the last bit of its weights. A classifier that
is trained anew on another machine is another network by rounding; so it is kept, and whoever refers to its features
names the SHA-256 of its file.
"""

import hashlib
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.classifier import RECIPE, Check, Classifier, ClassifierNetwork, train_classifier
from diffrun_worker.evaluation.features import ClassifierFeatures
from diffrun_worker.hashing import sha256_file
from diffrun_worker.workspace import Workspace

FOLDER = "cache/classifiers"


def classifier_features(
    images: Images, workspace: Workspace, *, seed: int, device: str, check: Check = lambda: None
) -> ClassifierFeatures:
    """The features of the classifier of these images and this seed, trained where nobody has done so before.

    `check` is called between training's steps and may raise to stop. Raises PermanentError `InvalidParams` for images
    without enough classes, `CorruptCheckpoint` for a damaged file in the cache.
    """
    key = hashlib.sha256(f"{images.digest} {seed} {RECIPE}".encode()).hexdigest()
    path = workspace.path(f"{FOLDER}/{key}.safetensors")
    if not path.is_file():
        _save(train_classifier(images, seed=seed, device=device, check=check), path, workspace)
    # The one just trained comes back from its file too: every run computes with what the digest names.
    return ClassifierFeatures(_load(path, images, device), sha256_file(path))


def _save(trained: Classifier, path: Path, workspace: Workspace) -> None:
    tensors = {name: tensor.cpu().contiguous() for name, tensor in trained.network.state_dict().items()}
    report = {"accuracy": repr(trained.accuracy), "held_out": str(trained.held_out)}
    workspace.write(workspace.relative(path), save(tensors, metadata=report))


def _load(path: Path, images: Images, device: str) -> Classifier:
    network = ClassifierNetwork(images.shape[0], images.shape[1], len(images.classes))
    try:
        with safe_open(path, framework="pt") as file:
            report = file.metadata()
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        network.load_state_dict(tensors)
        accuracy, held_out = float(report["accuracy"]), int(report["held_out"])
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            ErrorCode.CORRUPT_CHECKPOINT,
            f"{FOLDER}/{path.name} is damaged ({type(error).__name__}); delete it, and it is trained again",
        ) from error
    network.to(device).eval().requires_grad_(False)
    return Classifier(network, images.classes, accuracy, held_out, images.shape)
