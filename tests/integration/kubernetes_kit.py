"""A Kubernetes API server in miniature: the calls that the gateway makes, and what RBAC would answer."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from diffrun_contracts import names


@dataclass
class FakeKubernetes:
    """The four calls that the gateway makes, and what RBAC and the admission policy would answer."""

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    users: dict[str, str] = field(default_factory=lambda: {"alice-token": "alice", "eve-token": "eve"})
    rights: set[tuple[str, str, str]] = field(
        default_factory=lambda: {("alice", "demo", "get"), ("alice", "demo", "list")}
    )
    """(user, namespace, verb or verb/subresource)."""
    patches: list[tuple[str, str, Any]] = field(default_factory=list)
    """(Authorization, path, patch)."""
    refusal: tuple[int, str] | None = None
    """What a patch is answered."""
    reviews: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    """All changes ever; a resource version counts them."""

    def kubeconfig(self, directory: Path) -> Path:
        """How the gateway finds it."""
        path = directory / "kubeconfig"
        path.write_text(json.dumps({
            "current-context": "c", "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {"token": "gateway-token"}}],
        }))  # fmt: skip
        return path

    def put(self, raw: dict[str, Any], kind: str = "MODIFIED") -> None:
        """Changes an object, and tells the watches."""
        uid = raw["metadata"]["uid"]
        kind = kind if uid in self.objects else "ADDED"
        self.objects[uid] = raw
        if kind == "DELETED":
            del self.objects[uid]
        raw["metadata"]["resourceVersion"] = str(len(self.events) + 1)
        self.events.append({"type": kind, "object": raw})

    async def list_or_watch(self, request: web.Request) -> web.StreamResponse:
        """GET diffusionruns."""
        assert request.headers["Authorization"] == "Bearer gateway-token"
        if "watch" not in request.query:
            namespace = request.match_info["ns"]
            items = [raw for raw in self.objects.values() if raw["metadata"]["namespace"] == namespace]
            return web.json_response({"metadata": {"resourceVersion": str(len(self.events))}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        position = int(request.query["resourceVersion"])
        while True:
            for event in self.events[position:]:
                if event["object"]["metadata"]["namespace"] == request.match_info["ns"]:
                    await response.write(json.dumps(event).encode() + b"\n")
            position = len(self.events)
            await asyncio.sleep(0.01)

    async def token_review(self, request: web.Request) -> web.Response:
        """POST tokenreviews."""
        self.reviews += 1
        user = self.users.get((await request.json())["spec"]["token"])
        status = {"authenticated": True, "user": {"username": user}} if user else {"authenticated": False}
        return web.json_response({"status": status}, status=201)

    async def access_review(self, request: web.Request) -> web.Response:
        """POST subjectaccessreviews."""
        self.reviews += 1
        spec = (await request.json())["spec"]
        asked = spec["resourceAttributes"]
        verb = "/".join(filter(None, (asked["verb"], asked.get("subresource"))))
        allowed = (spec["user"], asked["namespace"], verb) in self.rights
        return web.json_response({"status": {"allowed": allowed}}, status=201)

    async def patch(self, request: web.Request) -> web.Response:
        """PATCH a run."""
        patch = await request.json()
        self.patches.append((request.headers["Authorization"], request.path, patch))
        if self.refusal is not None:
            status, message = self.refusal
            return web.json_response({"kind": "Status", "message": message}, status=status)
        raw = self.objects[patch["metadata"]["uid"]]
        for block, gate in patch.get("status", {}).get("gates", {}).items():
            raw["status"]["gates"][block].update(gate)
        raw["spec"].update(patch.get("spec", {}))
        return web.json_response(raw)


@asynccontextmanager
async def kubernetes() -> AsyncIterator[FakeKubernetes]:
    """Serves the fake API until the block is left."""
    fake = FakeKubernetes()
    app = web.Application()
    runs = f"/apis/{names.API_VERSION}/namespaces/{{ns}}/{names.PLURAL}"
    app.router.add_get(runs, fake.list_or_watch)
    app.router.add_patch(runs + "/{name}", fake.patch)
    app.router.add_patch(runs + "/{name}/status", fake.patch)
    app.router.add_post("/apis/authentication.k8s.io/v1/tokenreviews", fake.token_review)
    app.router.add_post("/apis/authorization.k8s.io/v1/subjectaccessreviews", fake.access_review)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()
