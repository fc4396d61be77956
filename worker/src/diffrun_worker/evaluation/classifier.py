"""A small classifier, trained on the spot on real images: an independent eye on generated ones.

It serves three: `evaluate` compares images by its penultimate features where Inception's weights are not at hand,
the study of the digits asks how many samples it is sure of, and class-conditional inference asks whether the
wanted class came out.

A network that knows only the classes is sure of anything, noise included. So it learns one class more, "none of
them", from uniform noise and from real images whose parts are shuffled.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from torch import Generator, Tensor, nn

from diffrun_worker.data.images import Images, to_unit
from diffrun_worker.errors import invalid_params
from diffrun_worker.evaluation.negatives import negatives
from diffrun_worker.sampling.batching import batches

FEATURES = 64
"""Dimensions of the penultimate layer: few, so that a thousand images give Σ its full rank."""
RECIPE = 1
"""Changes whenever the same images and seed would give another network."""
HELD_OUT = 0.2
"""The share of the images that training does not see and accuracy is measured on."""

_STEPS, _BATCH, _LEARNING_RATE, _WEIGHT_DECAY = 500, 96, 4e-3, 0.01
_MAX_IMAGES = 20_000  # of a large data set: what so few steps can make use of
_MAX_SHIFT = 16  # images are moved by up to 1/16 of their side while training: generated ones are not centred either
_MAX_SIZE = 64  # pixels a side: larger images are looked at from further away
_CHUNK = 512  # images looked at together

Check = Callable[[], None]
"""Called between two steps; may raise to stop, or hold while the run is paused."""


class ClassifierNetwork(nn.Module):
    """Convolutions down to 4×4 or less, a mean over what is left, 64 features, one score a class and one for none."""

    def __init__(self, channels: int, image_size: int, classes: int) -> None:
        super().__init__()
        width, size = 16, min(image_size, _MAX_SIZE)
        layers: list[nn.Module] = [nn.AdaptiveAvgPool2d(size)] if size < image_size else []
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.GroupNorm(4, width), nn.ReLU()]
        for _ in range(max(1, math.ceil(math.log2(size / 4)))):
            wider = min(2 * width, 128)
            layers += [nn.Conv2d(width, wider, 3, stride=2, padding=1), nn.GroupNorm(4, wider), nn.ReLU()]
            width, size = wider, (size + 1) // 2
        self.body = nn.Sequential(*layers)
        self.features = nn.Linear(width * size * size, FEATURES)
        self.head = nn.Linear(FEATURES, classes + 1)

    def embed(self, images: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] to the penultimate features, [N, 64]."""
        return F.relu(self.features(self.body(images).flatten(1)))

    def forward(self, images: Tensor) -> Tensor:
        """[N, C, H, W] in [-1, 1] to scores before the softmax, [N, classes + 1]; the last is "none of them"."""
        scores: Tensor = self.head(self.embed(images))
        return scores


@dataclass(frozen=True)
class Classifier:
    """A trained network. All methods take uint8 images, [N, C, H, W], of the size and channels it has learnt."""

    network: ClassifierNetwork
    classes: tuple[str, ...]
    """Names of the classes, by index; index len(classes) is "none of them"."""
    accuracy: float
    """The share of the held-out real images that it gives their own class, in [0, 1]."""
    held_out: int
    """How many images that was measured on."""
    shape: tuple[int, int, int]
    """Of one image: channels, height, width."""

    def embed(self, images: Tensor) -> Tensor:
        """Penultimate features, [N, 64] float32 in [-1, 1]."""
        return torch.cat([self.network.embed(part) for part in self._parts(images)])

    def probabilities(self, images: Tensor) -> Tensor:
        """[N, classes + 1], rows summing to 1; the last column is "none of them"."""
        return torch.cat([self.network(part).softmax(dim=1) for part in self._parts(images)])

    def predict(self, images: Tensor) -> Tensor:
        """The likeliest class, [N] int64; len(classes) for none of them."""
        return self.probabilities(images).argmax(dim=1)

    def sure_share(self, images: Tensor, threshold: float = 0.9) -> float:
        """The share of images that some class has a probability of `threshold` or more for, in [0, 1]."""
        best = self.probabilities(images)[:, :-1].amax(dim=1)
        return float((best >= threshold).double().mean())

    def _parts(self, images: Tensor) -> list[Tensor]:
        if images.ndim != 4 or tuple(images.shape[1:]) != self.shape or images.dtype != torch.uint8 or not len(images):
            raise invalid_params(
                f"images: the classifier has learnt uint8 images of shape {list(self.shape)} and was given "
                f"{images.dtype} {list(images.shape)}; set reference.data.imageSize to the images' size"
            )
        device = next(self.network.parameters()).device
        return [to_unit(images[rows.start : rows.stop].to(device)) for rows in batches(range(len(images)), _CHUNK)]


