"""The Hugging Face Hub as a block meets it: `huggingface_hub` behind typed errors.

Its own exceptions end here. Their texts do not: they quote URLs, which may be signed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

# Always plain HTTP. Xet, the Hub's chunked storage, needs further hosts and a cache of its own in the pod, is unknown
# to mirrors, and the Hub serves the same bytes without it. To be set before huggingface_hub is first imported; where
# somebody else was first, `disable_xet` below sees to it.
os.environ["HF_HUB_DISABLE_XET"] = "1"
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

import httpx2
from huggingface_hub import DatasetInfo, HfApi, ModelInfo, constants, errors, hf_hub_download

from diffrun_worker.errors import BlockError, ErrorCode, PermanentError, TemporaryError

RepoKind = Literal["model", "dataset"]


API_TIMEOUT = 30.0
"""Seconds that the Hub has to describe a repository."""


@dataclass(frozen=True)
class RepoFile:
    """A file of a commit."""

    name: str
    """Relative to the repository's root."""
    size: int
    """Bytes."""
    sha256: str | None
    """Of its bytes, where it is in large-file storage."""
    blob_id: str | None
    """Git's SHA-1 of it, where it is in git itself."""


@dataclass(frozen=True)
class Commit:
    """A repository as it was at one commit."""

    sha: str
    files: tuple[RepoFile, ...]

    def file(self, name: str) -> RepoFile | None:
        """The file of that name."""
        return next((file for file in self.files if file.name == name), None)


