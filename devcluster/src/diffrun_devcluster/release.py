"""Installs diffrun on the development cluster, as the demo and the end-to-end tests need it."""

import base64
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from diffrun_contracts import names
from diffrun_devcluster.kubectl import Kubectl, KubectlError, Manifest, condition
from diffrun_devcluster.settings import layout
from diffrun_devcluster.workspace import WorkspaceReader

ROOT = Path(__file__).parents[3]
CHART = ROOT / "charts" / "diffrun"
KIND_VALUES = CHART / "ci" / "kind-values.yaml"
CRDS = ROOT / "manifests" / "crds"
HUB_NAMESPACE = "diffrun-testkit"
HUB_PORT = 8000


@dataclass(frozen=True)
class Images:
    """Image references, by part."""

    operator: str
    worker: str
    testkit: str
    gateway: str
    redis: str

    @classmethod
    def load(cls) -> "Images":
        """What `make images` has last loaded into the cluster."""
        loaded = json.loads(layout().images.read_text())
        return cls(**{part: loaded[part] for part in ("operator", "worker", "testkit", "gateway", "redis")})


def volume_values(existing: bool) -> dict[str, str]:
    """Where the volumes lie, on top of KIND_VALUES: only our own node has its directory, elsewhere claims are made.

    They ask for the access that every StorageClass gives: the pods that share one are on one node (singleNode).
    """
    if not existing:
        return {}
    return {"workspace.hostPath": "", "workspace.accessMode": "ReadWriteOnce", "redis.persistence.hostPath": ""}


def split_reference(reference: str) -> tuple[str, str]:
    """An image's repository and tag."""
    repository, _, tag = reference.rpartition(":")
    return repository, tag


