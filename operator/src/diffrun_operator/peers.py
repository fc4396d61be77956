"""Pods that train together: how they find each other, and how they alone may talk.

What a rendezvous needs is made before the Job: a headless Service that names pods before they are ready, and, where
NetworkPolicies fence the workers in, one that opens the fence between the pods of this one block. It names no ports,
since gloo and NCCL listen wherever the kernel lets them. Both belong to the run and go with it.
"""

from typing import Any

from diffrun_contracts import names
from diffrun_contracts.spec import Block
from diffrun_operator.model import CreateJob, Run
from diffrun_operator.settings import Settings

Manifest = dict[str, Any]


def companions(run: Run, block: Block, settings: Settings) -> list[Manifest]:
    """What has to exist before the Job of a block whose pods work together; nothing for all others."""
    if block.workers == 1:
        return []
    return [_service(run, block), *([_network_policy(run, block)] if settings.worker.fenced else [])]


def environment(run: Run, action: CreateJob) -> list[Manifest]:
    """torchrun's variables, with the Job's completion index as the rank; nothing where a pod works alone."""
    if action.block.workers == 1:
        return []
    index = f"metadata.annotations['{names.ANNOTATION_INDEX}']"
    plain = {
        names.ENV_MASTER_ADDR: f"{action.name}-0.{names.peers_name(run.uid, action.block.name)}",
        names.ENV_MASTER_PORT: str(names.MASTER_PORT),
        names.ENV_WORLD_SIZE: str(action.block.workers),
        names.ENV_LOCAL_RANK: "0",
    }
    return [
        *({"name": name, "value": value} for name, value in plain.items()),
        {"name": names.ENV_RANK, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": index}}},
    ]


def owner(run: Run) -> Manifest:
    """Without blockOwnerDeletion, which would ask for the right to update the run's finalizers."""
    return {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": run.name, "uid": run.uid, "controller": True}


def _service(run: Run, block: Block) -> Manifest:
    port = {"name": "rendezvous", "port": names.MASTER_PORT, "protocol": "TCP"}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": _metadata(run, block),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": _selector(run, block),
            "ports": [port],
        },
    }


def _network_policy(run: Run, block: Block) -> Manifest:
    pods = {"podSelector": {"matchLabels": _selector(run, block)}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": _metadata(run, block),
        "spec": {
            **pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [pods]}],
            "egress": [{"to": [pods]}],
        },
    }


def _metadata(run: Run, block: Block) -> Manifest:
    return {
        "name": names.peers_name(run.uid, block.name),
        "namespace": run.namespace,
        "labels": {names.LABEL_MANAGED_BY: names.MANAGED_BY, names.LABEL_RUN: run.name, **_selector(run, block)},
        "ownerReferences": [owner(run)],
    }


def _selector(run: Run, block: Block) -> dict[str, str]:
    """The block's pods of every attempt: only one of them lives at a time."""
    return {names.LABEL_RUN_UID: run.uid, names.LABEL_BLOCK: block.name}