class Hub:
    """Reads one repository."""

    def __init__(
        self,
        repo: str,
        revision: str,
        *,
        endpoint: str | None,
        token: str | None,
        kind: RepoKind = "model",
        field: str = "downloadCheckpoint",
    ) -> None:
        """`endpoint` None means HF_ENDPOINT or the public Hub; `token` None means anonymous, whatever is cached.

        `field` is the parameter that names the repository, for messages.
        """
        constants.HF_HUB_DISABLE_XET = True
        self.repo = repo
        self.revision = revision
        self.kind = kind
        self.field = field
        self.endpoint = (endpoint or constants.ENDPOINT).rstrip("/")
        self._token: str | bool = token or False
        self._api = HfApi(endpoint=self.endpoint, token=self._token)

    def resolve(self) -> Commit:
        """The commit that the revision names now. Raises PermanentError or TemporaryError."""
        with self._translated():
            info = self._api.repo_info(
                self.repo,
                revision=self.revision,
                repo_type=self.kind,
                files_metadata=True,
                timeout=API_TIMEOUT,
                token=self._token,
            )
        if not isinstance(info, ModelInfo | DatasetInfo) or not info.sha or len(info.sha) != 40:
            raise self._not_a_hub()
        files = tuple(
            RepoFile(
                name=sibling.rfilename,
                size=(sibling.lfs.size if sibling.lfs else sibling.size) or 0,
                sha256=sibling.lfs.sha256 if sibling.lfs else None,
                blob_id=None if sibling.lfs else sibling.blob_id,
            )
            for sibling in info.siblings or ()
        )
        return Commit(info.sha, files)

    def fetch(self, commit: str, name: str, directory: Path, advanced: Callable[[int], None]) -> Path:
        """Downloads one file; `advanced` is told of every few bytes and may raise to stop.

        Raises PermanentError or TemporaryError.
        """
        bar: Any = partial(_Bar, advanced)  # the client takes any callable that makes a progress bar
        with self._translated():
            return Path(
                hf_hub_download(
                    self.repo,
                    name,
                    repo_type=self.kind,
                    revision=commit,
                    local_dir=directory,
                    endpoint=self.endpoint,
                    token=self._token,
                    tqdm_class=bar,
                )
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except BlockError:
            raise
        except errors.LocalEntryNotFoundError as error:
            # The client's way to say that it could not ask; why, it keeps as the cause.
            raise self._translate(error.__cause__ or error) from error
        except (errors.HfHubHTTPError, httpx2.HTTPError, OSError, ValueError, KeyError) as error:
            raise self._translate(error) from error

    def _translate(self, error: BaseException) -> BlockError:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, errors.GatedRepoError):
            return PermanentError(
                ErrorCode.GATED_REPO,
                f"{self.repo} is gated on {self.endpoint}; accept its terms there, and name a Secret with a token of "
                f"that account in {self.field}.tokenSecret",
            )
        if isinstance(error, errors.RevisionNotFoundError):
            return PermanentError(
                ErrorCode.REVISION_NOT_FOUND,
                f"{self.repo} has no revision {self.revision!r} on {self.endpoint}; correct {self.field}.revision",
            )
        if status in (401, 403):
            return self._unauthorized(status)
        if status in (404, 410) or isinstance(error, errors.RepositoryNotFoundError | errors.DisabledRepoError):
            return PermanentError(
                ErrorCode.REPO_NOT_FOUND,
                f"{self.repo} does not exist on {self.endpoint}; correct {self.field}.repo",
            )
        if status is not None:
            return self._http(status, error)
        return self._transport(error)

    def _unauthorized(self, status: int) -> BlockError:
        if self._token:
            why = f"{self.endpoint} refuses the token for {self.repo} (HTTP {status}); correct the token in the Secret"
            return PermanentError(ErrorCode.UNAUTHORIZED, f"{why} that {self.field}.tokenSecret names")
        return PermanentError(
            ErrorCode.UNAUTHORIZED,
            f"{self.endpoint} shows {self.repo} to nobody without a token (HTTP {status}): it is private or does not "
            f"exist; name a Secret with a token in {self.field}.tokenSecret, or correct {self.field}.repo",
        )

    def _http(self, status: int, error: BaseException) -> BlockError:
        if status == 429:
            after = getattr(error, "response").headers.get("retry-after", "")  # noqa: B009 - the type is not ours
            wait = f"; it asks to wait {after} s" if after.isdecimal() else ""
            return TemporaryError(ErrorCode.RATE_LIMITED, f"{self.endpoint} limits requests (HTTP 429){wait}")
        if status >= 500 or status == 408:
            return TemporaryError(ErrorCode.HUB_UNAVAILABLE, f"{self.endpoint} answers HTTP {status} for {self.repo}")
        return PermanentError(
            ErrorCode.HUB_REFUSED, f"{self.endpoint} refuses the request for {self.repo} (HTTP {status})"
        )

    def _transport(self, error: BaseException) -> BlockError:
        if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError) or "Consistency check failed" in str(error):
            return TemporaryError(
                ErrorCode.DOWNLOAD_INCOMPLETE, f"the download of {self.repo} from {self.endpoint} broke off"
            )
        if isinstance(error, httpx2.TimeoutException):
            return TemporaryError(ErrorCode.HUB_UNAVAILABLE, f"{self.endpoint} does not answer in time")
        if isinstance(error, httpx2.HTTPError | errors.OfflineModeIsEnabled):
            return TemporaryError(
                ErrorCode.HUB_UNAVAILABLE, f"{self.endpoint} cannot be reached ({type(error).__name__})"
            )
        if isinstance(error, ValueError | KeyError | errors.FileMetadataError | errors.LocalEntryNotFoundError):
            return self._not_a_hub()
        if isinstance(error, OSError):
            raise error  # the disk, not the Hub: the caller knows about disks
        return TemporaryError(ErrorCode.HUB_UNAVAILABLE, f"{self.endpoint}: {type(error).__name__}")

    def _not_a_hub(self) -> BlockError:
        return TemporaryError(
            ErrorCode.HUB_UNAVAILABLE, f"{self.endpoint} does not answer as a Hub does; check HF_ENDPOINT and proxies"
        )


class _Bar:
    """A progress bar, as the client sees it, that shows nothing and tells somebody."""

    def __init__(self, advanced: Callable[[int], None], **_: Any) -> None:
        self._advanced = advanced

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, size: float | None = 1) -> None:
        """Takes the bytes that came since the last call."""
        self._advanced(int(size or 0))

    def close(self) -> None:
        """Nothing is open."""
