"""The programs that come from Go modules: Kubernetes, etcd, CoreDNS, Helm and kind.

Each is pinned by a committed go.mod and verified by its go.sum. A program is built into the cache under
the key of all recipes and appears there complete or not at all; Go's own build cache makes a second,
interrupted or slightly different build cheap.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from diffrun_devcluster import cache
from diffrun_devcluster.commands import run
from diffrun_devcluster.errors import MissingToolError
from diffrun_devcluster.progress import Progress
from diffrun_devcluster.settings import KUBERNETES, Layout, key_of

OLDEST_GO = (1, 24)
_GO_REMEDY = (
    f"Install Go {'.'.join(map(str, OLDEST_GO))} or newer from https://go.dev/dl/ and put it on PATH "
    "(it fetches a newer toolchain for itself where a module asks for one)."
)


@dataclass(frozen=True)
class Program:
    """One binary: its name, the module folder that pins it, its package, and seconds of a cold build."""

    name: str
    module: str
    package: str
    expected: float


# What people and the tests call, and what goes into the node. The order is that of the build: the first
# Kubernetes program pays for most of the others.
USER_PROGRAMS = (
    Program("kind", "kind", "sigs.k8s.io/kind", 30),
    Program("kubectl", "kubernetes", "k8s.io/kubernetes/cmd/kubectl", 110),
    Program("helm", "helm", "helm.sh/helm/v3/cmd/helm", 90),
)
NODE_PROGRAMS = (
    Program("kubeadm", "kubernetes", "k8s.io/kubernetes/cmd/kubeadm", 40),
    Program("kubelet", "kubernetes", "k8s.io/kubernetes/cmd/kubelet", 110),
    Program("kube-apiserver", "kubernetes", "k8s.io/kubernetes/cmd/kube-apiserver", 100),
    Program("kube-controller-manager", "kubernetes", "k8s.io/kubernetes/cmd/kube-controller-manager", 45),
    Program("kube-scheduler", "kubernetes", "k8s.io/kubernetes/cmd/kube-scheduler", 10),
    Program("kube-proxy", "kubernetes", "k8s.io/kubernetes/cmd/kube-proxy", 10),
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3", 25),
    Program("coredns", "coredns", "github.com/coredns/coredns", 100),
)


def folder(layout: Layout) -> Path:
    """Where this checkout's programs lie, built or not."""
    key = key_of([_ldflags("kubernetes"), layout.recipes / "gomods"])
    return layout.cache / f"tools-{key}"


def ensure(layout: Layout, programs: tuple[Program, ...], progress: Progress) -> Path:
    """Build what is missing of these programs; returns the folder that holds them."""
    target = folder(layout)
    missing = [program for program in programs if not (target / program.name).exists()]
    if missing:
        check_go()
        cache.need_disk(layout, 8 << 30)
    for number, program in enumerate(missing, 1):
        with progress.step(f"Build {program.name} ({number} of {len(missing)})", program.expected):
            _build(layout, program, target)
    return target


def check_go() -> None:
    """Raise MissingToolError unless there is a Go new enough to fetch a newer one."""
    try:
        version = run(["go", "env", "GOVERSION"], cwd=Path("/")).strip()
    except MissingToolError as missing:
        raise MissingToolError(
            "Go is not installed, and the cluster's tools are built with it.", _GO_REMEDY
        ) from missing
    numbers = version.removeprefix("go").split(".")
    if tuple(int(number) for number in numbers[:2]) < OLDEST_GO:
        raise MissingToolError(f"{version} is too old for the cluster's tools.", _GO_REMEDY)


def _build(layout: Layout, program: Program, target: Path) -> None:
    with cache.scratch(layout, program.name) as aside:
        binary = aside / program.name
        run(
            [
                "go",
                "build",
                "-trimpath",
                "-buildvcs=false",
                "-ldflags",
                _ldflags(program.module),
                "-o",
                binary,
                program.package,
            ],
            cwd=layout.recipes / "gomods" / program.module,
            env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "auto", "GOWORK": "off"},
        )
        target.mkdir(parents=True, exist_ok=True)
        binary.replace(target / program.name)


def _ldflags(module: str) -> str:
    if module != "kubernetes":
        return "-s -w"
    stamp = "-X k8s.io/component-base/version."
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    return (
        f"-s -w {stamp}gitVersion={KUBERNETES} {stamp}gitMajor={major} {stamp}gitMinor={minor} "
        f"{stamp}gitTreeState=clean"
    )
