"""What a viewer can do to a run: in their own name, or without a cluster to the file that stands for the object."""

import asyncio
import copy
from typing import Any, Protocol

import orjson

from diffrun_contracts import names
from diffrun_contracts.api import ControlAction, GateRequest
from diffrun_contracts.status import GateState
from diffrun_gateway.access import Viewer
from diffrun_gateway.errors import Conflict, Forbidden, NotFound, Refused
from diffrun_gateway.files import Files, NotThere
from diffrun_gateway.kube import Kube
from diffrun_gateway.registry import Registry
from diffrun_gateway.runs import Run, from_object

LOCAL_USER = "local"

_SPEC = {
    ControlAction.PAUSE: {"pause": True},
    ControlAction.RESUME: {"pause": False},
    ControlAction.CANCEL: {"cancel": True},
}


class Actions(Protocol):
    """Changes runs. Raises ApiError."""

    async def decide(self, viewer: Viewer, run: Run, block: str, request: GateRequest) -> None:
        """Decides a gate."""

    async def control(self, viewer: Viewer, run: Run, action: ControlAction) -> None:
        """Pauses, resumes or cancels."""


class KubernetesActions:
    """Patches with the viewer's own token: RBAC and the admission policy decide, and their words are passed on."""

    def __init__(self, kube: Kube, registry: Registry) -> None:
        self._kube, self._registry = kube, registry

    async def decide(self, viewer: Viewer, run: Run, block: str, request: GateRequest) -> None:
        """One gate of the status. The UID makes a namesake safe, the digest a changed preview."""
        token, user = _identity(viewer)
        gate = _gate_patch(user, request)
        patch = {"metadata": {"uid": run.ref.uid}, "status": {"gates": {block: gate}}}
        await self._patch(token, run, "status", patch)

    async def control(self, viewer: Viewer, run: Run, action: ControlAction) -> None:
        """One field of the spec."""
        token, _ = _identity(viewer)
        await self._patch(token, run, "", {"metadata": {"uid": run.ref.uid}, "spec": _SPEC[action]})

    async def _patch(self, token: str, run: Run, subresource: str, patch: dict[str, Any]) -> None:
        answer = await self._kube.patch_run(token, run.ref.namespace, run.ref.name, subresource, patch)
        self._registry.put_if_newer(from_object(answer))


class LocalActions:
    """Writes `run.json`, by the rules that the admission policy has on a cluster."""

    def __init__(self, files: Files | None, registry: Registry) -> None:
        self._files, self._registry = files, registry

    async def decide(self, viewer: Viewer, run: Run, block: str, request: GateRequest) -> None:  # noqa: ARG002
        """Decides a gate that waits, once, for the preview that was looked at."""
        gate = run.status.gates.get(block)
        if gate is None:
            raise NotFound(f"block {block!r} has no open gate", field="block")
        if gate.state is not GateState.WAITING or gate.decision is not None:
            raise Conflict(f"the gate of {block!r} is decided already: {gate.decision or gate.state}")
        if request.preview_digest is not None and request.preview_digest != gate.preview_digest:
            raise Refused("previewDigest: the samples have changed since they were looked at", field="previewDigest")
        await self._merge(run, {"status": {"gates": {block: _gate_patch(LOCAL_USER, request)}}})

    async def control(self, viewer: Viewer, run: Run, action: ControlAction) -> None:  # noqa: ARG002
        """One field of the spec; a run that is over stays as it is."""
        if run.over:
            raise Conflict("the run is over")
        await self._merge(run, {"spec": _SPEC[action]})

    async def _merge(self, run: Run, patch: dict[str, Any]) -> None:
        if self._files is None or run.raw is None:
            raise Forbidden("this run has no object to change: it is known from its events alone")
        raw = _merged(run.raw, patch)
        raw["metadata"]["generation"] = raw["metadata"].get("generation", 1) + ("spec" in patch)
        data = orjson.dumps(raw, option=orjson.OPT_INDENT_2)
        try:
            await asyncio.to_thread(self._files.write, run.ref.uid, names.RUN_FILE, data)
        except (NotThere, OSError) as error:
            raise Refused(f"run.json cannot be written: {error}") from error
        self._registry.put(from_object(raw))


class NoActions:
    """Without sign-in nobody can be named, so nobody decides."""

    async def decide(self, viewer: Viewer, run: Run, block: str, request: GateRequest) -> None:  # noqa: ARG002
        """Refused."""
        raise Forbidden("this gateway runs without sign-in: decide with kubectl patch under your own name")

    async def control(self, viewer: Viewer, run: Run, action: ControlAction) -> None:  # noqa: ARG002
        """Refused."""
        raise Forbidden("this gateway runs without sign-in: use kubectl under your own name")


def _identity(viewer: Viewer) -> tuple[str, str]:
    if viewer.token is None or viewer.user is None:
        raise Forbidden("sign in first")
    return viewer.token, viewer.user.name


def _gate_patch(user: str, request: GateRequest) -> dict[str, Any]:
    gate: dict[str, Any] = {"decision": request.decision.value, "decidedBy": user}
    if request.note:
        gate["note"] = request.note
    if request.preview_digest:
        gate["previewDigest"] = request.preview_digest
    return gate


def _merged(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """RFC 7386 without deletions."""
    out = copy.deepcopy(base)
    for key, value in patch.items():
        out[key] = _merged(out.get(key) or {}, value) if isinstance(value, dict) else value
    return out
