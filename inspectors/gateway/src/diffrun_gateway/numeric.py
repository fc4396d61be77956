"""Smoothing, thinning and figures of a series: pure functions over numpy arrays.

All of them take the whole series. Smoothing comes before thinning, so that a smoothed line does not depend on
how many points are shown.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]


def ema(values: Floats, weight: float) -> Floats:
    """Exponential moving average without bias towards 0: [n] -> [n].

    s_i = sum_k weight^k v_{i-k} / sum_k weight^k, over the finite values; nan stands in the place of the others.
    `weight` is in [0, 1).
    """
    finite = np.isfinite(values)
    return _scattered(finite, _recurrence(values[finite], np.full(int(finite.sum()), weight)))


def time_weighted_ema(values: Floats, x: Floats, weight: float) -> Floats:
    """The same where points are unevenly spaced: the weight of the past fades with the distance on the x axis.

    What a step away has the weight w becomes w^(dx / mean dx): on even spacing this is `ema`. `x` [n] must not
    decrease; points at the same place count alike.
    """
    finite = np.isfinite(values)
    x = x[finite]
    span = float(x[-1] - x[0]) if len(x) > 1 else 0.0
    mean = span / (len(x) - 1) if span > 0 else 1.0
    with np.errstate(under="ignore"):
        weights = np.power(weight, np.diff(x, prepend=x[:1]) / mean)
    return _scattered(finite, _recurrence(values[finite], weights))


def _recurrence(values: Floats, weights: Floats) -> list[float]:
    """s = w s + v and n = w n + 1, in order; their quotient."""
    total = norm = 0.0
    out = []
    for value, weight in zip(values.tolist(), weights.tolist(), strict=True):
        total = weight * total + value
        norm = weight * norm + 1.0
        out.append(total / norm)
    return out


def _scattered(finite: NDArray[np.bool_], smoothed: list[float]) -> Floats:
    out = np.full(len(finite), np.nan)
    out[finite] = smoothed
    return out


def extremes(x: Floats, values: Floats, limit: int) -> Indices:
    """Which points to show of more than `limit`: [n] -> at most `limit` ascending indices.

    The x axis is cut into equal buckets, each gives its smallest and its largest finite value; the first and the
    last point are always there. A bucket without a finite value gives its first point. `limit` is at least 4.
    """
    n = len(values)
    if n <= limit:
        return np.arange(n)
    buckets = (limit - 2) // 2
    span = x[-1] - x[0]
    if span > 0:
        bucket = np.minimum(((x - x[0]) * (buckets / span)).astype(np.int64), buckets - 1)
    else:
        bucket = np.arange(n) * buckets // n
    finite = np.isfinite(values)
    starts = np.flatnonzero(np.diff(bucket, prepend=-1))
    lowest = _first_equal(np.where(finite, values, np.inf), np.minimum.reduceat, starts, n)
    highest = _first_equal(np.where(finite, values, -np.inf), np.maximum.reduceat, starts, n)
    return np.unique(np.concatenate(([0, n - 1], lowest, highest)))


def _first_equal(values: Floats, reduce: np.ufunc | object, starts: Indices, n: int) -> Indices:
    """The first index in each bucket that has the bucket's extreme."""
    lengths = np.diff(np.append(starts, n))
    best = np.repeat(reduce(values, starts), lengths)  # type: ignore[operator]
    hits = np.flatnonzero(values == best)
    owner = np.repeat(np.arange(len(starts)), lengths)[hits]
    _, first = np.unique(owner, return_index=True)
    return np.asarray(hits[first], dtype=np.int64)


@dataclass(frozen=True)
class Figures:
    """A series in figures; indices are into its arrays."""

    count: int
    non_finite: int
    total: float
    """The sum of the finite values."""
    smallest: int | None
    """The earliest of the smallest finite values."""
    largest: int | None
    """The earliest of the largest finite values."""


def figures(values: Floats) -> Figures:
    """Exact over all of `values` [n]."""
    finite = np.isfinite(values)
    kept = int(finite.sum())
    if kept == 0:
        return Figures(len(values), len(values), 0.0, None, None)
    return Figures(
        count=len(values),
        non_finite=len(values) - kept,
        total=float(values[finite].sum(dtype=np.longdouble)),
        smallest=int(np.argmin(np.where(finite, values, np.inf))),
        largest=int(np.argmax(np.where(finite, values, -np.inf))),
    )