def train_classifier(images: Images, *, seed: int = 0, device: str = "cpu", check: Check = lambda: None) -> Classifier:
    """Trains on four fifths of the images and measures the accuracy on the rest, which the same seed repeats.

    About five seconds for scikit-learn's digits on one CPU core. Raises PermanentError `InvalidParams` for images
    without classes, of a single class, or so few that a class has none to hold out.
    """
    labels = _labels(images)
    generator = Generator().manual_seed(seed)
    seen, unseen = _split(labels, generator)
    with torch.random.fork_rng(devices=[]):  # nobody else's random numbers change
        torch.manual_seed(seed)
        network = ClassifierNetwork(images.shape[0], images.shape[1], len(images.classes)).to(device)
    _fit(network, images.pixels[seen], labels[seen], generator, check)
    network.eval().requires_grad_(False)
    trained = Classifier(network, images.classes, 0.0, len(unseen), images.shape)
    right = trained.predict(images.pixels[unseen]).cpu() == labels[unseen]
    return Classifier(network, images.classes, float(right.double().mean()), len(unseen), images.shape)


def _labels(images: Images) -> Tensor:
    labels = images.require_labels().cpu()
    counts = torch.bincount(labels, minlength=len(images.classes))
    if len(images.classes) < 2 or int(counts.min()) < 2:
        few = ", ".join(name for name, count in zip(images.classes, counts.tolist(), strict=True) if count < 2)
        raise invalid_params(
            f"features: a classifier needs two classes or more with two images or more each; "
            f"{images.name} has {len(images.classes)} classes{', too few of ' + few if few else ''}"
        )
    return labels


def _split(labels: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
    """Indexes of the images to learn from and of those held out, a fifth of every class and one at least."""
    seen, unseen = [], []
    for label in range(int(labels.max()) + 1):
        members = torch.nonzero(labels == label).flatten()
        members = members[torch.randperm(len(members), generator=generator)]
        cut = max(1, int(HELD_OUT * len(members)))
        unseen.append(members[:cut])
        seen.append(members[cut:])
    chosen = torch.cat(seen)
    chosen = chosen[torch.randperm(len(chosen), generator=generator)[:_MAX_IMAGES]]
    return chosen, torch.cat(unseen)


def _fit(network: ClassifierNetwork, pixels: Tensor, labels: Tensor, generator: Generator, check: Check) -> None:
    """A one-cycle run of AdamW; a quarter of each batch is "none of them"."""
    device = next(network.parameters()).device
    none = network.head.out_features - 1
    optimizer = torch.optim.AdamW(network.parameters(), lr=_LEARNING_RATE, weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _LEARNING_RATE, total_steps=_STEPS)
    for _ in range(_STEPS):
        check()
        rows = torch.randint(len(pixels), (_BATCH,), generator=generator)
        others = torch.randint(len(pixels), (_BATCH // 4,), generator=generator)
        batch = torch.cat([_shift(pixels[rows], generator), negatives(pixels[others], generator)])
        targets = torch.cat([labels[rows], torch.full((len(others),), none)])
        loss = F.cross_entropy(network(to_unit(batch.to(device))), targets.to(device))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()


def _shift(pixels: Tensor, generator: Generator) -> Tensor:
    """Moves a batch by a few pixels, all its images alike: [N, C, H, W]; what leaves at one side is cut off."""
    height, width = pixels.shape[2:]
    most = min(height, width) // _MAX_SHIFT
    padded = F.pad(pixels.float(), (most, most, most, most), mode="replicate").to(torch.uint8)
    down, right = torch.randint(2 * most + 1, (2,), generator=generator).tolist()
    return padded[:, :, down : down + height, right : right + width]
