"""The real digits, at the size that the demo's model draws."""

import torch
import torch.nn.functional as F  # noqa: N812 - the name everybody uses
from sklearn.datasets import load_digits

IMAGE_SIZE = 16


def load_digits_16() -> tuple[torch.Tensor, torch.Tensor]:
    """All 1,797 of scikit-learn's digits: images [N, 1, 16, 16] float32 in [-1, 1], labels [N] int64."""
    digits = load_digits()
    small = torch.tensor(digits.images, dtype=torch.float32)[:, None] / 16  # [N, 1, 8, 8] in [0, 1]
    images = F.interpolate(small, size=(IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False)
    return images * 2 - 1, torch.tensor(digits.target)
