"""Which code computed a figure: what makes two of them comparable."""

import hashlib
import subprocess
from pathlib import Path

import diffrun_contracts
import diffrun_worker

_DIGITS = 12


def code_version() -> str:
    """The package's version and what exactly it was: `0.1.0+g1a2b3c4d5e6f`, with `.dirty` after changes.

    Outside a checkout, in an image for example, git cannot tell, and a digest of the installed sources stands instead:
    `0.1.0+src.1a2b3c4d5e6f`.
    """
    folder = Path(diffrun_worker.__file__).parent
    return f"{diffrun_worker.__version__}+{commit_of(folder) or 'src.' + source_digest()}"


def commit_of(folder: Path) -> str | None:
    """`g` and the commit's first digits, where git keeps this folder; else None."""
    revision = _git(folder, "rev-parse", f"--short={_DIGITS}", "HEAD")
    # A package that was installed below somebody's repository is not a part of it.
    if revision is None or not _git(folder, "ls-files", "."):
        return None
    return f"g{revision}{'.dirty' if _git(folder, 'status', '--porcelain', '.') else ''}"


def source_digest() -> str:
    """The first digits of a SHA-256 over the names and contents of the worker's and the contracts' modules."""
    digest = hashlib.sha256()
    for package in (diffrun_contracts, diffrun_worker):
        root = Path(str(package.__file__)).parent
        for path in sorted(root.rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:_DIGITS]


def _git(folder: Path, *command: str) -> str | None:
    """What git prints; None where there is no git, or it knows nothing of the folder."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *command], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
