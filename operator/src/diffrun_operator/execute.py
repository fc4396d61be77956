"""Carries a decision out: the status first, then the actions in their order.

The status is a merge patch that carries the resourceVersion on which the decision stands, so that two
operators cannot both decide from the same state, and that holds only what changes among the operator's own
fields, so that no decision of a person is ever written over. Every action may be repeated: after a crash
between any two requests the next reconcile asks for the missing ones again.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from diffrun_contracts import names
from diffrun_contracts.status import APPROVER_FIELDS, DiffusionRunStatus
from diffrun_operator import errors, peers
from diffrun_operator.client import KubeClient
from diffrun_operator.jobs import build_job
from diffrun_operator.model import AnnotatePod, CreateJob, Decision, DeleteJob, EmitEvent, Run
from diffrun_operator.observe import controller_uid
from diffrun_operator.settings import Settings

Raw = dict[str, Any]
logger = logging.getLogger(__name__)

MAX_NOTE = 1024
"""Characters of an Event's note that the API takes."""


class StaleError(Exception):
    """The run has changed since it was observed: nothing was done, observe again."""


class _TakenError(Exception):
    """Something foreign holds the name of what a Job needs beside it."""


@dataclass(slots=True)
class Outcome:
    """What carrying out a decision has brought to light."""

    run: Raw | None = None
    """The run as it was written; None where the status needed no change."""
    jobs: list[Raw] = field(default_factory=list)
    """Jobs that were created, or found to be ours already."""
    created: list[tuple[CreateJob, float]] = field(default_factory=list)
    """What was created now, and when: seconds of the monotonic clock."""
    pods: list[Raw] = field(default_factory=list)
    """Pods that were annotated, as they are now."""
    collisions: set[str] = field(default_factory=set)
    """Names of Jobs-to-be that foreign objects hold."""
    refusals: dict[str, str] = field(default_factory=dict)
    """Names of Jobs-to-be that the API server refused for good, with its words."""
    failures: list[errors.ApiError] = field(default_factory=list)
    """What has to be tried again."""


