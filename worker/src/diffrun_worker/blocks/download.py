"""downloadCheckpoint: a checkpoint of the Hub into the cache that all runs share.

1. The revision is resolved to a commit, once; everything after speaks of that commit.
2. The repository's listing and its configurations are judged before a weight is fetched: no code, no pickles,
   only classes that we know.
3. The files go into a directory of their own, each is held against the Hub's checksum, and the directory gets its
   final name only when it is whole. So a directory of that name is a complete checkpoint: a later run finds it,
   two runs at once share one download, and a download that was cut short goes on with the next file.
"""

import os
import re
import shutil

from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts import params as contract
from diffrun_contracts.base import Model
from diffrun_worker.block import BlockContext, Outputs
from diffrun_worker.checkpoints import (
    SCHEDULER_CLASSES,
    UNET_CLASS,
    read_config,
    require_class,
    require_components,
    verify_safetensors,
)
from diffrun_worker.errors import ErrorCode, PermanentError, TemporaryError
from diffrun_worker.fetching import SPARE_BYTES, locked, verify
from diffrun_worker.hub import Commit, Hub, RepoFile
from diffrun_worker.selection import Selection, select_files
from diffrun_worker.workspace import DISK_FULL_ERRNOS, Workspace, fsync_dir, fsync_file

MANIFEST = "diffrun-checkpoint.json"

_REFUSALS = frozenset({ErrorCode.CORRUPT_CHECKPOINT, ErrorCode.REMOTE_CODE, ErrorCode.UNSUPPORTED_CLASS})
"""Of what a commit holds, which never changes: its files are of no use to anybody. After other errors they are."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


class CheckpointManifest(Model):
    """What a complete checkpoint consists of: written last, after every file was verified."""

    repo: str
    commit: str
    files: dict[str, str]
    """SHA-256 of each file, by its name."""
    sizes: dict[str, int]
    """Bytes of each file, by its name."""


class DownloadCheckpoint:
    """Fetches a diffusers checkpoint from the Hugging Face Hub into the workspace's cache."""

    Params = contract.DownloadCheckpoint

    def run(self, params: contract.DownloadCheckpoint, ctx: BlockContext) -> Outputs:
        """Outputs: `model_path` (in the workspace), `commit`, `size`, `downloaded_bytes` (0 from the cache)."""
        pinned = _COMMIT.fullmatch(params.revision) is not None
        if params.require_commit and not pinned:
            raise PermanentError(
                ErrorCode.COMMIT_REQUIRED,
                f"downloadCheckpoint.revision: requireCommit asks for a full 40-digit commit, not {params.revision!r}",
            )
        home = f"{names.HUB_CACHE_DIR}/models--{params.repo.replace('/', '--')}"
        # A commit never changes: with its files in place the Hub need not even be in reach.
        manifest = complete_checkpoint(ctx.workspace, f"{home}/{params.revision}") if pinned else None
        downloaded = 0
        if manifest is None:
            hub = Hub(
                params.repo,
                params.revision,
                endpoint=os.environ.get(names.ENV_HF_ENDPOINT) or None,
                token=os.environ.get(names.ENV_HF_TOKEN) or None,
            )
            download = _Download(ctx, hub, hub.resolve(), home)
            manifest = download.run()
            downloaded = download.received
        size = sum(manifest.sizes.values())
        ctx.progress(size, size)
        path = f"{home}/{manifest.commit}"
        return {"model_path": path, "commit": manifest.commit, "size": size, "downloaded_bytes": downloaded}


def complete_checkpoint(workspace: Workspace, folder: str) -> CheckpointManifest | None:
    """The manifest of a complete checkpoint, or None: nothing is there, or files are missing or of another size."""
    sizes = workspace.sizes(folder)
    try:
        manifest = CheckpointManifest.model_validate_json(workspace.read(f"{folder}/{MANIFEST}"))
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None
    return manifest if manifest.sizes.items() <= sizes.items() else None


