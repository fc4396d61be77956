"""The commands: what `up`, `images`, `down`, `status` and `env` do with the parts of this package."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from diffrun_devcluster import cache, gotools, host, images, kind, nodeimage, podman, provider, settings, store
from diffrun_devcluster.commands import run, works
from diffrun_devcluster.errors import MissingToolError, NoClusterError, NotRootError, UnsupportedError
from diffrun_devcluster.images import Part
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.provider import Provider
from diffrun_devcluster.settings import NAMESPACE_OF_IMAGES, NODE, Layout

_STORE_NOTE = "store"


def up(layout: Layout, progress: Progress) -> None:
    """Bring the cluster up, building what is missing; does nothing to one that is up and current."""
    way = provider.choose(layout)
    if way is Provider.EXISTING:
        _use_existing(layout, progress)
        return
    if way is Provider.PACKAGES:
        progress.note("No registry in reach: kind from packages (DIFFRUN_PROVIDER chooses otherwise).")
        host.check_packages_world()
        host.install_for_the_cluster(progress)
        gotools.ensure(layout, gotools.USER_PROGRAMS + gotools.NODE_PROGRAMS, progress)
        image = nodeimage.ensure(layout, progress)
        content: Path | None = store.ensure(layout, image, _stages(layout, image, progress), progress)
    else:
        if missing := [program for program in gotools.USER_PROGRAMS if shutil.which(program.name) is None]:
            gotools.ensure(layout, tuple(missing), progress)
        image, content = settings.PULLED_NODE_IMAGE, None
    _make(layout, way, image, content, progress)
    cache.prune(layout)


def load_images(layout: Layout, progress: Progress) -> dict[str, str]:
    """Bring the project's images into the cluster and write their references beside the kubeconfig."""
    way = provider.choose(layout)
    parts = images.present(layout)
    references = {part.name: images.reference(layout, part) for part in parts}
    if way is Provider.EXISTING:
        references = _push(layout, parts, progress)
    else:
        if way is Provider.PACKAGES and os.geteuid() != 0:
            raise NotRootError("Loading images into the cluster")
        machine = _kind(layout, way)
        if not machine.exists():
            raise NoClusterError
        there = _images_in_node(machine)
        missing = [part for part in parts if references[part.name] not in there]
        if missing and way is Provider.PACKAGES:
            _load_thin(layout, machine, missing, progress)
        elif missing:
            _load_built(layout, machine, missing, progress)
    layout.images.write_text(json.dumps(references, indent=2) + "\n")
    return references


def down(layout: Layout, progress: Progress, *, purge: bool) -> None:
    """Take the cluster away with everything that it left on the machine; the cache stays unless purged."""
    way = provider.choose(layout)
    if way is not Provider.EXISTING:
        if way is Provider.PACKAGES and os.geteuid() != 0:
            raise NotRootError("Taking the cluster away")
        machine = _kind(layout, way)
        with progress.step("Delete the cluster", 12):
            if machine.exists():
                machine.delete(layout.kubeconfig)
            if way is Provider.PACKAGES:
                podman.remove_everything(layout)
    cache.discard(layout.state)
    if purge:
        with progress.step(f"Remove {layout.cache}"):
            cache.discard(layout.cache)


def status(layout: Layout) -> dict[str, str]:
    """What is there, for people and scripts."""
    way = provider.choose(layout)
    healthy = layout.kubeconfig.exists() and works(
        [_tool(layout, "kubectl"), "--kubeconfig", layout.kubeconfig, "--request-timeout=5s", "get", "--raw", "/readyz"]
    )
    there = {
        "provider": way.value,
        "cluster": "ready" if healthy else "not up",
        "kubeconfig": str(layout.kubeconfig),
        "images": str(layout.images),
        "tools": str(gotools.folder(layout)),
    }
    if way is not Provider.EXISTING:
        there |= {"workspaces": settings.NODE_WORKSPACES, "url": f"http://127.0.0.1:{settings.host_port()}"}
    return there


def shell_environment(layout: Layout) -> list[str]:
    """Lines for `eval`: kubectl and helm on PATH, and our kubeconfig."""
    return [f"export KUBECONFIG={layout.kubeconfig}", f'export PATH="{gotools.folder(layout)}:$PATH"']


def _stages(layout: Layout, image: str, progress: Progress) -> list[store.Stage]:
    kubernetes = store.Stage(
        "the images of Kubernetes",
        image,
        expected=60,
        disk=6 << 30,
        write=lambda folder: nodeimage.component_archives(layout, folder, progress),
    )
    return [kubernetes, *images.stages(layout, progress)]


