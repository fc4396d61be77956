"""What the operator's tests share: settings, a run, raw objects as the API server gives them, and a whole operator."""

import sys
from pathlib import Path
from typing import Any

import kopf
import pytest
from aiohttp.test_utils import TestServer

from diffrun_contracts import names
from diffrun_contracts.spec import Block, DiffusionRunSpec
from diffrun_contracts.status import DiffusionRunStatus
from diffrun_operator.client import KubeClient
from diffrun_operator.model import CreateJob, Run
from diffrun_operator.settings import Api, Gates, Settings, Worker, Workspace

sys.path.insert(0, str(Path(__file__).parent / "kit"))

from fake_api import FakeApi
from reconcile_kit import BINDINGS, POLICIES, UID, World

OTHER_UID = "99999999-2222-3333-4444-555555555555"


@pytest.fixture
def settings() -> Settings:
    """The smallest installation: a claim, an image, no GPUs taken for granted beyond the default."""
    return Settings(
        worker=Worker(image="worker:1"),
        workspace=Workspace(claim="workspace"),
        gates=Gates(policy="guard", binding="guard"),
    )


@pytest.fixture
def make_run():
    """Builds a Run from spec blocks, as they are written in YAML."""

    def make(*blocks: dict[str, Any], status: DiffusionRunStatus | None = None, **spec: Any) -> Run:
        parsed = DiffusionRunSpec.model_validate({"blocks": list(blocks), **spec})
        return Run(
            namespace="team",
            name="cats",
            uid=UID,
            generation=1,
            resource_version="100",
            spec=parsed,
            spec_error=None,
            status=status or DiffusionRunStatus(),
        )

    return make


@pytest.fixture
def create():
    """The action that starts the first attempt of a block of a run."""

    def make(run: Run, block: str, attempt: int = 1, dependencies: tuple[tuple[str, int], ...] = ()) -> CreateJob:
        found: Block = next(item for item in run.spec.blocks if item.name == block)
        name = names.job_name(run.name, block, run.uid, attempt)
        return CreateJob(name=name, block=found, attempt=attempt, dependencies=dependencies)

    return make


@pytest.fixture
def raw_run():
    """A DiffusionRun as the API server gives it."""

    def make(*blocks: dict[str, Any], status: dict[str, Any] | None = None, version: int = 100, **meta: Any):
        metadata = {"namespace": "team", "name": "cats", "uid": UID, "generation": 1, "resourceVersion": str(version)}
        body = {"apiVersion": names.API_VERSION, "kind": names.KIND, "metadata": metadata | meta}
        body["spec"] = {"blocks": list(blocks)}
        return body | ({"status": status} if status is not None else {})

    return make


@pytest.fixture
def raw_job():
    """A Job of the run above."""

    def make(name: str = "job", *, uid: str = "job-uid", owner: str = UID, version: int = 1, **parts: Any):
        labels = {names.LABEL_RUN_UID: UID, names.LABEL_BLOCK: "full", names.LABEL_ATTEMPT: "2"}
        metadata = {
            "namespace": "team",
            "name": name,
            "uid": uid,
            "resourceVersion": str(version),
            "labels": labels,
            "ownerReferences": [{"kind": names.KIND, "uid": owner, "controller": True}],
        }
        return {"metadata": metadata, "spec": parts.get("spec", {}), "status": parts.get("status", {})}

    return make


@pytest.fixture
def raw_pod():
    """A pod of the Job above, with the state of its one container."""

    def make(
        phase: str, *, uid: str = "pod-uid", version: int = 1, state=None, conditions=(), annotations=None, **status
    ):
        metadata = {
            "namespace": "team",
            "name": "job-0-abcde",
            "uid": uid,
            "resourceVersion": str(version),
            "labels": {names.LABEL_RUN_UID: UID, "batch.kubernetes.io/job-name": "job"},
            "annotations": {"batch.kubernetes.io/job-completion-index": "3", **(annotations or {})},
        }
        containers = [{"name": names.CONTAINER, "state": state}] if state else []
        body = {"phase": phase, "conditions": list(conditions), "containerStatuses": containers, **status}
        return {"metadata": metadata, "spec": {}, "status": body}

    return make


@pytest.fixture
async def api():
    """A miniature API server that speaks real HTTP."""
    fake = FakeApi()
    server = TestServer(fake.app())
    await server.start_server()
    fake.url = str(server.make_url("")).rstrip("/")
    yield fake
    await server.close()


@pytest.fixture
async def client(api):
    """The operator's client, connected to it."""
    async with KubeClient(lambda: kopf.ConnectionInfo(server=api.url), Api()) as connected:
        yield connected


@pytest.fixture
def world(api, client, settings):
    """An operator whose gates an admission policy guards."""
    api.seed(f"{POLICIES}/guard", {"spec": {"failurePolicy": "Fail"}})
    api.seed(f"{BINDINGS}/guard", {"spec": {"policyName": "guard", "validationActions": ["Deny"]}})
    return World(api, client, settings)
