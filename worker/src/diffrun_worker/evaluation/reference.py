"""The moments of real images: from a file that others have made too, or of a data set, computed once.

A file is what pytorch-fid, TTUR and most papers' repositories hand around: an `.npz` with `mu` and `sigma`. What is
computed here is kept in the same format in the workspace's cache, under a digest of the data and of the features, so
that neither can change behind its back.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from diffrun_worker.data.images import Images
from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.evaluation.features import FeatureExtractor
from diffrun_worker.evaluation.statistics import FeatureStatistics, Moments
from diffrun_worker.sampling.batching import batches
from diffrun_worker.workspace import Workspace

FOLDER = "cache/statistics"

_FORMAT = 1  # part of the names in the cache

Progress = Callable[[int], None]
"""Called with how many real images have been looked at so far; may raise to stop."""


def load_statistics(path: Path, field: str) -> Moments:
    """μ and Σ of an `.npz`; `field` names the parameter that it came from. No pickle is ever read.

    Raises PermanentError `InvalidStatistics` where it is no such file, with the names of what it holds instead, and
    where mu and sigma do not belong together.
    """
    try:
        with path.open("rb") as opened:
            file = np.load(opened, allow_pickle=False)
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise _invalid(field, path, "holds a single array; an .npz with mu and sigma is needed")
            found = {name: file[name] for name in ("mu", "sigma", "count") if name in file.files}
            names = file.files
    except FileNotFoundError as error:
        raise _invalid(field, path, "is no file of the workspace; give the path of an .npz") from error
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise _invalid(field, path, "is no .npz of plain numbers; pickled objects are never read") from error
    if "mu" not in found or "sigma" not in found:
        raise _invalid(field, path, f"has no mu and sigma; it holds {', '.join(sorted(names)) or 'nothing'}")
    if not all(np.issubdtype(array.dtype, np.floating) for array in (found["mu"], found["sigma"])):
        kinds = f"{found['mu'].dtype} and {found['sigma'].dtype}"
        raise _invalid(field, path, f"has mu and sigma of {kinds}; floating-point numbers are needed")
    mean, covariance = (torch.from_numpy(found[name].astype(np.float64)) for name in ("mu", "sigma"))
    try:
        return Moments(mean, covariance, int(found["count"]) if "count" in found else None)
    except PermanentError as error:
        raise _invalid(field, path, f"does not hold statistics: {error.message}") from error


def require_dimension(moments: Moments, extractor: FeatureExtractor, field: str) -> None:
    """Raises PermanentError `InvalidStatistics` unless the moments may be of this extractor's features."""
    if moments.dimension != extractor.dimension:
        raise PermanentError(
            ErrorCode.INVALID_STATISTICS,
            f"{field}: mu has {moments.dimension} entries, and {extractor.name} gives {extractor.dimension} features; "
            "give statistics of the same features",
        )


def dataset_moments(
    images: Images,
    extractor: FeatureExtractor,
    workspace: Workspace,
    *,
    batch_size: int,
    progress: Progress = lambda _: None,
) -> Moments:
    """The moments of a data set's features, from the cache where they have been computed before.

    Raises PermanentError `InvalidStatistics` for fewer than 2 images, features that are not finite, or a damaged file
    in the cache; what `progress` raises.
    """
    name = f"{FOLDER}/{_digest(images, extractor)}.npz"
    path = workspace.path(name)
    if path.is_file():
        progress(len(images))
        return load_statistics(path, f"{name}, which may be deleted and is computed again then")
    moments = _compute(images, extractor, batch_size, progress)
    buffer = io.BytesIO()
    np.savez(buffer, mu=moments.mean.numpy(), sigma=moments.covariance.numpy(), count=np.array(moments.count))
    workspace.write(name, buffer.getvalue())
    return moments


def _compute(images: Images, extractor: FeatureExtractor, batch_size: int, progress: Progress) -> Moments:
    statistics: FeatureStatistics | None = None
    for rows in batches(range(len(images)), batch_size):
        features = extractor(images.pixels[rows.start : rows.stop])
        statistics = statistics or FeatureStatistics(extractor.dimension, features.device)
        statistics.update(features)
        progress(rows.stop)
    return (statistics or FeatureStatistics(extractor.dimension)).moments()


def _digest(images: Images, extractor: FeatureExtractor) -> str:
    return hashlib.sha256(f"{images.digest} {extractor.identity} {_FORMAT}".encode()).hexdigest()


def _invalid(field: str, path: Path, what: str) -> PermanentError:
    return PermanentError(ErrorCode.INVALID_STATISTICS, f"{field}: {path.name} {what}")
