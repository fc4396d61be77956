"""Inception's weights: from a file of the workspace, or fetched once into its cache, and never loaded unchecked.

The weights are a file of `torch.save`. It is read into memory, the SHA-256 of exactly these bytes is held against
the user's, and only then are they unpickled, with torch's loader that makes nothing but tensors.
"""

import hashlib
import io
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx2
import torch
from torch import Tensor

from diffrun_contracts.params.evaluate import InceptionWeights
from diffrun_worker.errors import ErrorCode, PermanentError, TemporaryError
from diffrun_worker.workspace import Workspace

MAX_BYTES = 512 * 1024 * 1024
"""More than five times what Inception-v3's weights take."""
CACHE = "cache/inception"
TIMEOUT = 30.0
"""Seconds without a byte after which the server counts as gone."""

_CHUNK = 1024 * 1024

Check = Callable[[], None]


def load_weights(
    weights: InceptionWeights, workspace: Workspace, check: Check, transport: httpx2.BaseTransport | None = None
) -> Mapping[str, Tensor]:
    """The tensors by name, on the CPU. `check` is called between chunks and may raise to stop.

    Raises PermanentError: `FeatureWeightsNotFound`, `ChecksumMismatch`, `InvalidFeatureWeights`; TemporaryError
    `FeatureWeightsUnavailable` where the server is gone.
    """
    data = _from_url(weights, workspace, check, transport) if weights.url else _from_file(weights, workspace)
    try:
        content: Any = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
        raise invalid(f"torch cannot read them as plain tensors ({type(error).__name__})") from error
    if not isinstance(content, dict) or not all(isinstance(value, Tensor) for value in content.values()):
        raise invalid(f"they hold a {type(content).__name__} that is no plain state dictionary")
    return content


def _from_file(weights: InceptionWeights, workspace: Workspace) -> bytes:
    assert weights.path is not None  # noqa: S101 - the model allows exactly one of path and url
    path = workspace.path(weights.path)
    if not path.is_file():
        raise PermanentError(
            ErrorCode.FEATURE_WEIGHTS_NOT_FOUND,
            f"weights.path: {weights.path} is no file of the workspace; put torch-fidelity's "
            "weights-inception-2015-12-05-6726825d.pth there, or give a url",
        )
    if path.stat().st_size > MAX_BYTES:
        raise _too_large(f"weights.path: {weights.path}")
    data = path.read_bytes()
    _require_digest(data, weights, f"weights.path: {weights.path}")
    return data


def _from_url(
    weights: InceptionWeights, workspace: Workspace, check: Check, transport: httpx2.BaseTransport | None
) -> bytes:
    cached = f"{CACHE}/{weights.sha256}.pth"
    path = workspace.path(cached)
    if path.is_file() and path.stat().st_size <= MAX_BYTES:
        data = path.read_bytes()
        _require_digest(data, weights, f"weights.url: the copy in {cached}, which may be deleted,")
        return data
    data = _fetch(str(weights.url), check, transport)
    _require_digest(data, weights, f"weights.url: what {weights.url} gave")
    workspace.write(cached, data)
    return data


def _fetch(url: str, check: Check, transport: httpx2.BaseTransport | None) -> bytes:
    """The body, at most `MAX_BYTES` of it."""
    received = io.BytesIO()
    with (
        _translated(url),
        httpx2.Client(timeout=TIMEOUT, follow_redirects=True, transport=transport) as client,
        client.stream("GET", url) as response,
    ):
        response.raise_for_status()
        for chunk in response.iter_bytes(_CHUNK):
            if received.tell() + len(chunk) > MAX_BYTES:
                raise _too_large(f"weights.url: what {url} gives")
            received.write(chunk)
            check()
    return received.getvalue()


@contextmanager
def _translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx2.HTTPStatusError as error:
        status = error.response.status_code
        if status in (408, 429) or status >= 500:
            raise _unavailable(url, f"answers HTTP {status}") from error
        raise PermanentError(
            ErrorCode.FEATURE_WEIGHTS_NOT_FOUND,
            f"weights.url: {url} answers HTTP {status}; correct it, or put the file into the workspace and give path",
        ) from error
    except httpx2.InvalidURL as error:
        raise PermanentError(
            ErrorCode.FEATURE_WEIGHTS_NOT_FOUND, f"weights.url: {url} is no URL; correct it"
        ) from error
    except httpx2.HTTPError as error:
        raise _unavailable(url, f"cannot be read ({type(error).__name__})") from error


def _require_digest(data: bytes, weights: InceptionWeights, what: str) -> None:
    digest = hashlib.sha256(data).hexdigest()
    if digest != weights.sha256:
        raise PermanentError(
            ErrorCode.CHECKSUM_MISMATCH,
            f"{what} has SHA-256 {digest}, and weights.sha256 is {weights.sha256}; nothing was loaded: "
            "correct whichever is wrong",
        )


def invalid(what: str) -> PermanentError:
    """The error of weights that are what the checksum says and still no Inception-v3."""
    return PermanentError(
        ErrorCode.INVALID_FEATURE_WEIGHTS,
        f"weights: {what}; give torch-fidelity's Inception-v3, weights-inception-2015-12-05-6726825d.pth",
    )


def _unavailable(url: str, what: str) -> TemporaryError:
    return TemporaryError(
        ErrorCode.FEATURE_WEIGHTS_UNAVAILABLE,
        f"weights.url: {url} {what}; where pods may not reach it, put the file into the workspace and give path",
    )


def _too_large(what: str) -> PermanentError:
    return PermanentError(
        ErrorCode.INVALID_FEATURE_WEIGHTS,
        f"{what} is larger than {MAX_BYTES} bytes, five times what Inception-v3 takes; it is another file",
    )
