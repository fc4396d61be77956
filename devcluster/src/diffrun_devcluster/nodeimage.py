"""The kind node from packages: its image in our podman, and the images of Kubernetes' own components."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from diffrun_devcluster import cache, debian, gotools, oci, podman
from diffrun_devcluster.builder import Builder
from diffrun_devcluster.commands import run, works
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import (
    COREDNS_IMAGE,
    ETCD_IMAGE,
    KUBERNETES,
    PAUSE_IMAGE,
    Layout,
    key_of,
)

_PROXY = "kube-proxy"
_COMPONENTS = {
    "kube-apiserver": f"registry.k8s.io/kube-apiserver:{KUBERNETES}",
    "kube-controller-manager": f"registry.k8s.io/kube-controller-manager:{KUBERNETES}",
    "kube-scheduler": f"registry.k8s.io/kube-scheduler:{KUBERNETES}",
    "etcd": ETCD_IMAGE,
}
_PROXY_IMAGE = f"registry.k8s.io/{_PROXY}:{KUBERNETES}"


def reference(layout: Layout) -> str:
    """The node image's name in our podman, which changes with anything that goes into it."""
    tools = gotools.folder(layout).name
    packages = [debian.NODE_PACKAGES]
    return f"localhost/diffrun-node:{key_of([tools, *packages, layout.recipes / 'node'])}"


def ensure(layout: Layout, progress: Progress) -> str:
    """Build the node image unless our podman has it; returns its name."""
    name = reference(layout)
    env = podman.environment(layout)
    if works(["podman", "image", "exists", name], env=env):
        return name
    tools = gotools.ensure(layout, gotools.USER_PROGRAMS + gotools.NODE_PROGRAMS, progress)
    rootfs = debian.node_rootfs(layout, progress)
    with progress.step("Node image", 45), cache.scratch(layout, "node-image") as context:
        shutil.copytree(layout.recipes / "node" / "files", context / "files")
        (context / "files" / "kind" / "version").write_text(f"{KUBERNETES}\n")
        (context / "bin").mkdir()
        for program in ("kubelet", "kubeadm", "kubectl"):
            (context / "bin" / program).hardlink_to(tools / program)
        (context / "rootfs.tar").hardlink_to(rootfs)
        run(
            [
                "buildah",
                "bud",
                "--isolation",
                "chroot",
                "--network",
                "host",
                "--format",
                "docker",
                "--tag",
                name,
                "--file",
                layout.recipes / "node" / "Dockerfile",
                context,
            ],
            env={**env, "CONTAINERS_CONF": "/dev/null"},
        )
    return name


def component_archives(layout: Layout, folder: Path, progress: Progress) -> list[Path]:
    """Write an archive of each image that a node starts with; returns their paths."""
    tools = gotools.ensure(layout, gotools.NODE_PROGRAMS, progress)
    archives = []
    for program, name in _COMPONENTS.items():
        archives.append(_around(tools / program, program, name, folder))
    archives.append(_around(tools / "coredns", "coredns", COREDNS_IMAGE, folder, entrypoint="/usr/local/bin/coredns"))
    archives.append(_pause(layout, folder, progress))
    archives.append(_proxy(layout, tools / _PROXY, folder, progress))
    return archives


def _around(binary: Path, program: str, name: str, folder: Path, entrypoint: str = "") -> Path:
    """An image of one static binary."""
    layer = oci.layer_of([(f"usr/local/bin/{program}", binary)], ["usr", "usr/local", "usr/local/bin", "tmp"])
    image = oci.Image().with_layer(layer, f"COPY {program} /usr/local/bin/")
    image.config["config"] = {"Env": ["PATH=/usr/local/bin"]}
    if entrypoint:
        image.config["config"]["Entrypoint"] = [entrypoint]
    archive = folder / f"{program}.tar"
    oci.write_archive(archive, name, image, [layer])
    return archive


def _pause(layout: Layout, folder: Path, progress: Progress) -> Path:
    """Debian's static catatonit, told to pause."""
    binary = folder / "pause"
    with tarfile.open(debian.node_rootfs(layout, progress)) as rootfs:
        found = rootfs.extractfile("./usr/bin/catatonit")
        if found is None:
            raise KeyError("catatonit")
        binary.write_bytes(found.read())
    binary.chmod(0o755)
    layer = oci.layer_of([("pause", binary)])
    image = oci.Image().with_layer(layer, "COPY pause /")
    image.config["config"] = {"Entrypoint": ["/pause", "-P"], "User": "65535:65535"}
    archive = folder / "pause.tar"
    oci.write_archive(archive, PAUSE_IMAGE, image, [layer])
    return archive


def _proxy(layout: Layout, binary: Path, folder: Path, progress: Progress) -> Path:
    """kube-proxy, which drives iptables and nft."""
    base = debian.base_rootfs(layout, progress)
    builder = Builder(folder / "storage")
    builder.load_base(base, "localhost/base", folder)
    context = folder / _PROXY
    context.mkdir()
    (context / _PROXY).hardlink_to(binary)
    dockerfile = layout.recipes / "node" / "kube-proxy.Dockerfile"
    builder.build(dockerfile, context, _PROXY_IMAGE, arguments={"BASE_IMAGE": "localhost/base"})
    layout_folder = folder / "layout"
    builder.export(_PROXY_IMAGE, layout_folder)
    return layout_folder
