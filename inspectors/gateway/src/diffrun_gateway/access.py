"""Who looks, and what they may see: the gateway never lends anybody its own rights.

A token is either sent with each request, or exchanged once for a session: a random name in an HttpOnly, SameSite
cookie, since neither EventSource nor <img> can send a header. What Kubernetes answered is trusted for a minute.
"""

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from starlette.requests import Request

from diffrun_contracts.api import Permissions
from diffrun_gateway.errors import BadRequest, Forbidden, Unauthenticated
from diffrun_gateway.grants import Right, grant
from diffrun_gateway.kube import Kube, User
from diffrun_gateway.settings import Auth

K = TypeVar("K")
V = TypeVar("V")

COOKIE = "diffrun_session"
MAX_TOKEN = 8192
MAX_ANSWERS = 20_000
"""Answers of Kubernetes that are remembered."""


@dataclass(frozen=True)
class Viewer:
    """Who looks."""

    user: User | None
    """None where nobody has to say."""
    token: str | None = None
    """The viewer's own, for what is done in their name."""
    session: str | None = None
    """The session's name, where there is one."""
    expires: datetime | None = None
    """When the session ends."""


class Access(Protocol):
    """Decides who may look."""

    required: bool

    async def viewer(self, request: Request) -> Viewer:
        """Who asks. Raises Unauthenticated."""

    async def recheck(self, viewer: Viewer) -> None:
        """Whether the viewer is still who they were. Raises Unauthenticated."""

    async def may(self, viewer: Viewer, namespace: str, verb: str, subresource: str = "") -> bool:
        """Whether the viewer has the right. Raises Unavailable."""

    async def permissions(self, viewer: Viewer, namespace: str) -> Permissions:
        """What the page offers."""


class OpenAccess:
    """Everybody who reaches the port looks at everything."""

    required = False

    def __init__(self, *, local: bool) -> None:
        """`local`: without a cluster, where gates are decided by whoever sits there."""
        self._local = local

    async def viewer(self, request: Request) -> Viewer:  # noqa: ARG002 - the protocol's
        """Nobody in particular, whatever the request's headers claim."""
        return Viewer(None)

    async def recheck(self, viewer: Viewer) -> None:
        """Always."""

    async def may(self, viewer: Viewer, namespace: str, verb: str, subresource: str = "") -> bool:  # noqa: ARG002
        """Always."""
        return True

    async def permissions(self, viewer: Viewer, namespace: str) -> Permissions:  # noqa: ARG002 - the protocol's
        """Deciding takes a name to decide under."""
        if self._local:
            return Permissions(approve=True, edit=True)
        return Permissions(
            approve=False,
            edit=False,
            explanation="This gateway runs without sign-in, so it does not know who you are. "
            "Decide with the kubectl line, or ask for auth.mode=kubernetes.",
        )


@dataclass
class _Session:
    token: str
    user: User
    ends: float
    expires: datetime


