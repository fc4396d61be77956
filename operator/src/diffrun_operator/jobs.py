"""One block as a Job: pure, so that what a pod may do can be read and tested in one place.

Nothing of a user's spec reaches the pod template but the fields named here and in `pods.py`.
"""

from typing import Any

from diffrun_contracts import names
from diffrun_contracts.params import Custom
from diffrun_contracts.spec import Block, Execution
from diffrun_contracts.task import BlockTask, Dependency, RunRef
from diffrun_operator import hub, peers
from diffrun_operator.model import CreateJob, Run
from diffrun_operator.pods import build_pod, first_set
from diffrun_operator.settings import Settings

Manifest = dict[str, Any]

_NO_LIMIT = 2_147_483_647
"""The Job API's largest backoffLimit: each index has its own limit, and no other may end the Job before it."""


def build_job(run: Run, action: CreateJob, settings: Settings) -> Manifest:
    """The Job of one attempt of a block, as the API server takes it.

    `run.spec` must be set: a run whose spec does not parse starts nothing.
    """
    if run.spec is None:
        raise ValueError(f"run {run.namespace}/{run.name} has no valid spec: no Job can be built")
    block, defaults = action.block, run.spec.defaults or Execution()
    labels = _labels(run, action)
    queue = first_set(block.queue_name, defaults.queue_name)
    retries = first_set(block.retries, defaults.retries, settings.worker.retries)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": action.name,
            "namespace": run.namespace,
            "labels": labels | ({names.LABEL_KUEUE_QUEUE: queue} if queue else {}),
            "ownerReferences": [peers.owner(run)],
        },
        "spec": {
            "completionMode": "Indexed",
            "completions": block.pods,
            "parallelism": block.pods,
            **_failure_limits(block, retries),
            "podReplacementPolicy": "Failed",
            **({"suspend": True} if queue else {}),
            "template": {
                "metadata": {"labels": labels, "annotations": _annotations(run, action, settings)},
                "spec": build_pod(run, action, settings),
            },
        },
    }


def build_task(run: Run, action: CreateJob) -> BlockTask:
    """What each pod of the block is asked to do."""
    block, parameters = action.block, action.block.parameters
    if isinstance(parameters, Custom):
        block_type, params = parameters.type, parameters.params
    else:
        block_type = block.type
        params = parameters.model_dump(mode="json", by_alias=True, exclude_none=True)
    return BlockTask(
        run=RunRef(namespace=run.namespace, name=run.name, uid=run.uid),
        block=block.name,
        type=block_type,
        params=params,
        attempt=action.attempt,
        shards=block.pods,
        seed=run.spec.seed if run.spec else 0,
        dependencies=tuple(Dependency(block=name, attempt=attempt) for name, attempt in action.dependencies),
    )


def _labels(run: Run, action: CreateJob) -> dict[str, str]:
    return {
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_RUN: run.name,
        names.LABEL_RUN_UID: run.uid,
        names.LABEL_BLOCK: action.block.name,
        names.LABEL_BLOCK_TYPE: action.block.type,
        names.LABEL_ATTEMPT: str(action.attempt),
        **({names.LABEL_EGRESS: names.EGRESS_HUB} if hub.leaves_the_cluster(action.block) else {}),
    }


def _failure_limits(block: Block, retries: int | None) -> Manifest:
    """What the Job controller does about a failed pod.

    A pod that works alone is replaced, `retries` times for its index, and a disruption costs none. Of pods that work
    together the first failure, whatever it is, fails the Job: the operator starts all of them again. The first rule
    that matches decides, so that a user error stays one even on a node that is being drained.
    """
    permanent = {"containerName": names.CONTAINER, "operator": "In", "values": [names.EXIT_PERMANENT]}
    rules: list[Manifest] = [{"action": "FailJob", "onExitCodes": permanent}]
    if block.workers > 1:
        return {"backoffLimit": 0, "podFailurePolicy": {"rules": rules}}
    rules.append({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]})
    return {
        "backoffLimitPerIndex": retries,
        "maxFailedIndexes": 0,
        "backoffLimit": _NO_LIMIT,
        "podFailurePolicy": {"rules": rules},
    }


def _annotations(run: Run, action: CreateJob, settings: Settings) -> dict[str, str]:
    """Ours come last: nobody hands a pod another task, or pauses it, by an annotation of the spec."""
    defaults = run.spec.defaults if run.spec else None
    return {
        **settings.worker.annotations,
        **((defaults.pod_annotations if defaults else None) or {}),
        **(action.block.pod_annotations or {}),
        names.ANNOTATION_TASK: build_task(run, action).to_json(),
        names.ANNOTATION_PAUSE: "false",
    }
