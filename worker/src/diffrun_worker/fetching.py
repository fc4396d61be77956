"""What every download from the Hub is held to: one at a time into a folder, and each file against its checksum."""

import errno
import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from diffrun_worker.errors import ErrorCode, PermanentError, TemporaryError
from diffrun_worker.hashing import git_blob_sha1, sha256_file
from diffrun_worker.hub import Commit, Hub, RepoFile

SPARE_BYTES = 16 * 1024 * 1024
"""Room for the run's own files beside what is downloaded."""
LOCK_POLL_SECONDS = 0.2


def verify(hub: Hub, commit: Commit, file: RepoFile, path: Path, check: Callable[[], None]) -> str:
    """The SHA-256 of a file that came, once it is what the Hub says; another file is removed.

    `check` is called between chunks and may raise to stop. Raises PermanentError `ChecksumMissing`, TemporaryError
    `ChecksumMismatch`.
    """
    digest = sha256_file(path, check)
    if file.sha256 is not None:
        kind, expected, actual = "SHA-256", file.sha256, digest
    elif file.blob_id is not None:
        kind, expected, actual = "git SHA-1", file.blob_id, git_blob_sha1(path)
    else:
        raise PermanentError(
            ErrorCode.CHECKSUM_MISSING,
            f"{hub.endpoint} gives no checksum of {file.name}, so it cannot be verified; use the Hub itself",
        )
    if actual != expected:
        path.unlink()
        raise TemporaryError(
            ErrorCode.CHECKSUM_MISMATCH,
            f"{file.name} of {hub.repo} at {commit.sha[:12]}: the {kind} of what came is {actual}, "
            f"the Hub says {expected}; the file was removed",
        )
    return digest


_NO_LOCKS_ERRNOS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)


@contextmanager
def locked(path: Path, check: Callable[[], None]) -> Iterator[None]:
    """Holds an advisory lock on a file; whoever waits for it still stops and pauses.

    Where a filesystem ignores locks two downloads only do the work twice: the Hub's client writes into files of its
    own, the checksums hold, and who finds its files gone looks for what the other made of them. Raises PermanentError
    `UnsupportedWorkspace` where it refuses them, which the Hub's client does not bear either.
    """
    with path.open("a") as file:
        while not _try_lock(file.fileno(), path):
            check()
            time.sleep(LOCK_POLL_SECONDS)
        yield


def _try_lock(file: int, path: Path) -> bool:
    """Whether the lock is held now; False while another has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_ERRNOS:
            raise
        raise PermanentError(
            ErrorCode.UNSUPPORTED_WORKSPACE,
            f"{path}: the workspace's filesystem has no file locks ({error.strerror}), and downloads need them; mount "
            "it with locks (NFS 4, or NFS 3 with its lock service), or take an object store (workspace.url)",
        ) from error
    return True
