"""Classifier-free guidance (Ho & Salimans 2022, eq. 6, with s = 1 + w)."""

from torch import Tensor

from diffrun_worker.inference.prediction import Predictions


def guidance_classes(scale: float, class_idx: int, null_class: int) -> tuple[int, ...]:
    """Whose predictions a scale needs: at 0 the class's own falls out, at 1 the unconditional one."""
    if scale == 0:
        return (null_class,)
    if scale == 1:
        return (class_idx,)
    return (null_class, class_idx)


def guide(predictions: Predictions, scale: float, class_idx: int, null_class: int) -> Tensor:
    """ε̃ = ε∅ + s (ε_c − ε∅) for every s ≥ 0, [N, C, H, W]."""
    if scale == 0:
        return predictions[null_class]
    if scale == 1:
        return predictions[class_idx]
    unconditional = predictions[null_class]
    return unconditional + scale * (predictions[class_idx] - unconditional)
