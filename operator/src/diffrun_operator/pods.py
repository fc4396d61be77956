"""One block's pod: pure, so that what it may do can be read and tested in one place.

It meets the restricted Pod Security Standard.
"""

import json
from typing import Any, TypeVar

from diffrun_contracts import names
from diffrun_contracts.params import COMPUTING_TYPES
from diffrun_contracts.spec import Block, Execution, ResourceList, Resources
from diffrun_operator import hub, peers
from diffrun_operator.model import CreateJob, Run
from diffrun_operator.settings import Settings

Manifest = dict[str, Any]
T = TypeVar("T")

GPU = "nvidia.com/gpu"
GPU_TOLERATION = {"key": GPU, "operator": "Exists", "effect": "NoSchedule"}
THREADS = "OMP_NUM_THREADS"
DOWNLOAD_TYPE = "downloadCheckpoint"

TMP_DIR = "/tmp"  # noqa: S108 - a volume of the pod's own
HOME_DIR = "/home/diffrun"
CACHE_DIR = "/cache"
SHM_DIR = "/dev/shm"  # noqa: S108 - a volume of the pod's own


def build_pod(run: Run, action: CreateJob, settings: Settings) -> Manifest:
    """The pod template's spec: restricted, without a service account's token."""
    block, worker = action.block, settings.worker
    defaults = (run.spec.defaults if run.spec else None) or Execution()
    gpu_count = gpus(block, defaults, worker.gpus)
    shared_memory = first_set(block.shared_memory, defaults.shared_memory, worker.shared_memory)
    pull_secrets = [*worker.image_pull_secrets, *(defaults.image_pull_secrets or ()), *(block.image_pull_secrets or ())]
    optional = {
        "serviceAccountName": worker.service_account,
        "runtimeClassName": first_set(block.runtime_class_name, defaults.runtime_class_name, worker.runtime_class_name),
        "priorityClassName": first_set(
            block.priority_class_name, defaults.priority_class_name, worker.priority_class_name
        ),
        "nodeSelector": {**worker.node_selector, **(defaults.node_selector or {}), **(block.node_selector or {})},
        "tolerations": _tolerations(block, defaults, settings, gpu_count),
        "imagePullSecrets": [{"name": name} for name in dict.fromkeys(pull_secrets)],
        "subdomain": names.peers_name(run.uid, block.name) if block.workers > 1 else None,
    }
    container = _container(block, defaults, settings, gpu_count, shared_memory)
    container["env"] += peers.environment(run, action)
    return {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": worker.termination_grace_seconds,
        "securityContext": _pod_security(worker.user),
        "containers": [container],
        "volumes": _volumes(settings, shared_memory),
        **{key: value for key, value in optional.items() if value},
    }


def gpus(block: Block, defaults: Execution, installation: int) -> int:
    """GPUs of each pod. A download takes run-wide defaults for itself no more than the installation's."""
    if block.gpus is not None:
        return block.gpus
    if block.type == DOWNLOAD_TYPE:
        return 0
    if defaults.gpus is not None:
        return defaults.gpus
    return installation if block.type in COMPUTING_TYPES else 0


def resources(gpu_count: int, *layers: Resources | None) -> dict[str, dict[str, str]]:
    """Requests and limits; the most specific layer that names a resource decides both of its values.

    Taking request and limit of one resource from different layers could make a request above its limit.
    """
    merged: dict[str, dict[str, str]] = {"requests": {}, "limits": {}}
    for layer in layers:  # the most specific one comes first
        if layer is None:
            continue
        requests, limits = _amounts(layer.requests), _amounts(layer.limits)
        decided = merged["requests"].keys() | merged["limits"].keys()
        merged["requests"].update({k: v for k, v in requests.items() if k not in decided})
        merged["limits"].update({k: v for k, v in limits.items() if k not in decided})
    if gpu_count:
        merged["requests"][GPU] = merged["limits"][GPU] = str(gpu_count)
    return {kind: amounts for kind, amounts in merged.items() if amounts}


def _amounts(amounts: ResourceList | None) -> dict[str, str]:
    return {} if amounts is None else amounts.model_dump(by_alias=True, exclude_none=True)


def first_set(*values: T | None) -> T | None:
    """The first value that is set: block over run over installation."""
    return next((value for value in values if value is not None), None)


def _pod_security(user: int) -> Manifest:
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def _tolerations(block: Block, defaults: Execution, settings: Settings, gpu_count: int) -> list[Manifest]:
    given = [*settings.worker.tolerations, *(defaults.tolerations or ()), *(block.tolerations or ())]
    dumped = [item.model_dump(by_alias=True, exclude_none=True) for item in given]
    dumped += [GPU_TOLERATION] if gpu_count else []
    return list({json.dumps(item, sort_keys=True): item for item in dumped}.values())


