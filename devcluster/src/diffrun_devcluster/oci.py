"""Images as OCI archives, written and read directly: small enough to need no builder.

A *thin* archive names all layers of its image and holds only those that the cluster has not. containerd
takes it, since it unpacks by the layers' chain and never asks for a layer whose snapshot is there.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"
_INDEX = "application/vnd.oci.image.index.v1+json"
_NAME = "io.containerd.image.name"
_NO_TIME = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class Image:
    """An image by its layers' descriptors and its configuration, as a registry would describe it."""

    layers: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(
        default_factory=lambda: {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [],
        }
    )

    def with_layer(self, layer: bytes, created_by: str) -> Image:
        """Build this image with one more uncompressed layer on top."""
        digest = digest_of(layer)
        config = json.loads(json.dumps(self.config))
        config["created"] = _NO_TIME
        config["rootfs"]["diff_ids"].append(digest)
        config.setdefault("history", []).append({"created": _NO_TIME, "created_by": created_by})
        descriptor = {"mediaType": _LAYER, "digest": digest, "size": len(layer)}
        return Image([*self.layers, descriptor], config)

    def to_json(self) -> str:
        """For keeping beside a content store."""
        return json.dumps({"layers": self.layers, "config": self.config})

    @staticmethod
    def from_json(text: str) -> Image:
        """The inverse of to_json."""
        data = json.loads(text)
        return Image(data["layers"], data["config"])


def digest_of(data: bytes) -> str:
    """The name of a blob."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def layer_of(files: Iterable[tuple[str, Path]], folders: Iterable[str] = ()) -> bytes:
    """A reproducible layer: files under their names in the image, owned by root, without times."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in sorted(folders):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(info)
        for name, path in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = path.stat().st_size
            info.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            with path.open("rb") as source:
                archive.addfile(info, source)
    return buffer.getvalue()


def tree_layer(root: Path, prefix: str) -> bytes:
    """A reproducible layer of a folder, placed at `prefix` in the image."""
    below = sorted(root.rglob("*"))
    parts = Path(prefix).parts
    parents = ["/".join(parts[:depth]) for depth in range(1, len(parts) + 1)]
    folders = [f"{prefix}/{path.relative_to(root)}" for path in below if path.is_dir()]
    files = [(f"{prefix}/{path.relative_to(root)}", path) for path in below if path.is_file()]
    return layer_of(files, [*parents, *folders])


def write_archive(target: Path, reference: str, image: Image, blobs: Iterable[bytes]) -> None:
    """Write an OCI archive of one image; `blobs` are the layers that it shall hold."""
    config = json.dumps(image.config).encode()
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {"mediaType": _CONFIG, "digest": digest_of(config), "size": len(config)},
            "layers": image.layers,
        }
    ).encode()
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _INDEX,
            "manifests": [
                {
                    "mediaType": _MANIFEST,
                    "digest": digest_of(manifest),
                    "size": len(manifest),
                    "platform": {"architecture": "amd64", "os": "linux"},
                    "annotations": {_NAME: reference},
                }
            ],
        }
    ).encode()
    with tarfile.open(target, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(archive, "index.json", index)
        for blob in (manifest, config, *blobs):
            _add(archive, f"blobs/sha256/{hashlib.sha256(blob).hexdigest()}", blob)


def read_layout(folder: Path, reference: str) -> Image:
    """Read one image of an OCI layout by its reference."""

    def blob(digest: str) -> dict[str, Any]:
        data: dict[str, Any] = json.loads((folder / _path(digest)).read_text())
        return data

    index = json.loads((folder / "index.json").read_text())
    (entry,) = [
        found
        for found in index["manifests"]
        if found["annotations"].get("org.opencontainers.image.ref.name") == reference
    ]
    manifest = blob(entry["digest"])
    return Image(manifest["layers"], blob(manifest["config"]["digest"]))


def _path(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    info.mode = 0o644
    archive.addfile(info, io.BytesIO(data))
