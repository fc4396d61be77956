"""Do forces do what their names say? Asks a classifier that was trained on real digits.

    python examples/digits-conditional/study.py

Draws samples with plain guidance, `attract_class`, `subtract` and `blend` (DDIM, 50 steps, seeds from 0) and prints
which digits the classifier takes them for. It knows an eleventh class, "none of them".
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffrun_contracts.params.dataset import Dataset
from diffrun_worker.data import load_images
from diffrun_worker.evaluation.classifier import Classifier, train_classifier
from diffrun_worker.inference import CheckpointInfo, Generation, InferenceConfig, build_scheduler, load_checkpoint
from diffrun_worker.inference.loading import load_model_of
from diffrun_worker.sampling.batching import batches
from diffrun_worker.sampling.images import to_bytes
from diffrun_worker.sampling.loader import Model
from diffrun_worker.workspace import Workspace

CHECKPOINT = Path(__file__).parent / "checkpoint"
BATCH = 50


class Study:
    """A checkpoint, and a classifier that has never seen what it draws."""

    def __init__(self, checkpoint: CheckpointInfo) -> None:
        self._checkpoint = checkpoint
        self._model: Model = load_model_of(checkpoint)
        self._scheduler = build_scheduler(checkpoint)
        self.classifier = _classifier(checkpoint.size)

    def draw(self, samples: int, **config: Any) -> Tensor:
        """Class probabilities of the samples of a configuration, [samples, 11]."""
        configuration = InferenceConfig(seed=0, total=samples, **config)
        generation = Generation(self._model, self._scheduler, configuration, self._checkpoint)
        drawn = [generation.draw(batch) for batch in batches(range(samples), BATCH)]
        return self.classifier.probabilities(to_bytes(torch.cat(drawn)))


def _classifier(image_size: int) -> Classifier:
    with tempfile.TemporaryDirectory() as folder:
        images = load_images(Dataset(digits={}), Workspace(folder), image_size=image_size, channels=1)
    return train_classifier(images)


def shares(probabilities: Tensor, *digits: str) -> str:
    """`3: 52.0 %, 8: 41.5 %, others: 5.0 %, none: 1.5 %`."""
    taken = torch.bincount(probabilities.argmax(dim=1), minlength=11).double() / len(probabilities)
    named = [(digit, float(taken[int(digit)])) for digit in digits]
    rest = 1 - sum(share for _, share in named) - float(taken[10])
    return ", ".join(f"{name}: {share:.1%}" for name, share in [*named, ("others", rest), ("none", float(taken[10]))])


def attraction(study: Study, each: int) -> None:
    """`attract_class` at the default strength, so many samples of every class."""
    right = 0
    for digit in map(str, range(10)):
        drawn = study.draw(each, character=digit, preset="attract_class", preset_args={"target_class": digit})
        right += int((drawn.argmax(dim=1) == int(digit)).sum())
    print(f"attract_class: the asked digit in {right} of {10 * each} samples ({right / (10 * each):.1%})")


def contrast(study: Study, samples: int, wanted: str, unwanted: str, weight: float) -> None:
    """`subtract` against plain guidance of the same weight."""
    plain = study.draw(samples, character=wanted, force={"guidance_scale": weight})
    arguments = {"pos_class": wanted, "neg_class": unwanted, "w_pos": weight, "w_neg": weight}
    against = study.draw(samples, character=wanted, preset="subtract", preset_args=arguments)
    print(f"{wanted} but not {unwanted}, weight {weight:g}")
    print(f"  guidance: {shares(plain, wanted, unwanted)}")
    print(f"  subtract: {shares(against, wanted, unwanted)}")


def mixture(study: Study, samples: int, first: str, second: str) -> None:
    """`blend` in equal parts: which of the two comes out is up to the noise."""
    both = study.draw(samples, character=first, preset="blend", preset_args={"class_a": first, "class_b": second})
    print(f"blend of {first} and {second}: {shares(both, first, second)}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--samples", type=int, default=200)
    options = parser.parse_args()
    study = Study(load_checkpoint(options.checkpoint))
    seen = study.classifier
    print(f"classifier: {seen.accuracy:.1%} of {seen.held_out} held-out real digits")
    attraction(study, options.samples // 10)
    for wanted, unwanted in (("8", "1"), ("9", "3")):
        contrast(study, options.samples // 2, wanted, unwanted, weight=1.0)
    mixture(study, options.samples // 2, "3", "8")


if __name__ == "__main__":
    main()
