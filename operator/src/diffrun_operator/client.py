"""The few requests that the operator makes, as coroutines that return raw objects and raise typed errors.

A client of our own, over the HTTP library that Kopf brings: raw objects need no model of the whole
Kubernetes API, and every request has a short timeout, one metric and one place that reads Retry-After.
It retries nothing: the reconcile queue does, with a fresh look at the world.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import aiohttp
import kopf

from diffrun_contracts import names
from diffrun_operator import errors
from diffrun_operator.settings import Api

Raw = dict[str, Any]
Observer = Callable[[str, str, int, float], None]
"""Called after each request with verb, resource, HTTP status (0 without one) and seconds."""

MERGE_PATCH = "application/merge-patch+json"
RUNS = f"/apis/{names.API_VERSION}"
JOBS = "/apis/batch/v1"
PODS = "/api/v1"
EVENTS = "/apis/events.k8s.io/v1"
COMPANIONS = {"Service": ("/api/v1", "services"), "NetworkPolicy": ("/apis/networking.k8s.io/v1", "networkpolicies")}
"""API and plural of what stands beside the Jobs, by kind."""
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PAGE = 500
"""Objects in one page of a listing."""


class _Link:
    """The session of one login. Once it is retired, it closes with the last of its requests."""

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self._requests, self._retired = 0, False

    @asynccontextmanager
    async def use(self) -> AsyncIterator[aiohttp.ClientSession]:
        """The session, for one request."""
        self._requests += 1
        try:
            yield self.session
        finally:
            self._requests -= 1
            await self._close_if_idle()

    async def retire(self) -> None:
        """Takes no new requests from now on: the caller has put another in its place."""
        self._retired = True
        await self._close_if_idle()

    async def _close_if_idle(self) -> None:
        if self._retired and not self._requests:
            await self.session.close()


class KubeClient:
    """Talks to one API server. Use as an async context manager."""

    def __init__(
        self,
        login: Callable[[], kopf.ConnectionInfo],
        settings: Api,
        observer: Observer = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._login, self._observer, self._clock = login, observer, clock
        self._timeout = aiohttp.ClientTimeout(total=settings.request_timeout, sock_connect=settings.connect_timeout)
        self._link: _Link | None = None
        self._quiet_until = 0.0  # the server asked, by a 429, to be left alone until then
        self._logins = 0
        self._login_lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._connect()
        return self

    async def __aexit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if self._link is not None:
            await self._link.session.close()

    async def get_run(self, namespace: str, name: str) -> Raw:
        """A DiffusionRun as it is now."""
        return await self._request("GET", names.PLURAL, _path(RUNS, namespace, names.PLURAL, name))

    async def patch_run_status(self, namespace: str, name: str, patch: Raw) -> Raw:
        """Merge `patch` into the status; with a resourceVersion in it, ConflictError where that is not current."""
        path = _path(RUNS, namespace, names.PLURAL, name) + "/status"
        return await self._request("PATCH", f"{names.PLURAL}/status", path, body=patch, content_type=MERGE_PATCH)

    async def get_job(self, namespace: str, name: str) -> Raw:
        """A Job as it is now."""
        return await self._request("GET", "jobs", _path(JOBS, namespace, "jobs", name))

    async def create_job(self, namespace: str, manifest: Raw) -> Raw:
        """The Job as it was created; AlreadyExistsError where the name is taken."""
        params = {"fieldValidation": "Strict"}
        return await self._request("POST", "jobs", _path(JOBS, namespace, "jobs"), body=manifest, params=params)

    async def delete_job(self, namespace: str, name: str, uid: str, version: str) -> None:
        """Delete the Job as it was seen and, in the background, its pods: the API's default would orphan them."""
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
            "preconditions": {"uid": uid, "resourceVersion": version},
        }
        await self._request("DELETE", "jobs", _path(JOBS, namespace, "jobs", name), body=options)

    async def get_companion(self, kind: str, namespace: str, name: str) -> Raw:
        """A Service or NetworkPolicy as it is now."""
        root, plural = COMPANIONS[kind]
        return await self._request("GET", plural, _path(root, namespace, plural, name))

    async def create_companion(self, namespace: str, manifest: Raw) -> None:
        """Create a Service or NetworkPolicy; AlreadyExistsError where the name is taken."""
        root, plural = COMPANIONS[manifest["kind"]]
        params = {"fieldValidation": "Strict"}
        await self._request("POST", plural, _path(root, namespace, plural), body=manifest, params=params)

    async def annotate_pod(self, namespace: str, name: str, annotations: Mapping[str, str]) -> Raw:
        """Set annotations of a pod."""
        body = {"metadata": {"annotations": dict(annotations)}}
        path = _path(PODS, namespace, "pods", name)
        return await self._request("PATCH", "pods", path, body=body, content_type=MERGE_PATCH)

    async def create_event(self, namespace: str, manifest: Raw) -> None:
        """Post a Kubernetes Event."""
        await self._request("POST", "events", _path(EVENTS, namespace, "events"), body=manifest)

    async def get_admission(self, plural: str, name: str) -> Raw:
        """A validatingadmissionpolicy or its binding."""
        return await self._request("GET", plural, f"{ADMISSION}/{plural}/{name}")

    async def serves_runs(self) -> bool:
        """Whether the API server knows DiffusionRuns (the CRD is established)."""
        try:
            known = await self._request("GET", "discovery", RUNS)
        except errors.NotFoundError:
            return False
        return any(item.get("name") == names.PLURAL for item in known.get("resources", ()))

    async def list_all(
        self, root: str, plural: str, namespace: str | None, selector: str = ""
    ) -> tuple[list[Raw], str]:
        """Every object of a kind, read page by page, and the listing's resourceVersion."""
        items: list[Raw] = []
        params = {"limit": str(PAGE), **({"labelSelector": selector} if selector else {})}
        while True:
            page = await self._request("LIST", plural, _path(root, namespace, plural), params=params)
            items += page.get("items") or ()
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                return items, str(meta.get("resourceVersion", ""))
            params["continue"] = meta["continue"]

    async def _connect(self) -> None:
        info = self._login()
        server = info.server.rstrip("/")
        tls = info.as_ssl_context() if server.startswith("https:") else True
        connector = aiohttp.TCPConnector(ssl=tls, limit=0)
        session = aiohttp.ClientSession(
            connector=connector, headers=info.as_http_headers(), timeout=self._timeout, proxy=info.proxy_url
        )
        # Nothing waits up to here: a request that begins meanwhile finds a session that is open.
        old, self._link = self._link, _Link(server, session)
        self._logins += 1
        if old is not None:
            await old.retire()

    async def _request(self, verb: str, resource: str, path: str, **options: Any) -> Raw:
        """One request; one more after a new login where the credentials have expired."""
        wait = self._quiet_until - self._clock()
        if wait > 0:
            raise errors.TooManyRequestsError("the API server has asked for a pause", retry_after=wait)
        login = self._logins
        try:
            return await self._attempt(verb, resource, path, **options)
        except errors.TransientError as error:
            if error.code != 401:
                raise
        except errors.TooManyRequestsError as error:
            self._quiet_until = max(self._quiet_until, self._clock() + error.retry_after)
            raise
        async with self._login_lock:
            if login == self._logins:  # nobody else has logged in meanwhile
                await self._connect()
        return await self._attempt(verb, resource, path, **options)

    async def _attempt(
        self,
        verb: str,
        resource: str,
        path: str,
        *,
        body: Raw | None = None,
        params: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Raw:
        link = self._link
        if link is None:
            raise RuntimeError("the client is used outside its context manager")
        started, code, what = self._clock(), 0, f"{verb} {path}"
        headers = {"Content-Type": content_type} if body is not None else {}
        method = "GET" if verb == "LIST" else verb
        try:
            async with (
                link.use() as session,
                session.request(method, link.server + path, json=body, params=params, headers=headers) as response,
            ):
                code = response.status
                content = await _content(response)
                if code >= 400:
                    raise errors.from_response(code, content, what, _retry_after(response))
                return content
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError) as error:
            raise errors.TransientError(f"{what}: {error or type(error).__name__}") from error
        finally:
            self._observer(verb, resource, code, self._clock() - started)


def _path(root: str, namespace: str | None, plural: str, name: str | None = None) -> str:
    where = f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"
    return f"{where}/{name}" if name else where


async def _content(response: aiohttp.ClientResponse) -> Raw:
    """The body as an object; what a proxy answers instead of JSON becomes the message of one."""
    text = await response.text()
    try:
        content = await response.json(content_type=None) if text else {}
    except ValueError:
        content = None
    if isinstance(content, dict):
        return content
    if response.status < 400:
        raise errors.TransientError(f"the API server answered {response.status} with something that is not JSON")
    return {"message": text.strip()[:500]}


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """Seconds of the Retry-After header, which the API server gives as a number."""
    try:
        return max(0.0, float(response.headers["Retry-After"]))
    except (KeyError, ValueError):
        return None