class _Download:
    """One commit on its way into the cache."""

    def __init__(self, ctx: BlockContext, hub: Hub, commit: Commit, home: str) -> None:
        self.ctx = ctx
        self.hub = hub
        self.commit = commit
        self.selection: Selection = select_files(hub.repo, commit)
        self.folder = f"{home}/{commit.sha}"
        self.final = ctx.workspace.place(self.folder)
        self.partial = ctx.workspace.place(f"{self.folder}.partial")
        self.total = sum(file.size for file in self.selection.files)
        self.done = 0  # bytes of files that are complete
        self.current = 0  # bytes of the file that is under way
        self.received = 0  # bytes that came over the network

    def run(self) -> CheckpointManifest:
        """The complete checkpoint's manifest."""
        self.final.parent.mkdir(parents=True, exist_ok=True)
        with locked(self.final.with_name(f"{self.commit.sha}.lock"), self.ctx.check_pause):
            manifest = self._complete()
            if manifest is not None:
                return manifest
            there = sum(file.size for file in self.selection.files if (self.partial / file.name).is_file())
            self.ctx.workspace.require_free(self.total - there + SPARE_BYTES, f"download {self.hub.repo}")
            try:
                return self._fetch_all()
            except FileNotFoundError as error:
                return self._taken_by_another(error)
            except PermanentError as error:
                if error.code in _REFUSALS:
                    shutil.rmtree(self.partial, ignore_errors=True)
                raise
            except OSError as error:
                if error.errno in DISK_FULL_ERRNOS:
                    raise self.ctx.workspace.disk_full(f"download {self.hub.repo}", self.total) from error
                raise

    def _complete(self) -> CheckpointManifest | None:
        return complete_checkpoint(self.ctx.workspace, self.folder)

    def _taken_by_another(self, error: FileNotFoundError) -> CheckpointManifest:
        """Without locks another download of the commit may give the files their final name under our hands."""
        manifest = self._complete()
        shutil.rmtree(self.partial, ignore_errors=True)
        if manifest is None:
            raise TemporaryError(
                ErrorCode.DOWNLOAD_INCOMPLETE, f"another download of {self.hub.repo} took or removed this one's files"
            ) from error
        return manifest

    def _fetch_all(self) -> CheckpointManifest:
        hashes = {file.name: self._fetch(file) for file in self.selection.configurations}
        self._judge()
        for file in self.selection.weights:
            hashes[file.name] = self._fetch(file)
            if file.name.endswith(".safetensors"):
                verify_safetensors(self.partial / file.name)
        manifest = CheckpointManifest(
            repo=self.hub.repo,
            commit=self.commit.sha,
            files=hashes,
            sizes={name: (self.partial / name).stat().st_size for name in hashes},
        )
        return self._publish(manifest)

    def _judge(self) -> None:
        """Refuses configurations that ask for code, or for classes that we do not know."""
        selection = self.selection
        if selection.model_index is not None:
            path = self.partial / selection.model_index.name
            require_components(path, read_config(path))
        for file, allowed in (
            (selection.unet_config, frozenset({UNET_CLASS})),
            (selection.scheduler_config, SCHEDULER_CLASSES),
        ):
            path = self.partial / file.name
            require_class(path, read_config(path), allowed)

    def _fetch(self, file: RepoFile) -> str:
        """Downloads one file, unless it lies there already, and returns its verified SHA-256."""
        self.ctx.check_pause()
        self.current = 0
        path = self.hub.fetch(self.commit.sha, file.name, self.partial, self._advanced)
        digest = verify(self.hub, self.commit, file, path, self.ctx.check_pause)
        self.done += file.size
        self.ctx.progress(self.done, self.total)
        return digest

    def _advanced(self, size: int) -> None:
        self.ctx.check_pause()
        self.current += size
        self.received += size
        self.ctx.progress(min(self.done + self.current, self.total), self.total)

    def _publish(self, manifest: CheckpointManifest) -> CheckpointManifest:
        """Gives the directory its final name, durably, unless a complete checkpoint has got it meanwhile."""
        shutil.rmtree(self.partial / ".cache", ignore_errors=True)  # the client's own notes
        (self.partial / MANIFEST).write_text(manifest.to_json())
        for name in (*manifest.files, MANIFEST):
            fsync_file(self.partial / name)
        if (meanwhile := self._complete()) is not None:
            shutil.rmtree(self.partial)
            return meanwhile
        if self.final.exists():
            # Damaged, or it would have been taken. A reader that has its files open keeps them.
            shutil.rmtree(self.final)
        self.partial.rename(self.final)
        fsync_dir(self.final.parent)
        self.ctx.workspace.keep(self.final, whole=True)
        return manifest
