"""An API server in miniature: real HTTP, objects in a dict, the few rules that the operator leans on.

It checks resourceVersions and UIDs, refuses taken names, merges patches, and can be told to answer the
next matching request with a fault, before or after carrying it out.
"""

import itertools
import re
import uuid
from collections.abc import Callable
from typing import Any

from aiohttp import web

Raw = dict[str, Any]
Matcher = Callable[[web.Request], bool]

KEYS = ("get", "post", "patch", "delete")


class FakeApi:
    """State and faults of one server."""

    def __init__(self) -> None:
        self.objects: dict[str, Raw] = {}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[Raw] = []
        self._versions = itertools.count(1000)
        self._faults: list[tuple[Matcher, int, Raw, dict[str, str], bool]] = []

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        return app

    def seed(self, path: str, raw: Raw) -> Raw:
        """Put an object under its path, with a version and a UID where it has none."""
        meta = raw.setdefault("metadata", {})
        meta.setdefault("uid", str(uuid.uuid4()))
        meta["resourceVersion"] = str(next(self._versions))
        meta.setdefault("name", path.rsplit("/", 1)[-1])
        self.objects[path] = raw
        return raw

    def fail_next(
        self, method: str, part: str, code: int, body: Raw | None = None, *, headers: Any = None, after: bool = False
    ) -> None:
        """Answer the next request of that method whose path contains `part` with an error.

        With `after`, the request is carried out all the same: its answer is what gets lost.
        """
        match = lambda request: request.method == method and part in request.path  # noqa: E731
        self._faults.append((match, code, body or {}, headers or {}, after))

    def paths(self, method: str) -> list[str]:
        """The paths of the requests of one method, in their order."""
        return [path for verb, path in self.requests if verb == method]

    async def _handle(self, request: web.Request) -> web.Response:
        self.requests.append((request.method, request.path))
        body = await request.json() if request.can_read_body else {}
        self.bodies.append(body)
        for fault in self._faults:
            match, code, answer, headers, after = fault
            if match(request):
                self._faults.remove(fault)
                if after:
                    self._carry_out(request, body)
                return web.json_response(answer, status=code, headers=headers)
        code, answer = self._carry_out(request, body)
        return web.json_response(answer, status=code)

    def _carry_out(self, request: web.Request, body: Raw) -> tuple[int, Raw]:
        path = request.path.removesuffix("/status")
        if request.method == "POST":
            return self._create(path, body)
        if request.method == "GET" and path not in self.objects:
            items = [raw for key, raw in self.objects.items() if path in _listings(key)]
            if items or path.rsplit("/", 1)[-1] in ("jobs", "pods", "diffusionruns"):
                return 200, {"items": items, "metadata": {"resourceVersion": str(next(self._versions))}}
        if path not in self.objects:
            return 404, {"reason": "NotFound", "message": f"{path} not found"}
        if request.method == "PATCH":
            return self._patch(path, body, status_only=request.path.endswith("/status"))
        if request.method == "DELETE":
            return self._delete(path, body)
        return 200, self.objects[path]

    def _create(self, path: str, body: Raw) -> tuple[int, Raw]:
        key = f"{path}/{body['metadata']['name']}"
        if key in self.objects:
            return 409, {"reason": "AlreadyExists", "message": f"{key} already exists"}
        return 201, self.seed(key, body)

    def _patch(self, path: str, body: Raw, *, status_only: bool) -> tuple[int, Raw]:
        current = self.objects[path]
        wanted = body.get("metadata", {})
        for key in ("resourceVersion", "uid"):
            if key in wanted and wanted[key] != current["metadata"][key]:
                return 409, {"reason": "Conflict", "message": f"the object has been modified: {key}"}
        change = {"status": body["status"]} if status_only else body
        return 200, self.seed(path, merge(current, change))

    def _delete(self, path: str, body: Raw) -> tuple[int, Raw]:
        meta = self.objects[path]["metadata"]
        for key, wanted in (body.get("preconditions") or {}).items():
            if wanted != meta[key]:
                return 409, {"reason": "Conflict", "message": f"the {key} in the precondition is not the object's"}
        return 200, self.objects.pop(path)


def _listings(key: str) -> tuple[str, str]:
    """Where an object is listed: in its namespace, and among all namespaces."""
    folder = key.rsplit("/", 1)[0]
    return folder, re.sub("/namespaces/[^/]+", "", folder)


def merge(target: Raw, patch: Raw) -> Raw:
    """RFC 7396."""
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            before = result.get(key)
            result[key] = merge(before if isinstance(before, dict) else {}, value)
        else:
            result[key] = value
    return result
