"""The project's images: which there are, what they depend on, and how their code gets into the cluster.

An image is its Dockerfile's stage `deps` plus one layer of code. With Docker the Dockerfile makes both.
Without it `deps` is built once and unpacked into the node's content store, and the code's layer, the same
`uv pip install` that the Dockerfile runs, is written here and sent to the node in a thin archive: seconds
after a change, whatever the size of the dependencies.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from diffrun_devcluster import cache, debian, oci
from diffrun_devcluster.builder import Builder
from diffrun_devcluster.commands import run
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import Layout, key_of
from diffrun_devcluster.store import Stage

_PREFIX = "docker.io/diffrun"
_BASE = "localhost/diffrun-base"
_CODE = "opt/diffrun/app"


@dataclass(frozen=True)
class Part:
    """One image: its lock files, the packages whose code is its last layer (none: no such layer), and files.

    `files` maps a folder of the checkout to its place in the image.
    """

    name: str
    locks: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    stands_on: str = ""
    files: tuple[tuple[str, str], ...] = ()


OPERATOR = Part("operator", ("operator.txt",), ("contracts", "operator"))
WORKER = Part("worker", ("worker.txt",), ("contracts", "worker"))
TESTKIT = Part(
    "testkit",
    ("testkit.txt",),
    ("contracts", "worker", "testkit"),
    stands_on="worker",
    files=(("examples/digits/checkpoint", "srv/hub/diffrun/ddpm-digits"),),
)
GATEWAY = Part(
    "gateway",
    ("gateway.txt",),
    ("contracts", "inspectors/gateway"),
    files=(("inspectors/web/dist", "opt/diffrun/static"),),
)
REDIS = Part("redis")
PARTS = (OPERATOR, WORKER, TESTKIT, GATEWAY, REDIS)


def present(layout: Layout) -> list[Part]:
    """The parts that this checkout holds."""
    return [part for part in PARTS if all((layout.repo / folder / "src").exists() for folder in part.code)]


def dockerfile(layout: Layout, part: Part) -> Path:
    """A part's Dockerfile."""
    return layout.repo / "containers" / f"{part.name}.Dockerfile"


def deps_key(layout: Layout, part: Part) -> str:
    """The content key of everything in an image but the code."""
    below = [deps_key(layout, other) for other in PARTS if other.name == part.stands_on]
    locks = [layout.repo / "locks" / name for name in ("bootstrap.txt", *part.locks)] if part.locks else []
    recipe: str | Path = dockerfile(layout, part)
    if part.code:
        # What comes after the stage `deps` is code, which has a layer of its own.
        recipe = dockerfile(layout, part).read_text().partition("\nFROM tools AS code")[0]
    return key_of([*below, debian.BASE_PACKAGES, recipe, *locks])


def reference(layout: Layout, part: Part) -> str:
    """An image's name; its tag changes with its content, so that an upgrade rolls the pods."""
    sources = [layout.repo / folder / what for folder in part.code for what in ("src", "pyproject.toml")]
    data = [layout.repo / folder for folder, _ in part.files]
    return f"{_PREFIX}/{part.name}:{key_of([deps_key(layout, part), *sources, *data])}"


def stages(layout: Layout, progress: Progress) -> list[Stage]:
    """What the node's content store needs beside Kubernetes; a change rebuilds its own stage and those after it."""
    return [
        Stage(
            "the operator's dependencies and Redis",
            key_of([deps_key(layout, OPERATOR), deps_key(layout, REDIS)]),
            expected=90,
            disk=4 << 30,
            write=lambda folder: _write_deps(layout, [OPERATOR, REDIS], folder, progress),
        ),
        Stage(
            "the worker's dependencies",
            key_of([deps_key(layout, WORKER), deps_key(layout, TESTKIT)]),
            expected=300,
            disk=30 << 30,
            write=lambda folder: _write_deps(layout, [WORKER, TESTKIT], folder, progress),
        ),
        Stage(
            "the gateway's dependencies",
            key_of([deps_key(layout, GATEWAY)]),
            expected=60,
            disk=2 << 30,
            write=lambda folder: _write_deps(layout, [GATEWAY], folder, progress),
        ),
    ]


def thin_archive(layout: Layout, part: Part, notes: Path, folder: Path) -> Path:
    """Write an image whose dependencies the cluster has: manifest, configuration and the code's layer."""
    target = folder / "app"
    run(
        [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            sys.executable,
            "--no-deps",
            "--no-build-isolation",
            "--no-cache",
            "--compile-bytecode",
            "--target",
            target,
            *[layout.repo / name for name in part.code],
        ],
        env={"PYC_INVALIDATION_MODE": "UNCHECKED_HASH"},
    )
    (target / ".lock").unlink(missing_ok=True)
    layers = [oci.tree_layer(layout.repo / source, place) for source, place in part.files]
    layers.append(oci.tree_layer(target, _CODE))
    image = oci.Image.from_json((notes / f"{part.name}.json").read_text())
    for layer in layers:
        image = image.with_layer(layer, "COPY code")
    archive = folder / f"{part.name}.tar"
    oci.write_archive(archive, reference(layout, part), image, layers)
    return archive


def _write_deps(layout: Layout, parts: list[Part], folder: Path, progress: Progress) -> list[Path]:
    """Build the `deps` of some parts, note their layers beside, and return what to unpack."""
    builder = Builder(folder / "storage")
    builder.load_base(debian.base_rootfs(layout, progress), _BASE, folder)
    exported = folder / "layout"
    for part in parts:
        name = f"{_PREFIX}/{part.name}-deps:{deps_key(layout, part)}" if part.code else reference(layout, part)
        below = [other for other in PARTS if other.name == part.stands_on]
        arguments = {"BASE_IMAGE": _BASE}
        if below:
            arguments["WORKER_IMAGE"] = f"{_PREFIX}/{below[0].name}-deps:{deps_key(layout, below[0])}"
        target = "deps" if part.code else ""
        builder.build(dockerfile(layout, part), layout.repo, name, target=target, arguments=arguments)
        builder.export(name, exported)
        (folder / f"{part.name}.json").write_text(oci.read_layout(exported, name).to_json())
    cache.discard(folder / "storage")
    return [exported]
