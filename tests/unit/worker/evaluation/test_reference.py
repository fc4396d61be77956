"""Statistics of real images: from files, and from data sets through the cache."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.reference import dataset_moments, load_statistics, require_dimension
from diffrun_worker.evaluation.statistics import Moments, moments_of
from diffrun_worker.workspace import Workspace


class Brightness:
    """Features whose values are known: mean and maximum of each image."""

    name = "brightness"
    metric = "eval/brightness"
    dimension = 2

    def __init__(self, identity: str = "brightness-1") -> None:
        self.identity = identity
        self.looked_at = 0

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.looked_at += len(images)
        flat = images.flatten(1).float()
        return torch.stack([flat.mean(dim=1), flat.amax(dim=1)], dim=1)


def write(folder: Path, **arrays: Any) -> Path:
    path = folder / "stats.npz"
    np.savez(path, **arrays)
    return path


def test_mu_and_sigma_of_a_file_are_taken_as_they_are(tmp_path: Path) -> None:
    mean, covariance = np.arange(3, dtype=np.float32), np.diag([1.0, 2.0, 3.0])
    found = load_statistics(write(tmp_path, mu=mean, sigma=covariance), "reference.statistics")
    assert found.mean.dtype == found.covariance.dtype == torch.float64
    np.testing.assert_array_equal(found.mean, mean)
    np.testing.assert_array_equal(found.covariance, covariance)
    assert found.count is None


@pytest.mark.parametrize(
    ("arrays", "names"),
    [
        pytest.param({"mean": np.zeros(3), "cov": np.eye(3)}, "has no mu and sigma; it holds cov, mean", id="others"),
        pytest.param({"mu": np.zeros(3)}, "it holds mu", id="no sigma"),
        pytest.param({}, "it holds nothing", id="empty"),
        pytest.param({"mu": np.zeros(3), "sigma": np.eye(4)}, r"mu is \[3\] and sigma \[4, 4\]", id="two sizes"),
        pytest.param({"mu": np.zeros((1, 3)), "sigma": np.eye(3)}, r"mu is \[1, 3\]", id="a matrix as mu"),
        pytest.param({"mu": np.array([1, 2]), "sigma": np.eye(2)}, "int64", id="integers"),
        pytest.param({"mu": np.array([np.nan, 0]), "sigma": np.eye(2)}, "mu holds NaN", id="NaN"),
        pytest.param({"mu": np.array([{}]), "sigma": np.eye(1)}, "pickled objects are never read", id="a pickle"),
    ],
)
def test_what_is_no_statistics_is_refused_with_what_it_is(tmp_path: Path, arrays: dict[str, Any], names: str) -> None:
    with pytest.raises(PermanentError, match=names) as caught:
        load_statistics(write(tmp_path, **arrays), "reference.statistics")
    assert caught.value.code == ErrorCode.INVALID_STATISTICS
    assert caught.value.message.startswith("reference.statistics: stats.npz")


def _npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "names"),
    [
        pytest.param(_npy(), "a single array", id="an npy"),
        pytest.param(b"hello", "no .npz", id="text"),
        pytest.param(b"", "no .npz", id="empty"),
        pytest.param(b"PK\x03\x04 cut off", "no .npz", id="truncated"),
        pytest.param(None, "is no file", id="nothing"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, data: bytes | None, names: str) -> None:
    path = tmp_path / "stats.npz"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(PermanentError, match=names):
        load_statistics(path, "reference.statistics")


def test_statistics_of_other_features_are_refused() -> None:
    with pytest.raises(PermanentError, match="reference: mu has 3 entries, and brightness gives 2"):
        require_dimension(Moments(torch.zeros(3), torch.eye(3)), Brightness(), "reference")


def test_a_data_set_is_looked_at_once_and_its_statistics_come_back_to_the_bit(
    digits: Images, workspace: Workspace
) -> None:
    extractor, told = Brightness(), list[int]()
    first = dataset_moments(digits, extractor, workspace, batch_size=500, progress=told.append)
    again = dataset_moments(digits, extractor, workspace, batch_size=7, progress=told.append)
    expected = moments_of(Brightness()(digits.pixels))
    assert extractor.looked_at == len(digits)
    assert told == [500, 1000, len(digits), len(digits)]
    for found in (first, again):
        assert torch.allclose(found.mean, expected.mean, rtol=1e-12)
        assert torch.allclose(found.covariance, expected.covariance, rtol=1e-12)
        assert found.count == len(digits)
    assert torch.equal(first.covariance, again.covariance)


def test_other_data_and_other_features_are_computed_anew(digits: Images, workspace: Workspace) -> None:
    extractor, other = Brightness(), Brightness("brightness-2")
    dataset_moments(digits, extractor, workspace, batch_size=500)
    dataset_moments(replace(digits, digest="1" * 64), extractor, workspace, batch_size=500)
    dataset_moments(digits, other, workspace, batch_size=500)
    assert extractor.looked_at == 2 * len(digits)
    assert other.looked_at == len(digits)
    assert len(list((workspace.root / "cache" / "statistics").iterdir())) == 3


def test_a_damaged_file_in_the_cache_is_named_with_its_remedy(digits: Images, workspace: Workspace) -> None:
    dataset_moments(digits, Brightness(), workspace, batch_size=500)
    (path,) = (workspace.root / "cache" / "statistics").iterdir()
    path.write_bytes(b"PK")
    with pytest.raises(PermanentError, match=f"cache/statistics/{path.name}, which may be deleted"):
        dataset_moments(digits, Brightness(), workspace, batch_size=500)


def test_one_image_has_no_statistics(digits: Images, workspace: Workspace) -> None:
    one = replace(digits, pixels=digits.pixels[:1], labels=None)
    with pytest.raises(PermanentError, match="2 images or more"):
        dataset_moments(one, Brightness(), workspace, batch_size=4)
