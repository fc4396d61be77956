"""Signing in and out: a token is exchanged for a cookie, so that streams and images, which send no header, have it."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from diffrun_contracts.api import Session
from diffrun_gateway import __version__
from diffrun_gateway.access import COOKIE, KubernetesAccess, Viewer, bearer
from diffrun_gateway.errors import Unauthenticated
from diffrun_gateway.routes import answer, require_own_page, services_of

router = APIRouter(prefix="/api/session")


@router.get("")
async def get_session(request: Request) -> Response:
    """Who looks, whether or not anybody is signed in."""
    access = services_of(request).access
    viewer = None
    if access.required:
        try:
            viewer = await access.viewer(request)
        except Unauthenticated:
            viewer = None
    return answer(_session(access.required, viewer))


@router.post("")
async def sign_in(request: Request) -> Response:
    """Exchanges the Authorization header's token for a session cookie."""
    services = services_of(request)
    require_own_page(request, services)
    if not isinstance(services.access, KubernetesAccess):
        return answer(_session(False, None))
    token = bearer(request)
    if token is None:
        raise Unauthenticated("send the token in an Authorization header: Bearer <token>")
    viewer = await services.access.sign_in(token)
    response = answer(_session(True, viewer))
    serve = services.settings.serve
    response.set_cookie(
        COOKIE, viewer.session or "", max_age=int(services.settings.auth.session_seconds), path=f"{serve.prefix}/",
        httponly=True, samesite="strict", secure=serve.secure_cookie or request.url.scheme == "https",
    )  # fmt: skip
    return response


@router.delete("")
async def sign_out(request: Request) -> Response:
    """Ends the session."""
    services = services_of(request)
    require_own_page(request, services)
    if isinstance(services.access, KubernetesAccess):
        services.access.sign_out(Viewer(None, session=request.cookies.get(COOKIE)))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, path=f"{services.settings.serve.prefix}/", httponly=True, samesite="strict")
    return response


def _session(required: bool, viewer: Viewer | None) -> Session:
    user = viewer.user if viewer else None
    return Session(
        auth_required=required, user=user.name if user else None, version=__version__,
        expires=viewer.expires if viewer else None,
    )  # fmt: skip
