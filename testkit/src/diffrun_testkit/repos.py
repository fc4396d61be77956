"""Repositories as the Hub-compatible server serves them: files, their checksums, one commit.

A look-alike of google/ddpm-cat-256 can be made of any checkpoint, or of nothing: root layout, a pickle beside the
safetensors, the old names of the attention projections.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

LFS_SUFFIXES = (".safetensors", ".bin", ".ckpt", ".pt", ".png", ".parquet")
WEIGHTS = "diffusion_pytorch_model.safetensors"
PICKLE = "diffusion_pytorch_model.bin"

GITATTRIBUTES = b"*.bin filter=lfs diff=lfs merge=lfs -text\n*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
README = b"---\nlicense: apache-2.0\ntags: [pytorch, diffusers, unconditional-image-generation]\n---\n# A look-alike\n"
NOT_A_MODEL = b"\x80\x02" + b"a pickle, which nobody may load." * 8

MODEL_INDEX = {
    "_class_name": "DDPMPipeline",
    "_diffusers_version": "0.1.1",
    "scheduler": ["diffusers", "DDPMScheduler"],
    "unet": ["diffusers", "UNet2DModel"],
}
SCHEDULER_CONFIG = {
    "_class_name": "DDPMScheduler",
    "_diffusers_version": "0.1.1",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "clip_sample": True,
    "num_train_timesteps": 1000,
    "trained_betas": None,
    "variance_type": "fixed_small",
}
UNET_CONFIG = {"_class_name": "UNet2DModel", "_diffusers_version": "0.0.4", "sample_size": 16}


@dataclass(frozen=True)
class HubFile:
    """A file of a repository."""

    source: Path | bytes

    @cached_property
    def size(self) -> int:
        """Bytes."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size

    @cached_property
    def sha256(self) -> str:
        """Of the bytes."""
        return hashlib.sha256(self.read()).hexdigest()

    def read(self, start: int = 0, size: int | None = None) -> bytes:
        """Some of the bytes."""
        if isinstance(self.source, bytes):
            return self.source[start : None if size is None else start + size]
        with self.source.open("rb") as file:
            file.seek(start)
            return file.read(-1 if size is None else size)

    def blob_id(self, *, lfs: bool) -> str:
        """Git's SHA-1: of the bytes, or of the pointer that stands for them."""
        data = self.pointer if lfs else self.read()
        return hashlib.sha1(f"blob {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()

    @property
    def pointer(self) -> bytes:
        """What git holds in place of a file in large-file storage."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


@dataclass(frozen=True)
class Repo:
    """A repository with one commit, which `main` names."""

    name: str
    files: Mapping[str, HubFile] = field(default_factory=dict)
    kind: Literal["model", "dataset"] = "model"

    @classmethod
    def from_folder(cls, name: str, folder: Path) -> "Repo":
        """Everything below a folder."""
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        return cls(name, {path.relative_to(folder).as_posix(): HubFile(path) for path in paths})

    @classmethod
    def from_bytes(cls, name: str, files: Mapping[str, bytes], kind: Literal["model", "dataset"] = "model") -> "Repo":
        """Files in memory."""
        return cls(name, {path: HubFile(data) for path, data in sorted(files.items())}, kind)

    def in_the_shape_of_the_hub(self) -> "Repo":
        """With what surrounds a checkpoint on the Hub, where it is missing: attributes, a card, an index, a pickle."""
        extras = {
            ".gitattributes": GITATTRIBUTES,
            "README.md": README,
            "model_index.json": as_json(MODEL_INDEX),
            PICKLE: NOT_A_MODEL,
        }
        return Repo(self.name, {**{path: HubFile(data) for path, data in extras.items()}, **self.files})

    @cached_property
    def commit(self) -> str:
        """40 hex digits, made from names and contents."""
        listing = "".join(f"{path} {file.sha256}\n" for path, file in sorted(self.files.items()))
        return hashlib.sha1(listing.encode(), usedforsecurity=False).hexdigest()

    def resolve(self, revision: str) -> bool:
        """Whether a revision names the one commit."""
        return revision in ("main", self.commit)


def is_lfs(path: str) -> bool:
    """Whether a file is in large-file storage."""
    return path.endswith(LFS_SUFFIXES)


def as_json(value: object) -> bytes:
    """JSON as diffusers writes it."""
    return (json.dumps(value, indent=2) + "\n").encode()


def safetensors(tensors: Mapping[str, int]) -> bytes:
    """A well-formed safetensors file with one-dimensional float32 tensors of zeros; values are their lengths."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, length in tensors.items():
        header[name] = {"dtype": "F32", "shape": [length], "data_offsets": [offset, offset + 4 * length]}
        offset += 4 * length
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + bytes(offset)


def lookalike(name: str = "google/ddpm-cat-256", changes: Mapping[str, bytes | None] | None = None) -> Repo:
    """A look-alike in memory whose weights are zeros; `changes` replaces files by path, None removes one."""
    files: dict[str, bytes | None] = {
        ".gitattributes": GITATTRIBUTES,
        "README.md": README,
        "config.json": as_json(UNET_CONFIG),
        PICKLE: NOT_A_MODEL,
        WEIGHTS: safetensors({"mid_block.attentions.0.query.weight": 4096, "mid_block.attentions.0.key.weight": 4096}),
        "images/sample.png": b"\x89PNG\r\n\x1a\n",
        "model_index.json": as_json(MODEL_INDEX),
        "scheduler_config.json": as_json(SCHEDULER_CONFIG),
        **(changes or {}),
    }
    return Repo.from_bytes(name, {path: data for path, data in files.items() if data is not None})
