"""Which files of a repository make a checkpoint, judged by their names alone.

Two layouts are known: everything at the root, as google/ddpm-cat-256 has it, and a folder for each component.
"""

import re
from dataclasses import dataclass

from diffrun_worker.errors import ErrorCode, PermanentError
from diffrun_worker.hub import Commit, RepoFile

MODEL_INDEX = "model_index.json"
UNET_CONFIG = "config.json"
SCHEDULER_CONFIG = "scheduler_config.json"
WEIGHTS = "diffusion_pytorch_model.safetensors"
WEIGHTS_INDEX = f"{WEIGHTS}.index.json"

_SHARD = re.compile(r"diffusion_pytorch_model-\d{5}-of-\d{5}\.safetensors")
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl")


@dataclass(frozen=True)
class Selection:
    """The files to fetch, configurations first."""

    model_index: RepoFile | None
    unet_config: RepoFile
    scheduler_config: RepoFile
    weights: tuple[RepoFile, ...]
    """Safetensors files, and their index where they are several."""

    @property
    def configurations(self) -> tuple[RepoFile, ...]:
        """What is judged before a weight is fetched."""
        index = (self.model_index,) if self.model_index else ()
        return (*index, self.unet_config, self.scheduler_config)

    @property
    def files(self) -> tuple[RepoFile, ...]:
        """Everything."""
        return (*self.configurations, *self.weights)


def select_files(repo: str, commit: Commit) -> Selection:
    """Picks the files of an unconditional diffusers checkpoint.

    Raises PermanentError: `RemoteCode`, `NoSafetensors`, `NotACheckpoint`.
    """
    where = f"{repo} at {commit.sha[:12]}"
    code = sorted(file.name for file in commit.files if file.name.endswith(".py"))
    if code:
        raise PermanentError(
            ErrorCode.REMOTE_CODE, f"{where} brings code ({_some(code)}); diffrun runs none: use a repository without"
        )
    unet = "unet/" if commit.file(f"unet/{UNET_CONFIG}") else ""
    scheduler = "scheduler/" if commit.file(f"scheduler/{SCHEDULER_CONFIG}") else ""
    return Selection(
        model_index=commit.file(MODEL_INDEX),
        unet_config=_require(where, commit, unet + UNET_CONFIG),
        scheduler_config=_require(where, commit, scheduler + SCHEDULER_CONFIG),
        weights=_weights(where, commit, unet),
    )


def _weights(where: str, commit: Commit, prefix: str) -> tuple[RepoFile, ...]:
    whole = commit.file(prefix + WEIGHTS)
    if whole is not None:
        return (whole,)
    index = commit.file(prefix + WEIGHTS_INDEX)
    shards = [file for file in commit.files if _is_shard(file.name, prefix)]
    if index is not None and shards:
        return (index, *sorted(shards, key=lambda file: file.name))
    pickles = sorted(file.name for file in commit.files if file.name.endswith(_PICKLES))
    found = f"only pickles ({_some(pickles)}), which run code when they are loaded" if pickles else "no weights"
    raise PermanentError(
        ErrorCode.NO_SAFETENSORS,
        f"{where} has no {prefix + WEIGHTS}, {found}; use a revision that was converted to safetensors",
    )


def _is_shard(name: str, prefix: str) -> bool:
    return name.startswith(prefix) and _SHARD.fullmatch(name.removeprefix(prefix)) is not None


def _require(where: str, commit: Commit, name: str) -> RepoFile:
    file = commit.file(name)
    if file is None:
        raise PermanentError(
            ErrorCode.NOT_A_CHECKPOINT, f"{where} has no {name}; use a diffusers checkpoint of an unconditional UNet"
        )
    return file


def _some(found: list[str]) -> str:
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more
