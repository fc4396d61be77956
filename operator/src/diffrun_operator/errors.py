"""What the API server's refusals mean to the operator. The HTTP client's own types stay in `client`.

ApiError
├── PermanentError            the same request will be refused again
│   ├── NotFoundError         404
│   ├── AlreadyExistsError    409 on creation
│   ├── ForbiddenError        403, by RBAC, a quota or an admission plugin
│   └── InvalidError          400, 422 and every other 4xx
├── ConflictError             409: what was read is stale; read again
└── RetryableError            the same request may pass later
·   ├── TooManyRequestsError  429, with the seconds that the server asked for
·   └── TransientError        5xx, 401 after a new login, timeouts, broken connections
"""

from collections.abc import Mapping
from typing import Any


class ApiError(Exception):
    """A request that did not succeed."""

    def __init__(self, message: str, *, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.message = message
        """The server's own words."""
        self.code = code
        """The HTTP status, 0 where there was none."""
        self.reason = reason
        """The Status object's reason, for example `AlreadyExists`."""


class PermanentError(ApiError):
    """The same request will be refused again."""


class NotFoundError(PermanentError):
    """There is no such object (any more)."""


class AlreadyExistsError(PermanentError):
    """The name is taken."""


class ForbiddenError(PermanentError):
    """RBAC, a quota or an admission plugin refuses."""

    @property
    def by_rbac(self) -> bool:
        """Whether the operator's own rights are missing: the installation's fault, not the object's."""
        return " cannot " in self.message and "in API group" in self.message

    @property
    def namespace_ending(self) -> bool:
        """Whether the namespace is being deleted, and the run with it."""
        return "being terminated" in self.message


class InvalidError(PermanentError):
    """The object or the request is not acceptable."""


class ConflictError(ApiError):
    """What was read is stale."""


class RetryableError(ApiError):
    """The same request may pass later."""


class TooManyRequestsError(RetryableError):
    """The server asks to be left alone for a while."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message, code=429, reason="TooManyRequests")
        self.retry_after = retry_after
        """Seconds, at least."""


class TransientError(RetryableError):
    """The server, or the way to it, fails."""


def from_response(code: int, body: Mapping[str, Any], what: str, retry_after: float | None = None) -> ApiError:
    """The error that a response with a status of 400 or more means. `what` names the request."""
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or f"{what}: HTTP {code}")
    if code == 429:
        return TooManyRequestsError(message, retry_after=1.0 if retry_after is None else retry_after)
    if code >= 500 or code in (401, 408):
        return TransientError(f"{what}: {message}", code=code, reason=reason)
    if code == 409:
        kind: type[ApiError] = AlreadyExistsError if reason == "AlreadyExists" else ConflictError
    else:
        kind = {403: ForbiddenError, 404: NotFoundError}.get(code, InvalidError)
    return kind(message, code=code, reason=reason)