class Executor:
    """Carries out decisions through one client."""

    def __init__(
        self,
        client: KubeClient,
        settings: Settings,
        monotonic: Callable[[], float],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client, self._settings = client, settings
        self._monotonic, self._clock = monotonic, clock

    async def execute(self, run: Run, decision: Decision) -> Outcome:
        """Write the status, then act.

        Raises StaleError where the run has changed or gone, and ApiError where the status could not be
        written; then no action was taken. What fails after that stands in the outcome.
        """
        outcome = Outcome()
        patch = status_patch(run.status, decision.status)
        if patch:
            outcome.run = await self._write(run, patch)
        elif any(isinstance(action, CreateJob) for action in decision.actions):
            await self._confirm(run)
        for action in decision.actions:
            try:
                match action:
                    case CreateJob():
                        await self._create(run, action, outcome)
                    case DeleteJob():
                        await self._delete(run, action)
                    case AnnotatePod():
                        await self._annotate(run, action, outcome)
                    case EmitEvent():
                        await self._emit(run, action)
            except errors.ApiError as error:
                # The others are independent of this one: a cancelled run's second Job goes even if the first cannot.
                outcome.failures.append(error)
        return outcome

    async def _write(self, run: Run, patch: Raw) -> Raw:
        body = {"metadata": {"resourceVersion": run.resource_version, "uid": run.uid}, "status": patch}
        try:
            return await self._client.patch_run_status(run.namespace, run.name, body)
        except (errors.ConflictError, errors.NotFoundError) as error:
            raise StaleError(str(error)) from error

    async def _confirm(self, run: Run) -> None:
        """Make sure that the view is current where no write does so.

        This is the way of a creation that was lost after its status had been written. From a stale view it could
        start again what has run, been recorded and been deleted since.
        """
        try:
            live = await self._client.get_run(run.namespace, run.name)
        except errors.NotFoundError as error:
            raise StaleError(str(error)) from error
        if live["metadata"]["resourceVersion"] != run.resource_version:
            raise StaleError(f"seen at version {run.resource_version}, now {live['metadata']['resourceVersion']}")

    async def _create(self, run: Run, action: CreateJob, outcome: Outcome) -> None:
        try:
            for companion in peers.companions(run, action.block, self._settings):
                await self._ensure(run, companion)
            job = await self._client.create_job(run.namespace, build_job(run, action, self._settings))
        except errors.AlreadyExistsError:
            await self._adopt(run, action, outcome)
        except _TakenError as taken:
            outcome.refusals[action.name] = str(taken)
        except errors.NotFoundError:
            logger.info("namespace %s is gone, and run %s with it", run.namespace, run.name)
        except errors.ForbiddenError as error:
            if error.namespace_ending:
                logger.info("namespace %s is ending, and run %s with it", run.namespace, run.name)
            elif error.by_rbac:
                raise
            else:
                outcome.refusals[action.name] = error.message
        except errors.InvalidError as error:
            outcome.refusals[action.name] = error.message
        else:
            outcome.jobs.append(job)
            outcome.created.append((action, self._monotonic()))

    async def _ensure(self, run: Run, manifest: Raw) -> None:
        """Make what a Job stands on, or find it made by an earlier self. Raises _TakenError where it is another's."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        try:
            await self._client.create_companion(run.namespace, manifest)
        except errors.AlreadyExistsError:
            try:
                there = await self._client.get_companion(kind, run.namespace, name)
            except errors.NotFoundError as error:
                raise errors.TransientError(f"{kind} {name} vanished while it was looked at") from error
            if controller_uid(there) != run.uid:
                raise _TakenError(
                    f"it needs the {kind} {name}, which exists and is not this run's: delete or rename that one"
                ) from None
            if "deletionTimestamp" in there["metadata"]:
                raise errors.TransientError(f"{kind} {name} is still being deleted") from None

    async def _adopt(self, run: Run, action: CreateJob, outcome: Outcome) -> None:
        """The name is taken: by an earlier self whose answer was lost, or by somebody else."""
        try:
            job = await self._client.get_job(run.namespace, action.name)
        except errors.NotFoundError as error:
            raise errors.TransientError(f"Job {action.name} vanished while it was looked at") from error
        if controller_uid(job) != run.uid:
            outcome.collisions.add(action.name)
        elif "deletionTimestamp" in job["metadata"]:
            raise errors.TransientError(f"Job {action.name} is still being deleted")
        else:
            outcome.jobs.append(job)

    async def _delete(self, run: Run, action: DeleteJob) -> None:
        try:
            await self._client.delete_job(run.namespace, action.name, action.uid, action.version)
        except errors.NotFoundError:
            pass  # it is gone, which is what was wanted
        except errors.ConflictError:
            # Its watch is behind: what it has become comes as an event, and is decided on then.
            logger.info("Job %s/%s has changed since it was seen: left alone", run.namespace, action.name)

    async def _annotate(self, run: Run, action: AnnotatePod, outcome: Outcome) -> None:
        value = "true" if action.pause else "false"
        try:
            pod = await self._client.annotate_pod(run.namespace, action.name, {names.ANNOTATION_PAUSE: value})
        except errors.NotFoundError:
            return  # a pod that has ended needs no telling
        outcome.pods.append(pod)

    async def _emit(self, run: Run, action: EmitEvent) -> None:
        """Post an Event. Its name comes from the version that was decided on: repeated, it is one Event."""
        manifest = event_manifest(run, action, self._settings, self._clock())
        try:
            await self._client.create_event(run.namespace, manifest)
        except errors.AlreadyExistsError:
            pass
        except errors.ApiError as error:
            # The status tells the same; an Event that cannot be posted must not make a run repeat anything.
            logger.warning(
                "the Event %s of run %s/%s was not posted: %s", action.reason, run.namespace, run.name, error
            )


def status_patch(old: DiffusionRunStatus, new: DiffusionRunStatus) -> Raw:
    """The merge patch from `old` to `new` without the fields that approvers own; empty where nothing changes."""
    return merge_patch(_own_fields(old), _own_fields(new))


def _own_fields(status: DiffusionRunStatus) -> Raw:
    dumped = status.model_dump(mode="json", by_alias=True, exclude_none=True)
    dumped["gates"] = {
        block: {key: value for key, value in gate.items() if key not in APPROVER_FIELDS}
        for block, gate in dumped["gates"].items()
    }
    return dumped


def merge_patch(old: Raw, new: Raw) -> Raw:
    """The RFC 7396 patch that makes `new` of `old`: maps by key, everything else whole, null for what goes."""
    patch: Raw = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch


def event_manifest(run: Run, action: EmitEvent, settings: Settings, now: datetime) -> Raw:
    """An events.k8s.io/v1 Event that regards the run."""
    seed = f"{run.uid}/{run.resource_version}/{action.reason}/{action.message}"
    digest = hashlib.sha256(seed.encode()).hexdigest()[:16]
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{run.name}.{digest}", "namespace": run.namespace},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": f"{names.GROUP}/operator",
        "reportingInstance": settings.release.instance[:128],
        "action": "Reconcile",
        "reason": action.reason.value,
        "type": "Warning" if action.warning else "Normal",
        "note": action.message[:MAX_NOTE],
        "regarding": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": run.namespace,
            "name": run.name,
            "uid": run.uid,
        },
    }
