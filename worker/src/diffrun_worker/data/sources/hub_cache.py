"""The Parquet files of a Hub dataset: which of them are wanted, and how they come into the cache that runs share.

A commit's files lie in `cache/hub/datasets--<owner>--<name>/<commit>/`. Each arrives beside it, is held against the
Hub's checksum and gets its name by rename: what lies there is whole. The commit's listing lies with them, so that a
pinned commit needs no Hub once its files are there.
"""

import re
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.base import Model
from diffrun_worker.data.sources.base import Request
from diffrun_worker.data.sources.files import some
from diffrun_worker.errors import ErrorCode, PermanentError, invalid_params
from diffrun_worker.fetching import SPARE_BYTES, locked, verify
from diffrun_worker.hub import Commit, Hub, RepoFile
from diffrun_worker.workspace import DISK_FULL_ERRNOS, Workspace, fsync_dir, fsync_file

LISTING = "diffrun-listing.json"

_COMMIT = re.compile(r"[0-9a-f]{40}")
# What the Hub takes for the name of a split, between anything that is no letter.
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}


class ListedFile(Model):
    """A file of the commit, as the Hub described it."""

    name: str
    size: int
    sha256: str | None = None
    blob_id: str | None = None


class Listing(Model):
    """A commit, as the Hub described it."""

    commit: str
    files: list[ListedFile]

    @classmethod
    def of(cls, commit: Commit) -> "Listing":
        """A commit's."""
        return cls(commit=commit.sha, files=[ListedFile(**vars(file)) for file in commit.files])

    def to_commit(self) -> Commit:
        """The commit."""
        return Commit(self.commit, tuple(RepoFile(f.name, f.size, f.sha256, f.blob_id) for f in self.files))


def select_parquet(repo: str, commit: Commit, folder: str | None, *, test: bool) -> tuple[RepoFile, ...]:
    """The Parquet files of one part of one subset, in the order of their names.

    Files whose path names a split belong to it; where none does, all are for training. The held-out part is the test
    split, or else the validation split. Raises PermanentError `DatasetNotFound`, `InvalidParams`.
    """
    where = f"{repo} at {commit.sha[:12]}"
    files = [file for file in commit.files if file.name.endswith(".parquet")]
    if not files:
        there = some(sorted(file.name for file in commit.files)) or "nothing"
        raise PermanentError(
            ErrorCode.DATASET_NOT_FOUND,
            f"data.hub.repo: {where} has no Parquet file; it holds {there}; use a revision that was converted, "
            "such as refs/convert/parquet, or fetch the images and name their folder as data.imageFolder",
        )
    files = _in_folder(where, files, folder)
    by_split: dict[str | None, list[RepoFile]] = {}
    for file in files:
        by_split.setdefault(split_of(file.name), []).append(file)
    wanted = ("test", "validation") if test else ("train",) if len(by_split) > 1 or None not in by_split else (None,)
    chosen = next((by_split[split] for split in wanted if split in by_split), None)
    if chosen is None:
        raise PermanentError(
            ErrorCode.DATASET_NOT_FOUND,
            f"data.{'test' if test else 'hub.repo'}: {where} has no Parquet file of the split "
            f"{' or '.join(map(str, wanted))}; it has {some([file.name for file in files])}",
        )
    return tuple(sorted(chosen, key=lambda file: file.name))


def split_of(name: str) -> str | None:
    """The split that a path names: the file's name before its folders."""
    for part in reversed(PurePosixPath(name).parts):
        words = re.split(r"[^a-z]+", part.lower())
        for split, spellings in _SPLITS.items():
            if any(word in spellings for word in words):
                return split
    return None


def _in_folder(where: str, files: list[RepoFile], folder: str | None) -> list[RepoFile]:
    """Those below `folder`, or all of them where they lie in one folder or in folders named after splits."""
    subsets = sorted({_subset(file.name) for file in files})
    if folder is not None:
        inside = [file for file in files if PurePosixPath(file.name).is_relative_to(folder)]
        if not inside:
            raise invalid_params(
                f"data.hub.folder: {where} has no Parquet file in {folder!r}; it has some in {some(subsets)}"
            )
        return inside
    if len(subsets) > 1:
        raise invalid_params(
            f"data.hub.folder: {where} has Parquet files in several folders, {some(subsets)}; set it to one of them"
        )
    return files


def _subset(name: str) -> str:
    """The folder that a file lies in, without the part that names its split."""
    parents = [part for part in PurePosixPath(name).parts[:-1] if split_of(part) is None]
    return "/".join(parents) or "."


class DatasetCache:
    """One repository of the Hub, and its commits in the workspace."""

    def __init__(self, hub: Hub, request: Request) -> None:
        """Asks nothing yet."""
        self.hub = hub
        self.workspace: Workspace = request.workspace
        self._check = request.check
        self._progress = request.progress
        self._home = f"{names.HUB_CACHE_DIR}/datasets--{hub.repo.replace('/', '--')}"
        self._done = 0

    def resolve(self) -> Commit:
        """The commit that the revision names: from the cache where it is one, otherwise from the Hub."""
        if _COMMIT.fullmatch(self.hub.revision):
            try:
                data = self.workspace.read(f"{self._home}/{self.hub.revision}/{LISTING}")
                return Listing.model_validate_json(data).to_commit()
            except (FileNotFoundError, ValidationError):
                pass  # it is not in the cache, or not in a form that this version wrote
        commit = self.hub.resolve()
        self.workspace.write(f"{self._home}/{commit.sha}/{LISTING}", Listing.of(commit).to_json().encode())
        return commit

    def fetch(self, commit: Commit, files: tuple[RepoFile, ...]) -> list[Path]:
        """The files in the cache; those that are not there are downloaded. Raises what `Hub` raises, and `DiskFull`."""
        home = self.workspace.place(self._home)
        home.mkdir(parents=True, exist_ok=True)
        paths = [self.workspace.path(f"{self._home}/{commit.sha}/{file.name}") for file in files]
        with locked(home / f"{commit.sha}.lock", self._check):
            missing = [(file, path) for file, path in zip(files, paths, strict=True) if not _whole(path, file)]
            needed = sum(file.size for file, _ in missing)
            self.workspace.require_free(needed + SPARE_BYTES * bool(missing), f"download {self.hub.repo}")
            try:
                for file, path in missing:
                    try:
                        self._fetch(commit, file, path, needed)
                    except FileNotFoundError:
                        if not _whole(path, file):  # without locks another download may have taken it there
                            raise
            except OSError as error:
                if error.errno in DISK_FULL_ERRNOS:
                    raise self.workspace.disk_full(f"download {self.hub.repo}", needed) from error
                raise
        return paths

    def _fetch(self, commit: Commit, file: RepoFile, final: Path, total: int) -> None:
        received = 0

        def advanced(size: int) -> None:
            nonlocal received
            self._check()
            received += size
            self._progress(min(self._done + received, total), total)

        partial = self.workspace.place(f"{self._home}/{commit.sha}.partial")
        path = self.hub.fetch(commit.sha, file.name, partial, advanced)
        verify(self.hub, commit, file, path, self._check)
        fsync_file(path)
        final.parent.mkdir(parents=True, exist_ok=True)
        path.replace(final)
        fsync_dir(final.parent)
        self.workspace.keep(final)
        self._done += file.size


def _whole(path: Path, file: RepoFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size
