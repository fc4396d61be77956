"""Building a Dockerfile without Docker: buildah in a chroot, with a storage that goes with the build."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from diffrun_devcluster import podman
from diffrun_devcluster.commands import run

_CERTIFICATES = Path("/etc/ssl/certs")
_UV_CACHE = "/tmp/uv"  # noqa: S108  (in the build's own root)


class Builder:
    """One storage for some builds that stand on each other."""

    def __init__(self, storage: Path) -> None:
        self._env = podman.build_environment(storage)

    def load_base(self, rootfs: Path, name: str, context: Path) -> None:
        """Make a root file system's tar an image, to be named as BASE_IMAGE."""
        dockerfile = context / "base.Dockerfile"
        dockerfile.write_text(f'FROM scratch\nADD {rootfs.name} /\nCMD ["python3"]\n')
        self.build(dockerfile, rootfs.parent, name)

    def build(
        self,
        dockerfile: Path,
        context: Path,
        name: str,
        *,
        target: str = "",
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        """Build one image. The host's certificates and uv's cache are lent to the build, not copied into it."""
        lent = [f"{_CERTIFICATES}:{_CERTIFICATES}:ro"] if _CERTIFICATES.exists() else []
        uv_cache = Path(os.environ.get("UV_CACHE_DIR", Path.home() / ".cache" / "uv"))
        uv_cache.mkdir(parents=True, exist_ok=True)
        lent.append(f"{uv_cache}:{_UV_CACHE}:rw")
        given = {"UV_CACHE": f"--cache-dir={_UV_CACHE}", **(arguments or {})}
        run(
            [
                "buildah",
                "bud",
                "--isolation",
                "chroot",
                "--network",
                "host",
                "--format",
                "oci",
                "--pull-never",
                *[f"--volume={volume}" for volume in lent],
                *[f"--build-arg={key}={value}" for key, value in given.items()],
                *([f"--target={target}"] if target else []),
                "--tag",
                name,
                "--file",
                dockerfile,
                context,
            ],
            env=self._env,
        )

    def export(self, name: str, layout: Path) -> None:
        """Add an image to an OCI layout; images that share layers share them there too.

        zstd at its lowest level: this buildah knows no layout without compression, and its gzip makes 25 MB/s.
        """
        fast = ["--compression-format", "zstd", "--compression-level", "1"]
        run(["buildah", "push", *fast, name, f"oci:{layout}:{name}"], env=self._env)
