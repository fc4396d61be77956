"""The few calls to the Kubernetes API that the gateway makes.

As itself: list and watch runs, review tokens and access. As the viewer: the patch of a decision, over a connection
that carries nothing of the gateway's own identity.
"""

import base64
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import yaml

from diffrun_contracts import names
from diffrun_gateway import telemetry
from diffrun_gateway.errors import ApiError, Conflict, Forbidden, NotFound, Refused, Unauthenticated, Unavailable

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
WATCH_SECONDS = 290
"""After this long the API server ends a watch, so that none lives for ever unnoticed."""
_TIMEOUT = aiohttp.ClientTimeout(total=15, connect=5)
_STATUS_ERRORS: dict[int, type[ApiError]] = {
    401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 422: Refused, 400: Refused,
}  # fmt: skip


class WatchExpired(Exception):  # noqa: N818 - the ordinary end of a watch
    """The watch's position is too old: list again."""


@dataclass(frozen=True)
class Connection:
    """Where the API server is, and who the gateway is."""

    server: str
    tls: ssl.SSLContext | bool
    """With the gateway's own certificate, if it has one."""
    anonymous_tls: ssl.SSLContext | bool
    """Without it: for what is asked as somebody else."""
    token_file: Path | None = None
    """Read anew for every request: the kubelet renews it."""
    token: str | None = None

    def headers(self) -> dict[str, str]:
        """The gateway's own credentials."""
        token = self.token_file.read_text().strip() if self.token_file else self.token
        return {"Authorization": f"Bearer {token}"} if token else {}


def in_cluster(environ: Mapping[str, str]) -> Connection:
    """The pod's own service account. Raises KeyError outside a cluster."""
    host, port = environ["KUBERNETES_SERVICE_HOST"], environ["KUBERNETES_SERVICE_PORT"]
    context = ssl.create_default_context(cafile=str(SERVICE_ACCOUNT / "ca.crt"))
    server = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return Connection(server, context, context, token_file=SERVICE_ACCOUNT / "token")


def from_kubeconfig(path: Path) -> Connection:
    """The current context of a kubeconfig: a certificate or a token, no plugins. Raises ValueError."""
    config = yaml.safe_load(path.read_text())
    try:
        context = _named(config["contexts"], config["current-context"])["context"]
        cluster = _named(config["clusters"], context["cluster"])["cluster"]
        user = _named(config["users"], context["user"])["user"]
        server = cluster["server"]
    except KeyError as error:
        raise ValueError(f"{path}: {error} is missing") from error
    if "certificate-authority" in cluster or "client-certificate" in user or "exec" in user:
        raise ValueError(f"{path}: needs embedded certificates or a token; see kubectl config view --flatten --minify")
    ca = base64.b64decode(cluster.get("certificate-authority-data", "")).decode() or None  # None: the system's own
    anonymous = ssl.create_default_context(cadata=ca)
    own = ssl.create_default_context(cadata=ca)
    if "client-certificate-data" in user:
        _load_certificate(own, user)
    return Connection(server, own, anonymous, token=user.get("token"))


def _load_certificate(context: ssl.SSLContext, user: dict[str, str]) -> None:
    import tempfile  # only here: ssl takes certificates from files alone

    with tempfile.NamedTemporaryFile() as file:
        file.write(base64.b64decode(user["client-certificate-data"]) + b"\n")
        file.write(base64.b64decode(user["client-key-data"]))
        file.flush()
        context.load_cert_chain(file.name)


def _named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    found = next((item for item in items if item["name"] == name), None)
    if found is None:
        raise KeyError(name)
    return found


