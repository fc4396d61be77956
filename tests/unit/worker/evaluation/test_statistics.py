"""Streaming moments against NumPy's, which hold all features at once."""

import numpy as np
import pytest
import torch

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation import statistics
from diffrun_worker.evaluation.statistics import FeatureStatistics, Moments, moments_of


def features(count: int = 700, dimension: int = 12, *, mean: float = 0.0, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)
    return torch.randn(count, dimension, generator=generator, dtype=torch.float64) @ mixing + mean


def assert_moments_of(found: Moments, all_features: torch.Tensor, tolerance: float = 1e-12) -> None:
    expected = all_features.double().numpy()
    np.testing.assert_allclose(found.mean, expected.mean(axis=0), rtol=tolerance, atol=tolerance)
    covariance = np.cov(expected, rowvar=False)
    np.testing.assert_allclose(found.covariance, covariance, rtol=tolerance, atol=tolerance * np.abs(covariance).max())
    assert found.count == len(expected)


@pytest.mark.parametrize("batch", [1, 7, 100, 700])
def test_the_size_of_batches_does_not_matter(batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "BLOCK_ROWS", 64)
    monkeypatch.setattr(statistics, "_PANEL", 5)
    given, gathered = features(), FeatureStatistics(12)
    for part in given.split(batch):
        gathered.update(part)
    assert_moments_of(gathered.moments(), given)


def test_a_mean_of_a_million_deviations_costs_few_digits() -> None:
    given = features(3000, 5, mean=1e6)
    # E[x²] − μ² would be left with 16 − 12 digits; centring leaves what float64 holds of the data itself.
    assert_moments_of(moments_of(given), given, tolerance=1e-9)


def test_blocks_whose_means_drift_far_apart_are_joined_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "BLOCK_ROWS", 100)
    given = features(1000, 4) + torch.arange(1000, dtype=torch.float64)[:, None] * 1000
    assert_moments_of(moments_of(given), given, tolerance=1e-11)


def test_features_of_float32_are_summed_in_float64() -> None:
    given = (features(5000, 3) + 300).float()
    assert_moments_of(moments_of(given), given)


def test_shards_merge_into_the_moments_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "BLOCK_ROWS", 64)
    monkeypatch.setattr(statistics, "_PANEL", 5)
    given, whole = features(), FeatureStatistics(12)
    for part in given.split([1, 0, 300, 399]):
        shard = FeatureStatistics(12)
        shard.update(part)
        whole.merge(shard)
    assert_moments_of(whole.moments(), given)


def test_moments_may_be_read_between_two_updates() -> None:
    given, gathered = features(), FeatureStatistics(12)
    gathered.update(given[:100])
    early = gathered.moments()
    gathered.update(given[100:])
    assert_moments_of(early, given[:100])
    assert_moments_of(gathered.moments(), given)


def test_as_many_images_as_dimensions_cannot_give_full_rank() -> None:
    assert moments_of(features(12)).rank_deficient
    assert not moments_of(features(13)).rank_deficient
    assert not Moments(torch.zeros(3), torch.eye(3)).rank_deficient, "a file does not say how many images"


def _with(value: float) -> torch.Tensor:
    given = features()
    given[5, 3] = value
    return given


@pytest.mark.parametrize(
    ("given", "names"),
    [
        pytest.param(features(1), "2 images or more, and there are 1", id="one image"),
        pytest.param(features(0), "there are 0", id="no image"),
        pytest.param(_with(float("nan")), "NaN", id="NaN"),
        pytest.param(_with(float("inf")), "NaN or infinity", id="infinity"),
        pytest.param(torch.zeros(3, 2, 2), r"\[3, 2, 2\]", id="not rows"),
    ],
)
def test_features_without_moments_are_refused(given: torch.Tensor, names: str) -> None:
    with pytest.raises(PermanentError, match=names) as caught:
        moments_of(given)
    assert caught.value.code == ErrorCode.INVALID_STATISTICS


@pytest.mark.parametrize(
    ("mean", "covariance", "names"),
    [
        pytest.param(torch.zeros(3), torch.zeros(3, 4), r"sigma \[3, 4\]", id="not square"),
        pytest.param(torch.zeros(2), torch.zeros(3, 3), r"mu is \[2\]", id="of two sizes"),
        pytest.param(torch.zeros(1, 3), torch.zeros(3, 3), r"\[1, 3\]", id="mean of two dimensions"),
        pytest.param(torch.zeros(3), torch.full((3, 3), float("nan")), "sigma holds NaN", id="NaN"),
    ],
)
def test_moments_that_do_not_fit_together_are_refused(mean: torch.Tensor, covariance: torch.Tensor, names: str) -> None:
    with pytest.raises(PermanentError, match=names):
        Moments(mean, covariance)


def test_features_of_two_dimensions_are_not_joined() -> None:
    with pytest.raises(PermanentError, match="3 and of 12 dimensions"):
        FeatureStatistics(12).merge(FeatureStatistics(3))
    with pytest.raises(PermanentError, match=r"\[N, 12\] is needed"):
        FeatureStatistics(12).update(torch.zeros(2, 3))
