"""Folders and files of data sets, and the words for what is missing or broken in them."""

from collections.abc import Iterable
from pathlib import Path

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.workspace import Workspace

_SHOWN = 8  # names that a message lists


def require_folder(workspace: Workspace, field: str, relative: str, expected: str) -> Path:
    """The folder that a parameter names. Raises PermanentError `DatasetNotFound` with what was expected there."""
    folder = workspace.path(relative)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise PermanentError(
            ErrorCode.DATASET_NOT_FOUND,
            f"{field}: {relative} {what} in the workspace; expected a folder with {expected}",
        )
    return folder


def not_found(field: str, folder: Path, missing: Iterable[str], remedy: str) -> PermanentError:
    """The error of a folder without the files that a data set consists of; names what is there instead."""
    there = some(sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())) or "nothing"
    return PermanentError(
        ErrorCode.DATASET_NOT_FOUND,
        f"{field}: {folder.name} lacks {', '.join(missing)}; it holds {there}; {remedy}",
    )


def corrupt(field: str, file: str, problem: str, remedy: str) -> PermanentError:
    """The error of a file that is not what its name says."""
    return PermanentError(ErrorCode.CORRUPT_DATASET, f"{field}: {file} {problem}; {remedy}")


def some(found: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return ", ".join(found[:_SHOWN]) + more
