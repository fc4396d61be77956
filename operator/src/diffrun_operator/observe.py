"""Raw objects of the API server as the values that decisions are made of. Pure, no client, no clock."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from diffrun_contracts import names
from diffrun_contracts.reasons import BlockReason
from diffrun_contracts.spec import DiffusionRunSpec
from diffrun_contracts.status import DiffusionRunStatus
from diffrun_contracts.task import BlockResult
from diffrun_operator.model import JobPhase, ObservedJob, ObservedPod, PodPhase, Run

Raw = Mapping[str, Any]

MAX_MESSAGE = 900
"""Characters of a pod's own words; below the ledger's 1024, which decide's words share."""

JOB_NAME_LABEL = "batch.kubernetes.io/job-name"

_IMAGE_REASONS = frozenset({
    "ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError",
    "RegistryUnavailable",
})  # fmt: skip
_CONFIG_REASONS = frozenset({
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun",
    "PostStartHookError", "PreCreateHookError", "PreStartHookError",
})  # fmt: skip
_EVICTION_REASONS = frozenset({"Evicted", "Preempting", "NodeShutdown", "Terminated", "NodeLost", "NodeAffinity"})


class StatusUnreadableError(Exception):
    """A stored status that no version of this operator can have written: nothing is decided from a guess."""


def observe_run(raw: Raw) -> Run:
    """A DiffusionRun. A spec that does not parse is told in `spec_error`.

    Raises StatusUnreadableError where the ledger cannot be read.
    """
    meta = raw["metadata"]
    spec, spec_error = _spec(raw.get("spec") or {})
    try:
        status = DiffusionRunStatus.model_validate(raw.get("status") or {})
    except ValidationError as error:
        where = f"{meta['namespace']}/{meta['name']}"
        raise StatusUnreadableError(f"the status of run {where} cannot be read: {explain(error)}") from error
    return Run(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        generation=int(meta.get("generation", 0)),
        resource_version=str(meta["resourceVersion"]),
        spec=spec,
        spec_error=spec_error,
        status=status,
        deleting="deletionTimestamp" in meta,
    )


def _spec(raw: Raw) -> tuple[DiffusionRunSpec | None, str | None]:
    try:
        return DiffusionRunSpec.model_validate(raw), None
    except ValidationError as error:
        return None, explain(error, root="spec")


def explain(error: ValidationError, root: str = "") -> str:
    """Every problem of a model in one line, each with the path of its field, for example `spec.blocks[0].name`."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False):
        path = root
        for part in problem["loc"]:
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
        problems.append(f"{path.lstrip('.') or 'spec'}: {problem['msg'].removeprefix('Value error, ')}")
    return "; ".join(problems)


def observe_job(raw: Raw, run_uid: str) -> ObservedJob:
    """One Job that bears the run's label; `owned` says whether the run is its controller owner."""
    meta, status = raw["metadata"], raw.get("status") or {}
    labels = meta.get("labels") or {}
    phase, reason, finished = _job_phase(raw)
    return ObservedJob(
        name=meta["name"],
        uid=meta["uid"],
        owned=controller_uid(raw) == run_uid,
        block=labels.get(names.LABEL_BLOCK, ""),
        attempt=_int(labels.get(names.LABEL_ATTEMPT)),
        phase=phase,
        failure_reason=reason,
        finished_at=finished,
        succeeded=_int(status.get("succeeded")),
        version=meta.get("resourceVersion", ""),
    )


def _job_phase(raw: Raw) -> tuple[JobPhase, str | None, datetime | None]:
    """The phase, the Failed condition's reason, and when it finished. An end outlives a deletion that follows it."""
    status = raw.get("status") or {}
    conditions = _conditions(status)
    if complete := conditions.get("Complete"):
        finished = status.get("completionTime") or complete.get("lastTransitionTime")
        phase, reason = JobPhase.COMPLETE, None
    elif failed := conditions.get("Failed"):
        finished, reason = failed.get("lastTransitionTime"), failed.get("reason")
        phase = JobPhase.FAILED
    else:
        finished, reason = None, None
        phase = JobPhase.SUSPENDED if (raw.get("spec") or {}).get("suspend") else JobPhase.ACTIVE
    if "deletionTimestamp" in raw["metadata"]:
        phase = JobPhase.TERMINATING
    return phase, reason, _time(finished)


def observe_pod(raw: Raw, *, holding: bool = False) -> ObservedPod:
    """One pod of a Job. `holding` is what its worker has said, which no object of the API server tells."""
    meta, status = raw["metadata"], raw.get("status") or {}
    annotations, labels = meta.get("annotations") or {}, meta.get("labels") or {}
    state = _container_state(status)
    ended, running = state.get("terminated"), state.get("running")
    phase = _pod_phase(status)
    result = parse_result(ended.get("message") if ended else None)
    trouble, message = classify(raw)
    return ObservedPod(
        name=meta["name"],
        uid=meta["uid"],
        job=labels.get(JOB_NAME_LABEL, ""),
        shard=_int(annotations.get(names.ANNOTATION_INDEX, labels.get(names.ANNOTATION_INDEX))),
        phase=phase,
        trouble=trouble,
        trouble_message=message,
        result=result,
        started_at=_time((running or ended or {}).get("startedAt")),
        finished_at=_time((ended or {}).get("finishedAt")),
        pause_annotated=annotations.get(names.ANNOTATION_PAUSE) == "true",
        holding=holding and phase is PodPhase.RUNNING,
        ignored_failures=_int(annotations.get(names.ANNOTATION_INDEX_IGNORED)),
        terminating="deletionTimestamp" in meta,
    )


