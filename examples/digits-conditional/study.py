"""Do forces do what their names say? Asks a classifier that was trained on real digits.

    python examples/digits-conditional/study.py [--check]

Draws samples with plain guidance, `attract_class`, `subtract` and `blend` (DDIM, 50 steps, seeds from 0) and prints
which digits the classifier takes them for. It knows an eleventh class, "none of them". With `--check` it ends with
exit code 1 where a limit is missed.
"""

import argparse
import sys
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

LEAST_RIGHT = 0.95
"""The share of the asked digit with `attract_class`."""
LEAST_GUIDED = 0.9
"""The share of the asked digit with guidance of scale 1."""
LEAST_OF_EACH = 0.2
"""The share of either digit in a `blend`; `LEAST_GUIDED` is that of both together."""

Missed = list[str]
"""The limits that were missed, in words."""


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


def share(probabilities: Tensor, digit: str) -> float:
    """How many of the samples the classifier takes for a digit, in [0, 1]."""
    return float((probabilities.argmax(dim=1) == int(digit)).double().mean())


def shares(probabilities: Tensor, *digits: str) -> str:
    """`3: 52.0 %, 8: 41.5 %, others: 5.0 %, none: 1.5 %`."""
    taken = torch.bincount(probabilities.argmax(dim=1), minlength=11).double() / len(probabilities)
    named = [(digit, share(probabilities, digit)) for digit in digits]
    rest = 1 - sum(part for _, part in named) - float(taken[10])
    return ", ".join(f"{name}: {part:.1%}" for name, part in [*named, ("others", rest), ("none", float(taken[10]))])


def attraction(study: Study, each: int) -> Missed:
    """`attract_class` at the default strength, so many samples of every class."""
    right = 0
    for digit in map(str, range(10)):
        drawn = study.draw(each, character=digit, preset="attract_class", preset_args={"target_class": digit})
        right += int((drawn.argmax(dim=1) == int(digit)).sum())
    print(f"attract_class: the asked digit in {right} of {10 * each} samples ({right / (10 * each):.1%})")
    return missed(
        right >= LEAST_RIGHT * 10 * each, f"attract_class: the asked digit in {LEAST_RIGHT:.0%} of all samples"
    )


def contrast(study: Study, samples: int, wanted: str, unwanted: str, weight: float) -> Missed:
    """`subtract` against plain guidance of the same weight."""
    plain = study.draw(samples, character=wanted, force={"guidance_scale": weight})
    arguments = {"pos_class": wanted, "neg_class": unwanted, "w_pos": weight, "w_neg": weight}
    against = study.draw(samples, character=wanted, preset="subtract", preset_args=arguments)
    print(f"{wanted} but not {unwanted}, weight {weight:g}")
    print(f"  guidance: {shares(plain, wanted, unwanted)}")
    print(f"  subtract: {shares(against, wanted, unwanted)}")
    fewer = share(against, unwanted) <= share(plain, unwanted)
    return [
        *missed(share(plain, wanted) >= LEAST_GUIDED, f"guidance: {wanted} in {LEAST_GUIDED:.0%} of all samples"),
        *missed(fewer, f"subtract: no more samples of {unwanted} than by guidance"),
    ]


def mixture(study: Study, samples: int, first: str, second: str) -> Missed:
    """`blend` in equal parts: which of the two comes out is up to the noise."""
    both = study.draw(samples, character=first, preset="blend", preset_args={"class_a": first, "class_b": second})
    print(f"blend of {first} and {second}: {shares(both, first, second)}")
    parts = share(both, first), share(both, second)
    held = sum(parts) >= LEAST_GUIDED and min(parts) >= LEAST_OF_EACH
    return missed(held, f"blend: {LEAST_GUIDED:.0%} of both, {LEAST_OF_EACH:.0%} of each")


def missed(held: bool, limit: str) -> Missed:
    """The limit, unless it holds."""
    return [] if held else [limit]


def main() -> int:
    """The command line; returns its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--check", action="store_true", help="end with 1 where a limit is missed")
    options = parser.parse_args()
    study = Study(load_checkpoint(options.checkpoint))
    seen = study.classifier
    print(f"classifier: {seen.accuracy:.1%} of {seen.held_out} held-out real digits")
    beyond = attraction(study, options.samples // 10)
    for wanted, unwanted in (("8", "1"), ("9", "3")):
        beyond += contrast(study, options.samples // 2, wanted, unwanted, weight=1.0)
    beyond += mixture(study, options.samples // 2, "3", "8")
    for limit in beyond:
        print(f"missed: {limit}")
    return int(options.check and bool(beyond))


if __name__ == "__main__":
    sys.exit(main())
