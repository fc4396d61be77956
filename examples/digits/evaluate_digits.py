"""Are samples digits? Asks a classifier that was trained on real ones.

    python examples/digits/evaluate_digits.py --sheet /tmp/digits.png
    python examples/digits/evaluate_digits.py --images workspace/runs/<uid>/full

Draws samples as the generation blocks do (8-bit pixels), or takes images that were drawn before, and prints how many
of them the classifier takes for some digit with probability 0.9 or more, beside what it makes of real digits that it
has not seen. A classifier that knows only digits is sure of anything, noise included; this one, the same that the
block `evaluate` trains for `features: classifier`, has an eleventh class, "none of them".
"""

import argparse
import tempfile
from pathlib import Path

import torch
from torch import Generator, Tensor

from diffrun_contracts.params import Sampler, SamplerName
from diffrun_contracts.params.dataset import Dataset, Digits
from diffrun_worker.data.images import Images
from diffrun_worker.data.load import load_images
from diffrun_worker.evaluation.classifier import Classifier, train_classifier
from diffrun_worker.evaluation.generated import ImageFiles, find_images
from diffrun_worker.evaluation.negatives import negatives
from diffrun_worker.evaluation.networks import load_network
from diffrun_worker.evaluation.subjects import DrawnImages
from diffrun_worker.sampling.batching import batches
from diffrun_worker.sampling.grids import grid_png
from diffrun_worker.sampling.schedules import Schedule
from diffrun_worker.workspace import Workspace

CHECKPOINT = Path(__file__).parent / "checkpoint"
SURE = 0.9
BATCH = 100
COLUMNS = 20


def real_digits(size: int, *, test: bool) -> Images:
    """scikit-learn's digits, those to learn from or those held out."""
    with tempfile.TemporaryDirectory() as folder:
        return load_images(Dataset(digits=Digits(), test=test), Workspace(folder), image_size=size, channels=1)


def draw(checkpoint: Path, count: int, sampler: Sampler, seed: int) -> Tensor:
    """Samples `seed … seed + count − 1`, uint8 [N, 1, H, W]."""
    network = load_network(checkpoint, "cpu")
    schedule = Schedule(network.model.scheduler_config, sampler)
    subject = DrawnImages(network, schedule, count, seed, lambda: None)
    return torch.cat([subject.batch(rows) for rows in batches(range(count), BATCH)])


def read(folder: Path, count: int) -> Tensor:
    """At most `count` images of a folder, uint8 [N, 1, H, W]."""
    files = ImageFiles(find_images(Workspace(str(folder)), ".")[:count])
    return files.batch(range(len(files)))


def report(classifier: Classifier, samples: Tensor, unseen: Images) -> None:
    """Prints the figures."""
    right = classifier.predict(unseen.pixels) == unseen.require_labels()
    nothing = negatives(unseen.pixels, Generator().manual_seed(0))
    kinds = torch.bincount(classifier.predict(samples), minlength=len(classifier.classes) + 1).tolist()
    print(f"classifier: accuracy {float(right.double().mean()):.4f} on {len(unseen)} held-out real digits,")
    print(f"  at least {SURE:.0%} sure of {classifier.sure_share(unseen.pixels, SURE):.1%} of them ", end="")
    print(f"and of {classifier.sure_share(nothing, SURE):.1%} of what is none")
    print(f"samples: at least {SURE:.0%} sure of {classifier.sure_share(samples, SURE):.1%} of {len(samples)}")
    print(f"  taken for 0 to 9: {' '.join(map(str, kinds[:-1]))}; for none: {kinds[-1]}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument(
        "--images", type=Path, help="a folder of images that were drawn before, instead of a checkpoint"
    )
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--sampler", type=SamplerName, choices=list(SamplerName), default=SamplerName.DDIM)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="where to write a contact sheet of the samples")
    options = parser.parse_args()

    if options.images is None:
        sampler = Sampler(name=options.sampler, steps=options.steps)
        samples = draw(options.checkpoint, options.samples, sampler, options.seed)
    else:
        samples = read(options.images, options.samples)
    size = samples.shape[-1]
    report(train_classifier(real_digits(size, test=False)), samples, real_digits(size, test=True))
    if options.sheet is not None:
        options.sheet.write_bytes(grid_png(samples, COLUMNS).data)
        print(f"  contact sheet: {options.sheet}")


if __name__ == "__main__":
    main()
