"""The application: endpoints, pages, probes, and one form for every refusal."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from diffrun_contracts.api import Problem
from diffrun_gateway import artifact_routes, routes, session_routes
from diffrun_gateway.asgi import Guard, Hosts, Measured
from diffrun_gateway.errors import ApiError
from diffrun_gateway.pages import Pages
from diffrun_gateway.services import Services, connection, running
from diffrun_gateway.settings import Settings

logger = logging.getLogger(__name__)


class Application:
    """The ASGI application, and what ends its streams."""

    def __init__(self, settings: Settings) -> None:
        """Raises FileNotFoundError where the bundle is missing, SettingsError where the cluster is."""
        self._settings = settings
        self._cluster = connection(settings)
        self.services: Services | None = None
        pages = Pages(settings.serve.static, settings.serve.prefix) if settings.serve.static else None
        api = FastAPI(
            title="diffrun gateway", docs_url=None, redoc_url=None, openapi_url=None, lifespan=self._lifespan,
            redirect_slashes=False,
        )  # fmt: skip
        api.include_router(session_routes.router)
        api.include_router(routes.router)
        api.include_router(artifact_routes.router)
        api.add_api_route("/livez", _live, include_in_schema=False)
        api.add_api_route("/readyz", _ready, include_in_schema=False)
        if pages is not None:
            api.add_api_route("/{path:path}", pages.__call__, include_in_schema=False)
        _handle_errors(api)
        self.asgi: ASGIApp = Guard(Measured(api), Hosts(settings.serve.hosts), settings.serve.prefix)

    def stop_streams(self) -> None:
        """Lets every open stream end now."""
        if self.services is not None:
            self.services.streams.stopping.set()

    @asynccontextmanager
    async def _lifespan(self, api: FastAPI) -> AsyncIterator[None]:
        async with running(self._settings, self._cluster) as services:
            self.services = api.state.services = services
            yield


async def _live() -> Response:
    """The event loop turns."""
    return Response("ok", media_type="text/plain")


async def _ready(request: Request) -> Response:
    """The runs have been listed once. A Redis that is down makes pages late, not useless."""
    if routes.services_of(request).registry.ready.is_set():
        return Response("ok", media_type="text/plain")
    return Response("runs have not been listed yet", 503, media_type="text/plain")


def _problem(status: int, problem: Problem) -> Response:
    return Response(problem.to_json(), status, {"cache-control": "no-store"}, "application/json")


def _handle_errors(api: FastAPI) -> None:
    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)  # noqa: S101 - registered for it
        headers = {"www-authenticate": "Bearer"} if error.status == 401 else {}
        response = _problem(error.status, error.problem)
        response.headers.update(headers)
        return response

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"][1:]) or None
        return _problem(400, Problem(code="BadRequest", message=f"{field}: {first['msg']}", field=field))

    async def unknown(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
        code = "NotFound" if error.status_code == 404 else "BadRequest"
        return _problem(error.status_code, Problem(code=code, message=str(error.detail)))

    async def unexpected(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return _problem(500, Problem(code="Unexpected", message="the gateway failed; its log says why"))

    api.add_exception_handler(ApiError, refused)
    api.add_exception_handler(RequestValidationError, malformed)
    api.add_exception_handler(HTTPException, unknown)
    api.add_exception_handler(Exception, unexpected)