class KubernetesAccess:
    """TokenReview says who, SubjectAccessReview says what."""

    required = True

    def __init__(self, kube: Kube, settings: Auth, clock: Callable[[], float] = time.monotonic) -> None:
        self._kube, self._settings, self._clock = kube, settings, clock
        self._sessions: OrderedDict[str, _Session] = OrderedDict()
        self._users: OrderedDict[str, tuple[float, User | None]] = OrderedDict()
        self._rights: OrderedDict[tuple[User, str, str, str], tuple[float, bool]] = OrderedDict()

    async def sign_in(self, token: str) -> Viewer:
        """Exchanges a token for a session. Raises Unauthenticated."""
        user = await self._review(token)
        name = secrets.token_urlsafe(32)
        seconds = self._settings.session_seconds
        expires = datetime.now(UTC) + timedelta(seconds=seconds)
        self._sessions[_digest(name)] = _Session(token, user, self._clock() + seconds, expires)
        while len(self._sessions) > self._settings.max_sessions:
            self._sessions.popitem(last=False)
        return Viewer(user, token, name, expires)

    def sign_out(self, viewer: Viewer) -> None:
        """Ends the session."""
        if viewer.session is not None:
            self._sessions.pop(_digest(viewer.session), None)

    async def viewer(self, request: Request) -> Viewer:
        """By the Authorization header, or else by the session's cookie."""
        token = bearer(request)
        if token is not None:
            return Viewer(await self._review(token), token)
        name = request.cookies.get(COOKIE)
        if not name:
            raise Unauthenticated("sign in with a token: kubectl create token <service account>")
        session = self._session(name)
        viewer = Viewer(session.user, session.token, name, session.expires)
        await self.recheck(viewer)
        return viewer

    async def recheck(self, viewer: Viewer) -> None:
        """Asks again where the last answer is too old."""
        if viewer.session is not None:
            self._session(viewer.session)
        if viewer.token is None:
            raise Unauthenticated("there is no token to check")
        await self._review(viewer.token)

    async def may(self, viewer: Viewer, namespace: str, verb: str, subresource: str = "") -> bool:
        """By SubjectAccessReview for `diffusionruns` in the namespace."""
        if viewer.user is None:
            return False
        key = (viewer.user, namespace, verb, subresource)
        known = self._rights.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        allowed = await self._kube.review_access(viewer.user, namespace, verb, subresource)
        _remember(self._rights, key, (self._clock() + self._settings.review_seconds, allowed))
        return allowed

    async def permissions(self, viewer: Viewer, namespace: str) -> Permissions:
        """What RBAC grants; the admission policy has the last word on a decision."""
        approve = await self.may(viewer, namespace, "patch", "status")
        edit = await self.may(viewer, namespace, "patch")
        if viewer.user is None:
            return Permissions(approve=False, edit=False, explanation="sign in first")
        name = viewer.user.name
        missing = [
            text
            for granted, text in (
                (approve, "diffusionruns/status (to decide gates)"),
                (edit, "diffusionruns (to pause, resume and cancel)"),
            )
            if not granted
        ]
        explanation = f"{name} may not patch {' nor '.join(missing)} in namespace {namespace}" if missing else None
        return Permissions(
            approve=approve, edit=edit, explanation=explanation,
            approve_grant=None if approve else grant(Right.APPROVE, name, namespace, self._settings.approver_role),
            edit_grant=None if edit else grant(Right.EDIT, name, namespace),
        )  # fmt: skip

    def _session(self, name: str) -> _Session:
        session = self._sessions.get(_digest(name))
        if session is None or session.ends <= self._clock():
            self._sessions.pop(_digest(name), None)
            raise Unauthenticated("the session has ended; sign in again")
        return session

    async def _review(self, token: str) -> User:
        key = _digest(token)
        known = self._users.get(key)
        if known is None or known[0] <= self._clock():
            user = await self._kube.review_token(token, self._settings.audiences)
            known = (self._clock() + self._settings.review_seconds, user)
            _remember(self._users, key, known)
        if known[1] is None:
            raise Unauthenticated("Kubernetes does not know this token; it may have expired")
        return known[1]


def bearer(request: Request) -> str | None:
    """The token of the Authorization header; None without one. Raises Unauthenticated, BadRequest."""
    values = request.headers.getlist("authorization")
    if not values:
        return None
    if len(values) > 1:
        raise BadRequest("send one Authorization header", field="Authorization")
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN or not token.isascii() or " " in token:
        raise Unauthenticated("the Authorization header has the form: Bearer <token>")
    return token


def require_same_origin(request: Request, hosts: Callable[[str], bool]) -> None:
    """Refuses what a foreign page may have made the browser send. Raises Forbidden."""
    if request.headers.get("x-diffrun") != "1":
        raise Forbidden("send the header X-Diffrun: 1, which no foreign page can", field="X-Diffrun")
    origin = request.headers.get("origin")
    if origin is not None and not hosts(origin.partition("://")[2]):
        raise Forbidden("the request comes from another origin", field="Origin")


def _digest(secret: str) -> str:
    """Secrets are looked up by their digests, so that looking tells nothing about them."""
    return hashlib.sha256(secret.encode()).hexdigest()


def _remember(cache: "OrderedDict[K, V]", key: K, value: V) -> None:
    cache[key] = value
    cache.move_to_end(key)
    while len(cache) > MAX_ANSWERS:
        cache.popitem(last=False)