@dataclass(frozen=True)
class Release:
    """One installation of the chart. Its name contains `diffrun`, so that its objects are named after it alone."""

    cluster: Kubectl
    name: str
    namespace: str
    images: Images
    hub: str | None
    test_blocks: bool = True
    """Whether the workers bring the test kit's blocks."""
    pages: bool = False
    """Whether the gateway serves the pages."""

    @property
    def kubectl(self) -> Kubectl:
        """kubectl in the release's namespace."""
        return self.cluster.within(self.namespace)

    def install(self, **values: str) -> None:
        """`helm upgrade --install`, and waits until it is ready; the CRD is there by `install_crds`."""
        self.make_namespace()
        self._helm("upgrade", "--install", self.name, str(CHART), "--wait", "--timeout", "5m",
                   "--values", str(KIND_VALUES), "--set", "crds.install=false", *self.chart_values(values))  # fmt: skip

    def make_namespace(self) -> None:
        """The namespace, once whatever a release of the same name has left is gone; it takes restricted pods alone."""
        self._clear_leftovers()
        self.cluster.run("apply", "--server-side", "--filename", "-", stdin=json.dumps(restricted(self.namespace)))

    def _clear_leftovers(self) -> None:
        """Waits for a namespace that is on its way out, and frees the volumes of one that is gone."""
        namespace = self.cluster.find("namespace", self.namespace)
        if namespace is not None and "deletionTimestamp" in namespace["metadata"]:
            self.cluster.wait(f"namespace/{self.namespace}", "delete", 120)
            namespace = None
        if namespace is None:
            self.cluster.run("delete", "pv", "--selector", f"app.kubernetes.io/instance={self.name}", "--wait=true")

    def uninstall(self) -> None:
        """Removes the release and its namespace, but not the CRD."""
        self.cluster.run("delete", "dfr", "--all", "--namespace", self.namespace, "--ignore-not-found")
        self._helm("uninstall", self.name, "--ignore-not-found", "--wait", "--timeout", "2m")
        self.cluster.run("delete", "namespace", self.namespace, "--ignore-not-found", "--wait=false")

    def chart_values(self, values: dict[str, str]) -> list[str]:
        """What helm is told of this cluster, this release and `values`, which win."""
        worker = self.images.testkit if self.test_blocks else self.images.worker
        settings = volume_values(layout().existing) | {"gateway.enabled": str(self.pages).lower(), **values}
        chosen = {"operator": self.images.operator, "worker": worker, "gateway": self.images.gateway}
        for part, reference in {**chosen, "redis": self.images.redis}.items():
            repository, tag = split_reference(reference)
            settings |= {f"{part}.image.repository": repository, f"{part}.image.tag": tag}
        if self.hub:
            settings["huggingFace.endpoint"] = self.hub
        return [word for key, value in settings.items() for word in ("--set-string" if "tag" in key else "--set",
                                                                    f"{key}={value}")]  # fmt: skip

    def _helm(self, *args: str) -> None:
        command = ["helm", *args, "--namespace", self.namespace]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.cluster.environment())
        if done.returncode != 0:
            raise KubectlError(f"{' '.join(command)}: {done.stderr.strip()}\n{self.describe()}")

    @property
    def operator(self) -> str:
        """The operator's Deployment."""
        return f"deployment/{self.name}-operator"

    def stop_operator(self) -> None:
        """Scales the operator to nothing and waits until its pod is gone."""
        self.kubectl.run("scale", self.operator, "--replicas=0")
        self.kubectl.run("wait", "pod", "--selector", self._component("operator"), "--for=delete", "--timeout=60s")

    def start_operator(self) -> None:
        """Scales the operator to one and waits until it is available."""
        self.kubectl.run("scale", self.operator, "--replicas=1")
        self.kubectl.run("rollout", "status", self.operator, "--timeout=120s")

    def _component(self, component: str) -> str:
        return f"app.kubernetes.io/instance={self.name},app.kubernetes.io/component={component}"

    def ensure_approver(self, person: str) -> str:
        """A service account with the approver's role in this namespace; its user name."""
        subject: Manifest = {"kind": "ServiceAccount", "name": person, "namespace": self.namespace}
        self.kubectl.apply(
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": person}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": f"{person}-approves"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": self._approver_role(),
                },
                "subjects": [subject],
            },
        )
        return f"system:serviceaccount:{self.namespace}:{person}"

    def _approver_role(self) -> str:
        (role,) = self.cluster.items("clusterroles", self._component("approver"))
        name: str = role["metadata"]["name"]
        return name

    @property
    def redis(self) -> str:
        """The chart's Redis."""
        return f"statefulset/{self.name}-redis"

    @property
    def redis_selector(self) -> str:
        """The labels of its pod."""
        return self._component("redis")

    def redis_events(self, key: str) -> list[Manifest]:
        """Every event of a run's stream, in order, as the `reader` sees them."""
        secret = self.kubectl.get("secret", f"{self.name}-redis")["data"]
        url = base64.b64decode(secret["url-reader"]).decode()
        query = ("redis-cli", "--no-auth-warning", "-u", url, "--json", "XRANGE", key, "-", "+")
        entries = json.loads(self.kubectl.run("exec", self.redis, "--", *query))
        return [json.loads(fields[1]) for _, fields in entries]

    @property
    def workspace(self) -> WorkspaceReader:
        """The release's workspace, read through a pod."""
        return WorkspaceReader(self.kubectl, claim=f"{self.name}-workspace", image=self.images.operator)

    def describe(self) -> str:
        """What a person would look at first when something is wrong here."""
        looks = [
            ("get", "dfr,jobs,pods", "--output", "wide"),
            ("get", "dfr", "--output", "yaml"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", self.operator, "--tail=60"),
            ("logs", "--selector", names.LABEL_RUN, "--tail=15", "--prefix"),
        ]
        shown = [(look, self.kubectl.try_run(*look)) for look in looks]
        return "\n".join(f"$ kubectl {' '.join(look)}\n{done.stdout}{done.stderr}" for look, done in shown)


def install_crds(cluster: Kubectl) -> None:
    """Applies this checkout's CRD: several releases share it, and none of them owns it."""
    cluster.run("apply", "--server-side", "--force-conflicts", "--filename", str(CRDS))
    # `kubectl wait` gives up at once on an object that has no conditions yet.
    name = f"{names.PLURAL}.{names.GROUP}"
    cluster.watch("crd", name, lambda crd: condition(crd, "Established").get("status") == "True", 60, "Established")


def restricted(namespace: str) -> Manifest:
    """A namespace that takes no pod below the restricted Pod Security Standard."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}


def hub_endpoint() -> str:
    """The URL of the Hub-compatible server inside the cluster."""
    return f"http://hub.{HUB_NAMESPACE}.svc:{HUB_PORT}"


def install_hub(cluster: Kubectl, images: Images) -> None:
    """Runs the test kit's Hub-compatible server in a namespace of its own, and waits until it answers."""
    labels = {"app.kubernetes.io/name": "hub"}
    cluster.apply(restricted(HUB_NAMESPACE))
    there = cluster.within(HUB_NAMESPACE)
    there.apply(_hub_deployment(images.testkit, labels), _hub_service(labels))
    there.run("rollout", "status", "deployment/hub", "--timeout=120s")


def _hub_deployment(image: str, labels: dict[str, str]) -> Manifest:
    container: Manifest = {
        "name": "hub",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-m", "diffrun_testkit.hub", "--port", str(HUB_PORT)],
        "ports": [{"containerPort": HUB_PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": HUB_PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
    }
    pod: Manifest = {
        "automountServiceAccountToken": False,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "hub", "labels": labels},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def _hub_service(labels: dict[str, str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hub", "labels": labels},
        "spec": {"selector": labels, "ports": [{"port": HUB_PORT}]},
    }
