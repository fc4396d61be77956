"""What images are compared by: a network's features, and the name that a distance between them may carry.

Only Inception-v3's 2048 features of Heusel et al. (2017) make a FID. Whatever else is used gives a figure of its
own, which cannot be compared with any paper's, and so it has a name of its own.
"""

import io
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from diffrun_worker.errors import invalid_params
from diffrun_worker.evaluation.classifier import FEATURES, Classifier
from diffrun_worker.evaluation.weights import invalid

FID = "eval/fid"
CLASSIFIER_DISTANCE = "eval/classifier_distance"

INCEPTION_DIMENSION = 2048


class FeatureExtractor(Protocol):
    """A network that looks at images."""

    @property
    def name(self) -> str:
        """For reports."""

    @property
    def metric(self) -> str:
        """What a Fréchet distance between its features is called."""

    @property
    def identity(self) -> str:
        """Names its weights for ever: equal identities give equal features of equal images, up to rounding."""

    @property
    def dimension(self) -> int:
        """D."""

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 images on any device, [N, C, H, W], to features on the network's, [N, D] float32."""


class InceptionFeatures:
    """The 2048 features of Inception-v3's last pooling layer, by torch-fidelity.

    It resizes images to 299×299 as TensorFlow 1 did when FID was defined, so that they come in at their own size.
    """

    name = "inception-v3-2048"
    metric = FID
    dimension = INCEPTION_DIMENSION

    def __init__(self, weights: Mapping[str, Tensor], sha256: str, device: str = "cpu") -> None:
        """Raises PermanentError `InvalidFeatureWeights` unless the tensors are Inception-v3's."""
        self.identity = f"{self.name}-{sha256}"
        self._device = torch.device(device)
        self._network = _inception(weights).to(self._device)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """[N, C, H, W] uint8 with C = 1 (repeated) or 3 to [N, 2048]. Raises PermanentError `InvalidParams`."""
        if images.ndim != 4 or images.dtype != torch.uint8 or images.shape[1] not in (1, 3):
            raise invalid_params(
                f"features: Inception looks at grey or colour images, uint8 [N, 1 or 3, H, W]; got {images.dtype} "
                f"{list(images.shape)}"
            )
        colour = images.to(self._device).expand(-1, 3, -1, -1)
        features: Tensor = self._network(colour)[0]
        return features


def _inception(weights: Mapping[str, Tensor]) -> Any:
    # torch-fidelity reads its weights by a torch.load that runs whatever a pickle asks for. It is given a buffer that
    # was written here, of tensors that were read safely before.
    from torch_fidelity.feature_extractor_inceptionv3 import (  # type: ignore[import-untyped]
        FeatureExtractorInceptionV3,
    )

    safe = io.BytesIO()
    torch.save(dict(weights), safe)
    safe.seek(0)
    try:
        return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=safe)
    except RuntimeError as error:
        raise invalid(f"they are not those of Inception-v3 ({' '.join(str(error).split())[:200]})") from error


class ClassifierFeatures:
    """The penultimate features of a classifier that was trained on the reference images themselves."""

    name = "classifier"
    metric = CLASSIFIER_DISTANCE
    dimension = FEATURES

    def __init__(self, classifier: Classifier, sha256: str) -> None:
        """`sha256` is that of the classifier's weights."""
        self.classifier = classifier
        self.identity = f"{self.name}-{sha256}"

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """[N, C, H, W] uint8 of the shape that the classifier has learnt to [N, 64]."""
        return self.classifier.embed(images)