def _make(layout: Layout, way: Provider, image: str, content: Path | None, progress: Progress) -> None:
    machine = _kind(layout, way)
    kubectl = _tool(layout, "kubectl")
    wanted = f"{image} {content.name if content else ''}\n"
    note = layout.state / _STORE_NOTE
    if machine.exists():
        current = note.exists() and note.read_text() == wanted
        if current and machine.healthy(kubectl, layout.kubeconfig):
            progress.note(f"The cluster is up. KUBECONFIG={layout.kubeconfig}")
            return
        why = "is not well" if current else "was made from other versions or lock files"
        with progress.step(f"Remove the present cluster, which {why}", 12):
            machine.delete(layout.kubeconfig)
    cache.discard(layout.state)
    port = settings.host_port()
    host.check_port(port)
    cache.need_disk(layout, 2 << 30)
    provider.record(layout, way)
    owned: Path | None = None
    if content is not None:
        owned = layout.state / "containerd"
        with progress.step("Lay out the node's images", 3):
            cache.clone_by_links(content / "containerd", owned)
    config = layout.state / "kind.yaml"
    config.write_text(kind.configuration(port=port, store=owned))
    with progress.step(f"Create the cluster ({way})", kind.CREATE_SECONDS):
        machine.create(image, config, layout.kubeconfig)
        machine.prepare(kubectl, layout.kubeconfig)
    note.write_text(wanted)
    progress.note(f"KUBECONFIG={layout.kubeconfig}")


def _kind(layout: Layout, way: Provider) -> kind.Kind:
    if way is Provider.PACKAGES:
        return kind.Kind(_tool(layout, "kind"), "podman", podman.environment(layout))
    return kind.Kind(_tool(layout, "kind"), way.value, {"KIND_EXPERIMENTAL_PROVIDER": way.value})


def _tool(layout: Layout, name: str) -> str:
    ours = gotools.folder(layout) / name
    return str(ours) if ours.exists() else name


def _images_in_node(machine: kind.Kind) -> set[str]:
    listed = run(
        [machine.engine, "exec", NODE, "ctr", "--namespace", NAMESPACE_OF_IMAGES, "images", "ls", "--quiet"],
        env=machine.env,
    )
    return set(listed.split())


def _load_thin(layout: Layout, machine: kind.Kind, parts: list[Part], progress: Progress) -> None:
    image = nodeimage.reference(layout)
    content = layout.cache / store.name_of(_stages(layout, image, progress))
    note = layout.state / _STORE_NOTE
    if not note.exists() or note.read_text() != f"{image} {content.name}\n":
        raise UnsupportedError(
            "The node holds other dependencies than the lock files ask for.", "Remake it, in half a minute: make up"
        )
    for part in parts:
        if not part.code:
            continue
        with progress.step(f"Image {images.reference(layout, part)}", 3), cache.scratch(layout, part.name) as folder:
            archive = images.thin_archive(layout, part, content / "notes", folder)
            with archive.open("rb") as stream:
                run(
                    [
                        "podman",
                        "exec",
                        "--interactive",
                        NODE,
                        "ctr",
                        "--namespace",
                        NAMESPACE_OF_IMAGES,
                        "images",
                        "import",
                        "--snapshotter",
                        "overlayfs",
                        "-",
                    ],
                    env=machine.env,
                    stdin=stream,
                )


def _load_built(layout: Layout, machine: kind.Kind, parts: list[Part], progress: Progress) -> None:
    built = [_build(layout, machine.engine, part, images.reference(layout, part), progress) for part in parts]
    with progress.step("Load the images into the node", 90):
        if machine.engine == "docker":
            run([machine.program, "load", "docker-image", "--name", settings.CLUSTER, *built], env=machine.env)
            return
        with cache.scratch(layout, "load") as folder:
            archive = folder / "images.tar"
            run(["podman", "save", "--multi-image-archive", "--output", archive, *built])
            run([machine.program, "load", "image-archive", "--name", settings.CLUSTER, archive], env=machine.env)


def _build(layout: Layout, engine: str, part: Part, name: str, progress: Progress) -> str:
    worker = images.reference(layout, images.WORKER)
    with progress.step(f"Image {name}", 120):
        run(
            [
                engine,
                "build",
                "--file",
                images.dockerfile(layout, part),
                "--tag",
                name,
                *([f"--build-arg=WORKER_IMAGE={worker}"] if part.stands_on else []),
                layout.repo,
            ],
            env={"DOCKER_BUILDKIT": "1"},
        )
    return name


def _use_existing(layout: Layout, progress: Progress) -> None:
    for tool in ("kubectl", "helm"):
        if shutil.which(tool) is None:
            raise MissingToolError(
                f"{tool} is not installed.", "Install it, or leave CLUSTER unset for a cluster of our own."
            )
    context = kind.context_of("kubectl")
    progress.note(f"CLUSTER=existing: the context {context['context']} at {context['server']}")
    layout.state.mkdir(parents=True, exist_ok=True)
    layout.kubeconfig.touch(mode=0o600)
    layout.kubeconfig.write_text(run(["kubectl", "config", "view", "--minify", "--flatten"]))


def _push(layout: Layout, parts: list[Part], progress: Progress) -> dict[str, str]:
    """An existing cluster pulls: build with Docker and push where it can pull from."""
    registry = os.environ.get("DIFFRUN_REGISTRY", "").rstrip("/")
    if not registry:
        raise UnsupportedError(
            "CLUSTER=existing pulls its images, and no registry is named.",
            "DIFFRUN_REGISTRY=registry.example/diffrun names one that Docker here may push to.",
        )
    pushed = {}
    for part in parts:
        local = _build(layout, "docker", part, images.reference(layout, part), progress)
        pushed[part.name] = f"{registry}/{local.rpartition('/')[2]}"
        with progress.step(f"Push {pushed[part.name]}", 60):
            run(["docker", "tag", local, pushed[part.name]])
            run(["docker", "push", pushed[part.name]])
    return pushed