def _pod_phase(status: Raw) -> PodPhase:
    """Unknown is what a lost node leaves; the pod may still run."""
    phase = status.get("phase") or "Pending"
    return PodPhase.RUNNING if phase == "Unknown" else PodPhase(phase)


def classify(raw: Raw) -> tuple[BlockReason | None, str | None]:
    """What is wrong with a pod, and in whose words; (None, None) where nothing is."""
    status = raw.get("status") or {}
    state = _container_state(status)
    if status.get("phase") == "Failed":
        return _classify_failure(status, state.get("terminated") or {})
    if status.get("phase") == "Succeeded":
        return None, None
    waiting = state.get("waiting") or {}
    reason = waiting.get("reason", "")
    if reason in _IMAGE_REASONS:
        return BlockReason.IMAGE_PULL_FAILED, _trim(f"{reason}: {waiting.get('message', '')}")
    if reason in _CONFIG_REASONS:
        return BlockReason.CONTAINER_CONFIG_ERROR, _trim(f"{reason}: {waiting.get('message', '')}")
    scheduled = _conditions(status, wanted="False").get("PodScheduled", {})
    if scheduled.get("reason") == "Unschedulable":
        return BlockReason.UNSCHEDULABLE, _trim(scheduled.get("message", "no node takes the pod"))
    return None, None


def _classify_failure(status: Raw, ended: Raw) -> tuple[BlockReason, str]:
    """Of a failed pod. The order matters: a user error on a drained node stays a user error."""
    code, why = ended.get("exitCode"), ended.get("reason", "")
    if why == "OOMKilled":
        return BlockReason.OOM_KILLED, "the container used more memory than its limit and was killed; raise resources"
    if code == names.EXIT_PERMANENT:
        return BlockReason.USER_ERROR, _trim(_words(ended) or f"the worker exited with {code} and left no message")
    disrupted = _conditions(status).get("DisruptionTarget")
    if disrupted is not None or status.get("reason") in _EVICTION_REASONS:
        told = (disrupted or {}).get("message") or status.get("message") or "the pod was evicted"
        return BlockReason.EVICTED, _trim(f"{(disrupted or {}).get('reason') or status.get('reason')}: {told}")
    if why in _CONFIG_REASONS:
        return BlockReason.CONTAINER_CONFIG_ERROR, _trim(f"{why}: {ended.get('message', '')}")
    if code is None:
        told = ": ".join(str(status[key]) for key in ("reason", "message") if status.get(key))
        return BlockReason.WORKER_FAILED, _trim(told or "the pod failed before its container ran")
    killed = " (killed by a signal)" if code == names.EXIT_KILLED else ""
    words = _words(ended)
    return BlockReason.WORKER_FAILED, _trim(f"exit code {code}{killed}" + (f": {words}" if words else ""))


def _words(ended: Raw) -> str:
    """The worker's own explanation, or whatever else stands in the termination message."""
    message = ended.get("message") or ""
    result = parse_result(message)
    if result is None:
        return message.strip()
    return f"{result.error.code}: {result.error.message}" if result.error else ""


def parse_result(message: str | None) -> BlockResult | None:
    """A termination message as the worker's result; None where it is something else."""
    if not message:
        return None
    try:
        return BlockResult.model_validate_json(message)
    except ValidationError:
        return None


def controller_uid(raw: Raw) -> str | None:
    """The UID of the object's controller owner."""
    owners: Iterable[Raw] = raw["metadata"].get("ownerReferences") or ()
    return next((str(owner["uid"]) for owner in owners if owner.get("controller")), None)


def _container_state(status: Raw) -> Raw:
    """The worker's container's state; that of an init container (an injected one) where it waits or has failed."""
    for container in status.get("containerStatuses") or ():
        if container.get("name") == names.CONTAINER:
            state: Raw = container.get("state") or {}
            init = _init_trouble(status)
            return init if init and "waiting" in state else state
    return _init_trouble(status) or {}


def _init_trouble(status: Raw) -> Raw | None:
    for container in status.get("initContainerStatuses") or ():
        state: Raw = container.get("state") or {}
        if (state.get("waiting") or {}).get("reason") not in (None, "PodInitializing"):
            return state
    return None


def _conditions(status: Raw, wanted: str = "True") -> dict[str, Raw]:
    return {item["type"]: item for item in status.get("conditions") or () if item.get("status") == wanted}


def _trim(text: str) -> str:
    text = " ".join(text.split()).rstrip(": ")
    return text if len(text) <= MAX_MESSAGE else text[: MAX_MESSAGE - 1] + "…"


def _int(value: object) -> int:
    """A count that an annotation, label or status field may or may not hold."""
    try:
        return int(str(value)) if value is not None else 0
    except ValueError:
        return 0


def _time(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value.replace("Z", "+00:00")) if value else None