def _container(
    block: Block, defaults: Execution, settings: Settings, gpu_count: int, shared_memory: str | None
) -> Manifest:
    worker, workspace = settings.worker, settings.workspace
    wanted = resources(gpu_count, block.resources, defaults.resources, worker.resources)
    return {
        "name": names.CONTAINER,
        "image": worker.image,
        "imagePullPolicy": worker.image_pull_policy,
        "command": list(worker.command),
        "env": [*_env(block, settings, gpu_count), *_threads_env(wanted, settings)],
        **({"envFrom": [{"secretRef": {"name": workspace.secret}}]} if workspace.secret else {}),
        **({"resources": wanted} if wanted else {}),
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": names.TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "pod-info", "mountPath": names.POD_INFO_DIR, "readOnly": True},
            {"name": "tmp", "mountPath": TMP_DIR},
            {"name": "home", "mountPath": HOME_DIR},
            {"name": "cache", "mountPath": CACHE_DIR},
            *([{"name": "workspace", "mountPath": workspace.mount}] if workspace.claim else []),
            *([{"name": "shm", "mountPath": SHM_DIR}] if shared_memory else []),
        ],
    }


def _env(block: Block, settings: Settings, gpu_count: int) -> list[Manifest]:
    plain = {
        **settings.worker.env,
        names.ENV_WORKSPACE: settings.workspace.location,
        **({names.ENV_WORKSPACE_SECRET: settings.workspace.secret} if settings.workspace.secret else {}),
        names.ENV_GPUS: str(gpu_count),
        "HOME": HOME_DIR,
        "TMPDIR": TMP_DIR,
        "XDG_CACHE_HOME": CACHE_DIR,
        "HF_HOME": f"{CACHE_DIR}/huggingface",
        "TORCHINDUCTOR_CACHE_DIR": f"{CACHE_DIR}/inductor",
        "TRITON_CACHE_DIR": f"{CACHE_DIR}/triton",
        "CUDA_CACHE_PATH": f"{CACHE_DIR}/cuda",
        **({names.ENV_HF_ENDPOINT: settings.hub.endpoint} if settings.hub.endpoint else {}),
        **({names.ENV_ALLOW_USER_CODE: "1"} if settings.worker.allow_user_code and block.infer else {}),
    }
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        _field_env(names.ENV_POD_NAME, "metadata.name"),
        _field_env(names.ENV_POD_UID, "metadata.uid"),
        *_redis_env(settings),
        *hub.token_env(block, settings),
    ]


def _threads_env(wanted: dict[str, dict[str, str]], settings: Settings) -> list[Manifest]:
    """As many threads as the CPU limit allows: torch counts the node's cores, and threads beyond the limit wait."""
    if "cpu" not in wanted.get("limits", {}) or THREADS in settings.worker.env:
        return []
    limit = {"containerName": names.CONTAINER, "resource": "limits.cpu", "divisor": "1"}  # rounded up
    return [{"name": THREADS, "valueFrom": {"resourceFieldRef": limit}}]


def _field_env(name: str, path: str) -> Manifest:
    return {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}


def _redis_env(settings: Settings) -> list[Manifest]:
    """The Secret is optional: a worker without Redis still does its work and writes its files."""
    worker = settings.worker
    if worker.redis_secret:
        secret = {"name": worker.redis_secret.name, "key": worker.redis_secret.key, "optional": True}
        return [{"name": names.ENV_REDIS_URL, "valueFrom": {"secretKeyRef": secret}}]
    return [{"name": names.ENV_REDIS_URL, "value": worker.redis_url}] if worker.redis_url else []


def _volumes(settings: Settings, shared_memory: str | None) -> list[Manifest]:
    scratch, workspace = settings.worker.scratch, settings.workspace
    return [
        {"name": "pod-info", "downwardAPI": {"items": _pod_info()}},
        _empty_dir("tmp", scratch.tmp),
        _empty_dir("home", scratch.home),
        _empty_dir("cache", scratch.cache),
        *([{"name": "workspace", "persistentVolumeClaim": {"claimName": workspace.claim}}] if workspace.claim else []),
        *([_empty_dir("shm", shared_memory, medium="Memory")] if shared_memory else []),
    ]


def _pod_info() -> list[Manifest]:
    files = {
        names.FILE_TASK: names.ANNOTATION_TASK,
        names.FILE_PAUSE: names.ANNOTATION_PAUSE,
        names.FILE_INDEX_FAILURES: names.ANNOTATION_INDEX_FAILURES,
        names.FILE_INDEX_IGNORED: names.ANNOTATION_INDEX_IGNORED,
    }
    return [
        {"path": path, "fieldRef": {"apiVersion": "v1", "fieldPath": f"metadata.annotations['{key}']"}}
        for path, key in files.items()
    ]


def _empty_dir(name: str, size: str | None, medium: str | None = None) -> Manifest:
    options = {"sizeLimit": size, "medium": medium}
    return {"name": name, "emptyDir": {key: value for key, value in options.items() if value}}
