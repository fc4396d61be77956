# ruff: noqa: N818 - the names say what is answered
"""Why a request is refused.

ApiError
├── BadRequest          400  the request is malformed
├── Unauthenticated     401  nobody said who is asking
├── Forbidden           403  Kubernetes, or the gateway's own rules, say no
├── NotFound            404  there is no such thing, or not for the one who asks
├── Conflict            409  the thing has changed meanwhile
├── Refused             422  Kubernetes does not take it, and says why
└── Unavailable         503  something that the gateway stands on does not answer
"""

from typing import ClassVar

from diffrun_contracts.api import Problem


class ApiError(Exception):
    """Answered as `api.Problem`."""

    status: ClassVar[int] = 500
    code: ClassVar[str] = "Unexpected"

    def __init__(
        self, message: str, *, field: str | None = None, code: str | None = None, grant: str | None = None
    ) -> None:
        super().__init__(message)
        self.problem = Problem(code=code or self.code, message=message, field=field, grant=grant)


class BadRequest(ApiError):
    """The request is malformed."""

    status, code = 400, "BadRequest"


class Unauthenticated(ApiError):
    """Nobody said who is asking, or the token is not known."""

    status, code = 401, "Unauthenticated"


class Forbidden(ApiError):
    """A right is missing."""

    status, code = 403, "Forbidden"


class NotFound(ApiError):
    """There is no such thing, or not for the one who asks: the two look alike on purpose."""

    status, code = 404, "NotFound"


class Conflict(ApiError):
    """The thing has changed meanwhile."""

    status, code = 409, "Conflict"


class Refused(ApiError):
    """Kubernetes does not take it; the message holds its own words."""

    status, code = 422, "Refused"


class Unavailable(ApiError):
    """Something that the gateway stands on does not answer."""

    status, code = 503, "Unavailable"
