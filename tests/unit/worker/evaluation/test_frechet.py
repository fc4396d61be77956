"""The distance against closed forms, and against the two packages that everybody compares with."""

import warnings

import numpy as np
import pytest
import torch
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric

from diffrun_worker.errors import PermanentError
from diffrun_worker.evaluation import frechet
from diffrun_worker.evaluation.frechet import FrechetReference, frechet_distance
from diffrun_worker.evaluation.statistics import Moments, moments_of


def features(count: int, dimension: int, seed: int, *, spread: float = 1.0, shift: float = 0.0) -> torch.Tensor:
    """As Inception's look: ≥ 0, correlated, of very different scales."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dimension, dimension, generator=torch.Generator().manual_seed(99), dtype=torch.float64)
    scales = torch.logspace(-2, 0.5, dimension, dtype=torch.float64)
    raw = torch.randn(count, dimension, generator=generator, dtype=torch.float64) @ mixing * scales * spread + shift
    return raw.relu().float()


def by_pytorch_fid(first: torch.Tensor, second: torch.Tensor) -> float:
    def moments(given: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        rows = given.double().numpy()
        return rows.mean(axis=0), np.cov(rows, rowvar=False)

    with warnings.catch_warnings():
        # SciPy deprecates sqrtm's argument `disp`, which pytorch-fid still gives.
        warnings.filterwarnings("ignore", message="The `disp` argument", category=DeprecationWarning)
        return float(calculate_frechet_distance(*moments(first), *moments(second)))


def by_torch_fidelity(first: torch.Tensor, second: torch.Tensor) -> float:
    pair = [fid_features_to_statistics(given.double()) for given in (first, second)]
    return float(fid_statistics_to_metric(*pair, verbose=False)[KEY_METRIC_FID])


@pytest.mark.parametrize("peer", [by_pytorch_fid, by_torch_fidelity])
@pytest.mark.parametrize(
    ("count", "dimension", "spread", "shift"),
    [
        pytest.param(400, 48, 1.0, 0.0, id="alike"),
        pytest.param(400, 48, 1.6, 0.3, id="apart"),
        pytest.param(1000, 3, 0.5, 2.0, id="few dimensions"),
    ],
)
def test_the_same_features_give_the_distance_that_others_give(
    peer: object, count: int, dimension: int, spread: float, shift: float
) -> None:
    first, second = features(count, dimension, 0), features(count + 100, dimension, 1, spread=spread, shift=shift)
    assert callable(peer)
    assert frechet_distance(moments_of(first), moments_of(second)) == pytest.approx(peer(first, second), rel=1e-4)


def test_fewer_images_than_dimensions_still_give_the_distance_that_torch_fidelity_gives() -> None:
    first, second = features(30, 64, 0), features(40, 64, 1, spread=1.5)
    assert frechet_distance(moments_of(first), moments_of(second)) == pytest.approx(
        by_torch_fidelity(first, second), rel=1e-4
    )


def test_gaussians_with_commuting_covariances_follow_the_closed_form() -> None:
    # ‖μ₁ − μ₂‖² + Σ (√λ₁ − √λ₂)² where both share their eigenvectors
    generator = torch.Generator().manual_seed(0)
    vectors, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator, dtype=torch.float64))
    first = torch.tensor([9.0, 4.0, 1.0, 0.25, 1e-8, 0.0], dtype=torch.float64)
    second = torch.tensor([1.0, 16.0, 0.0, 4.0, 1e-2, 0.0], dtype=torch.float64)
    shift = torch.tensor([3.0, 0, 0, 4.0, 0, 0], dtype=torch.float64)

    def gaussian(values: torch.Tensor, mean: torch.Tensor) -> Moments:
        return Moments(mean, vectors @ torch.diag(values) @ vectors.T)

    expected = 25.0 + float(((first.sqrt() - second.sqrt()) ** 2).sum())
    found = frechet_distance(gaussian(first, torch.zeros_like(shift)), gaussian(second, shift))
    assert found == pytest.approx(expected, rel=1e-9)


def test_two_by_two_covariances_that_do_not_commute_follow_the_closed_form() -> None:
    # For 2×2 matrices Tr (AB)^½ = √(Tr AB + 2 √det AB).
    first = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
    second = torch.tensor([[1.0, -0.7], [-0.7, 3.0]], dtype=torch.float64)
    product = first @ second
    mixed = float((product.trace() + 2 * torch.linalg.det(product).sqrt()).sqrt())
    zero = torch.zeros(2, dtype=torch.float64)
    found = frechet_distance(Moments(zero, first), Moments(zero, second))
    assert found == pytest.approx(float(first.trace() + second.trace()) - 2 * mixed, rel=1e-12)


@pytest.mark.parametrize(("count", "dimension"), [(500, 32), (20, 64)], ids=["full rank", "deficient"])
def test_a_set_has_no_distance_to_itself(count: int, dimension: int) -> None:
    moments = moments_of(features(count, dimension, 0))
    assert 0 <= frechet_distance(moments, moments) < 1e-9 * float(moments.covariance.trace())


@pytest.mark.parametrize(("count", "dimension"), [(500, 32), (20, 64)], ids=["full rank", "deficient"])
def test_the_distance_is_the_same_both_ways(count: int, dimension: int) -> None:
    first, second = moments_of(features(count, dimension, 0)), moments_of(features(count + 9, dimension, 1, spread=2))
    assert frechet_distance(first, second) == pytest.approx(frechet_distance(second, first), rel=1e-6)


def test_a_covariance_of_zeros_leaves_the_means_and_the_other_trace() -> None:
    zero = torch.zeros(3, dtype=torch.float64)
    point = Moments(zero, torch.zeros(3, 3, dtype=torch.float64))
    assert frechet_distance(point, Moments(zero + 2, torch.eye(3, dtype=torch.float64))) == pytest.approx(12 + 3)


def test_a_reference_takes_its_root_once(monkeypatch: pytest.MonkeyPatch) -> None:
    solved: list[str] = []
    for name in ("cholesky_ex", "eigh"):
        solve = getattr(torch.linalg, name)
        monkeypatch.setattr(
            frechet.torch.linalg, name, lambda matrix, name=name, solve=solve: (solved.append(name), solve(matrix))[1]
        )
    for count, expected in ((100, ["cholesky_ex"]), (6, ["eigh"])):
        solved.clear()
        reference = FrechetReference(moments_of(features(count, 8, 0)))
        for seed in (1, 2, 3):
            reference.distance(moments_of(features(100, 8, seed)))
        assert solved == expected


def test_both_ways_to_the_root_give_the_same_distance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frechet, "_PANEL", 7)
    first, second = moments_of(features(300, 40, 0)), moments_of(features(300, 40, 1, spread=1.5))
    by_cholesky = frechet_distance(first, second)
    monkeypatch.setattr(frechet.torch.linalg, "cholesky_ex", lambda matrix: (matrix, torch.tensor(1)))
    assert frechet_distance(first, second) == pytest.approx(by_cholesky, rel=1e-10)


def test_a_singular_covariance_of_unknown_count_takes_the_way_that_bears_it() -> None:
    known = moments_of(features(30, 64, 0))
    unknown = Moments(known.mean, known.covariance)
    other = moments_of(features(200, 64, 1, spread=1.5))
    assert frechet_distance(unknown, other) == pytest.approx(frechet_distance(known, other), rel=1e-9)
    assert frechet_distance(unknown, unknown) < 1e-9 * float(known.covariance.trace())


def test_features_of_other_dimensions_have_no_distance() -> None:
    with pytest.raises(PermanentError, match="reference: its features have 8 dimensions, those of the generated"):
        frechet_distance(moments_of(features(50, 8, 0)), moments_of(features(50, 9, 0)))
