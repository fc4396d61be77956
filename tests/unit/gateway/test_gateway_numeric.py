"""Smoothing, thinning and figures, against closed forms and the plain definitions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffrun_gateway.numeric import ema, extremes, figures, time_weighted_ema

FLOATS = st.lists(st.floats(-1e6, 1e6) | st.just(math.nan) | st.just(math.inf), min_size=1, max_size=60)


def test_an_average_has_no_bias_towards_zero() -> None:
    assert ema(np.full(5, 3.0), 0.9) == pytest.approx([3.0] * 5)


def test_an_average_of_two_is_the_debiased_sum() -> None:
    s1, s2 = 0.1 * 1.0, 0.9 * 0.1 * 1.0 + 0.1 * 2.0
    assert ema(np.array([1.0, 2.0]), 0.9) == pytest.approx([s1 / 0.1, s2 / (1 - 0.9**2)])


@given(values=FLOATS, weight=st.floats(0, 0.99))
def test_what_is_not_finite_is_skipped_and_marked(values: list[float], weight: float) -> None:
    array = np.array(values)
    finite = np.isfinite(array)
    smoothed = ema(array, weight)
    assert np.isnan(smoothed[~finite]).all()
    assert smoothed[finite] == pytest.approx(ema(array[finite], weight))


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40), weight=st.floats(0.01, 0.99))
def test_on_even_spacing_time_does_not_matter(values: list[float], weight: float) -> None:
    x = np.arange(len(values)) * 7.0
    assert time_weighted_ema(np.array(values), x, weight) == pytest.approx(ema(np.array(values), weight), abs=1e-6)


def test_after_a_long_pause_the_past_counts_less() -> None:
    values = np.array([0.0, 0.0, 1.0])
    near = time_weighted_ema(values, np.array([0.0, 1.0, 2.0]), 0.9)[-1]
    far = time_weighted_ema(values, np.array([0.0, 1.0, 100.0]), 0.9)[-1]
    assert far > near


def test_points_at_one_place_count_alike() -> None:
    assert time_weighted_ema(np.array([1.0, 3.0]), np.zeros(2), 0.9) == pytest.approx([1.0, 2.0])


@given(
    values=st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=300),
    limit=st.integers(4, 40),
)
def test_thinning_keeps_ends_and_extremes_in_order(values: list[float], limit: int) -> None:
    array = np.array(values)
    chosen = extremes(np.arange(len(values), dtype=float), array, limit)
    assert (np.diff(chosen) > 0).all()
    assert len(chosen) <= max(limit, 4)
    assert chosen[0] == 0
    assert chosen[-1] == len(values) - 1
    if np.isfinite(array).any():
        assert np.nanmin(array[chosen]) == np.nanmin(array)
        assert np.nanmax(array[chosen]) == np.nanmax(array)


def test_a_single_spike_among_many_points_is_kept() -> None:
    values = np.zeros(100_000)
    values[77_777] = 1.0
    assert 77_777 in extremes(np.arange(100_000.0), values, 2000)


def test_points_at_one_x_are_thinned_by_their_order() -> None:
    assert len(extremes(np.zeros(1000), np.arange(1000.0), 10)) <= 10


@given(values=FLOATS)
def test_figures_are_exact(values: list[float]) -> None:
    found = figures(np.array(values))
    finite = [value for value in values if math.isfinite(value)]
    assert (found.count, found.non_finite) == (len(values), len(values) - len(finite))
    assert found.total == pytest.approx(math.fsum(finite), abs=1e-6)
    if finite:
        assert found.smallest == values.index(min(finite))
        assert found.largest == values.index(max(finite))
    else:
        assert found.smallest is None