@dataclass(frozen=True)
class User:
    """Whom a token belongs to."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = field(default_factory=dict, hash=False)


class Kube:
    """Use as an async context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._own: aiohttp.ClientSession | None = None
        self._others: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Kube":
        self._own = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._connection.tls), timeout=_TIMEOUT)
        others = aiohttp.TCPConnector(ssl=self._connection.anonymous_tls)
        self._others = aiohttp.ClientSession(connector=others, timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._own, self._others):
            if session is not None:
                await session.close()

    async def list_runs(self, namespace: str | None) -> tuple[list[dict[str, Any]], str]:
        """All runs of a namespace (None: of all), and the position to watch from. Raises ApiError."""
        body = await self._request("GET", _runs_path(namespace))
        items = [{"apiVersion": names.API_VERSION, "kind": names.KIND, **item} for item in body["items"]]
        return items, body["metadata"]["resourceVersion"]

    async def watch_runs(self, namespace: str | None, position: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Changes as (type, object), until the server ends the watch. Raises WatchExpired, ApiError."""
        query = {
            "watch": "true", "resourceVersion": position, "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
        }  # fmt: skip
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + 30, connect=5, sock_read=WATCH_SECONDS + 30)
        url = self._connection.server + _runs_path(namespace)
        assert self._own is not None, "enter the context first"  # noqa: S101
        try:
            async with self._own.get(
                url, params=query, headers=self._connection.headers(), timeout=timeout, read_bufsize=8 << 20
            ) as response:
                if response.status == 410:
                    raise WatchExpired
                if response.status != 200:
                    raise _refusal(response.status, await response.read())
                async for line in response.content:
                    event = orjson.loads(line)
                    if event["type"] == "ERROR":
                        raise _watch_error(event["object"])
                    yield event["type"], event["object"]
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise Unavailable(f"the watch of runs broke: {type(error).__name__}") from error

    async def review_token(self, token: str, audiences: tuple[str, ...]) -> User | None:
        """Whose token it is; None where Kubernetes does not know it. Raises ApiError."""
        telemetry.REVIEWS.labels("token").inc()
        spec: dict[str, Any] = {"token": token}
        if audiences:
            spec["audiences"] = list(audiences)
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        status = answer.get("status", {})
        granted = set(status.get("audiences") or ())
        if not status.get("authenticated") or (audiences and not granted & set(audiences)):
            return None
        user = status["user"]
        return User(user["username"], user.get("uid", ""), tuple(user.get("groups", ())), user.get("extra", {}))

    async def review_access(self, user: User, namespace: str, verb: str, subresource: str = "") -> bool:
        """Whether RBAC lets the user do this to runs. Raises ApiError."""
        telemetry.REVIEWS.labels("access").inc()
        attributes = {"group": names.GROUP, "resource": names.PLURAL, "namespace": namespace, "verb": verb}
        if subresource:
            attributes["subresource"] = subresource
        spec = {
            "user": user.name, "uid": user.uid, "groups": list(user.groups), "extra": user.extra,
            "resourceAttributes": attributes,
        }  # fmt: skip
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
        answer = await self._request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        status = answer.get("status", {})
        return bool(status.get("allowed")) and not status.get("denied")

    async def patch_run(self, token: str, namespace: str, name: str, subresource: str, patch: Any) -> dict[str, Any]:
        """A merge patch with the viewer's own token. Raises ApiError with Kubernetes' own words."""
        path = f"{_runs_path(namespace)}/{name}" + (f"/{subresource}" if subresource else "")
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/merge-patch+json"}
        return await self._send(self._others, "PATCH", path, orjson.dumps(patch), headers)

    async def _request(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        headers = {**self._connection.headers(), "Content-Type": "application/json"}
        return await self._send(self._own, method, path, orjson.dumps(body) if body is not None else None, headers)

    async def _send(
        self, session: aiohttp.ClientSession | None, method: str, path: str, data: bytes | None, headers: dict[str, str]
    ) -> dict[str, Any]:
        assert session is not None, "enter the context first"  # noqa: S101
        url = self._connection.server + path
        try:
            async with session.request(method, url, data=data, headers=headers, allow_redirects=False) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unavailable(f"the Kubernetes API does not answer: {type(error).__name__}") from error
        if response.status >= 300:
            raise _refusal(response.status, content)
        answer: dict[str, Any] = orjson.loads(content)
        return answer


def _runs_path(namespace: str | None) -> str:
    scope = f"namespaces/{namespace}/" if namespace else ""
    return f"/apis/{names.API_VERSION}/{scope}{names.PLURAL}"


def _refusal(status: int, content: bytes) -> ApiError:
    """The error of an answer, with the message of Kubernetes' Status object."""
    try:
        body = orjson.loads(content)
        message = str(body.get("message") or "") if isinstance(body, dict) else ""
    except orjson.JSONDecodeError:
        message = ""
    kind = _STATUS_ERRORS.get(status, Unavailable)
    return kind(message or f"the Kubernetes API answered {status}")


def _watch_error(status: Any) -> Exception:
    if isinstance(status, dict) and status.get("code") == 410:
        return WatchExpired()
    return Unavailable(f"the watch of runs broke: {status.get('message') if isinstance(status, dict) else status}")
