"""Are the model's samples digits? Asks a classifier that was trained on real ones.

    python examples/digits/evaluate_digits.py --sheet /tmp/digits.png

Draws samples as the generation blocks do (DDIM, 10 steps, 8-bit pixels) and prints how many of them the
classifier takes for some digit with probability 0.9 or more, beside what it makes of real digits that it
has not seen. A classifier that knows only digits is sure of anything, noise included; this one has an
eleventh class, "no digit", which it has learned from noise and from digits with their parts shuffled.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
import torch
from data import IMAGE_SIZE, load_digits_16
from numpy.typing import NDArray
from PIL import Image
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from diffrun_contracts.params import Sampler
from diffrun_worker.sampling.images import to_pixels
from diffrun_worker.sampling.loader import load_model
from diffrun_worker.sampling.loop import denoise, generators_for
from diffrun_worker.sampling.schedules import Schedule

SURE = 0.9
NO_DIGIT = 10
TILE = 4  # pixels: the parts that are shuffled
CHECKPOINT = Path(__file__).parent / "checkpoint"

Pixels = NDArray[np.float64]


def as_features(samples: torch.Tensor) -> Pixels:
    """[N, 1, 16, 16] in [-1, 1] to [N, 256] in [0, 1], by way of the 8-bit pixels that a PNG holds."""
    return to_pixels(samples).numpy().reshape(len(samples), -1) / 255.0


def no_digits(features: Pixels, generator: np.random.Generator) -> Pixels:
    """As many shuffled digits and as much uniform noise: [2 N, 256]."""
    count, tiles = len(features), IMAGE_SIZE // TILE
    parts = features.reshape(count, tiles, TILE, tiles, TILE).swapaxes(2, 3)  # [N, row, column, TILE, TILE]
    orders = generator.permuted(np.tile(np.arange(tiles * tiles), (count, 1)), axis=1)  # [N, tiles²], one each
    parts = parts.reshape(count, tiles * tiles, TILE, TILE)[np.arange(count)[:, None], orders]
    shuffled = parts.reshape(count, tiles, tiles, TILE, TILE).swapaxes(2, 3).reshape(features.shape)
    return np.concatenate([shuffled, generator.uniform(size=features.shape)])


def draw(checkpoint: Path, count: int, steps: int, seed: int, batch_size: int = 100) -> torch.Tensor:
    """Samples `seed … seed + count − 1`, [N, 1, 16, 16]."""
    model = load_model(checkpoint)
    schedule = Schedule(model.scheduler_config, Sampler(steps=steps))
    seeds = range(seed, seed + count)
    parts = [seeds[start : start + batch_size] for start in range(0, count, batch_size)]
    return torch.cat([denoise(model, schedule, generators_for(part)) for part in parts])


def contact_sheet(samples: torch.Tensor, columns: int = 20, scale: int = 3) -> Image.Image:
    """The samples side by side, row after row."""
    pixels = np.pad(to_pixels(samples).numpy()[..., 0], ((0, 0), (1, 1), (1, 1)), constant_values=128)  # [N, H, W]
    rows, side = len(pixels) // columns, IMAGE_SIZE + 2
    grid = pixels[: rows * columns].reshape(rows, columns, side, side)
    sheet = Image.fromarray(grid.swapaxes(1, 2).reshape(rows * side, columns * side))
    return sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--samples", type=int, default=500)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sheet", type=Path, help="where to write a contact sheet of the samples")
    options = parser.parse_args()

    images, labels = load_digits_16()
    seen, unseen, seen_labels, unseen_labels = train_test_split(
        as_features(images), labels.numpy(), test_size=0.25, random_state=0, stratify=labels.numpy()
    )
    generator = np.random.default_rng(0)
    others, unseen_others = no_digits(seen, generator), no_digits(unseen, generator)
    classifier = MLPClassifier(hidden_layer_sizes=(256,), random_state=0, max_iter=200, tol=0, n_iter_no_change=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a fixed number of epochs is what is asked for
        classifier.fit(np.concatenate([seen, others]), np.append(seen_labels, np.full(len(others), NO_DIGIT)))

    def sure(features: Pixels) -> float:
        return float((classifier.predict_proba(features)[:, :NO_DIGIT].max(axis=1) >= SURE).mean())

    samples = as_features(drawn := draw(options.checkpoint, options.samples, options.steps, options.seed))
    kinds = np.bincount(classifier.predict(samples), minlength=NO_DIGIT + 1)
    print(f"classifier: accuracy {classifier.score(unseen, unseen_labels):.4f} on {len(unseen)} held-out real digits,")
    print(f"  at least {SURE:.0%} sure of {sure(unseen):.1%} of them and of {sure(unseen_others):.1%} of what is none")
    print(f"samples: at least {SURE:.0%} sure of {sure(samples):.1%} of {len(samples)} ", end="")
    print(f"(DDIM, {options.steps} steps, seeds from {options.seed})")
    print(f"  taken for 0 to 9: {' '.join(map(str, kinds[:NO_DIGIT]))}; for none: {kinds[NO_DIGIT]}")
    if options.sheet is not None:
        contact_sheet(drawn).save(options.sheet)
        print(f"  contact sheet: {options.sheet}")


if __name__ == "__main__":
    main()
