"""The bytes of artifacts. An id is looked up among what the run itself announced; it is never a path."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.responses import StreamingResponse

from diffrun_contracts.api import Problem
from diffrun_gateway import media, thumbs, views
from diffrun_gateway.errors import BadRequest, NotFound, Unavailable
from diffrun_gateway.files import Files, NotThere, OpenFile
from diffrun_gateway.routes import services_of, viewer_of
from diffrun_gateway.services import Services
from diffrun_gateway.store import RunStore, StoredArtifact

router = APIRouter(prefix="/api/artifacts")

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_FOR_EVER = "private, max-age=31536000, immutable"
_SANDBOX = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
Uid = Annotated[str, Query(alias="run", min_length=1, max_length=64)]


@router.get("/{identifier}")
@router.head("/{identifier}")
async def get_artifact(request: Request, identifier: str, uid: Uid, download: bool = False) -> Response:
    """The bytes, as what they are: a picture or a video in place, everything else as a download."""
    services, store, item, files = await _found(request, identifier, uid)
    etag = f'"{item.artifact.sha256}"'
    if _matches(request, etag):
        return Response(status_code=304, headers={"etag": etag, "cache-control": _FOR_EVER})
    with ExitStack() as held:
        try:
            file = await asyncio.to_thread(held.enter_context, files.open(store.uid, item.artifact.path))
            size = item.artifact.size
            if not await services.digests.is_what(file, size, item.artifact.sha256):
                raise _changed(identifier)
            kind = media.content_type(await asyncio.to_thread(file.read, 0, media.SNIFFED))
        except NotThere:
            raise await _missing(services, store.uid, identifier) from None
        except OSError as error:
            raise _unreadable(identifier, error) from error
        headers = _headers(services, store, item, kind, etag, download=download)
        try:
            wanted = media.byte_range(_range_header(request, etag), size)
        except media.NotSatisfiable as error:
            problem = Problem(code="RangeNotSatisfiable", message=str(error), field="Range")
            return Response(problem.to_json(), 416, {"content-range": f"bytes */{size}"}, "application/json")
        first, last = wanted or (0, size - 1)
        headers["content-length"] = str(last - first + 1)
        if wanted is not None:
            headers["content-range"] = f"bytes {first}-{last}/{size}"
        status = 200 if wanted is None else 206
        if request.method == "HEAD":
            return Response(None, status, headers, kind)
        body = _stream(held.pop_all(), file, first, last)
        return StreamingResponse(body, status, headers, kind)


@router.get("/{identifier}/thumbnail")
async def get_thumbnail(request: Request, identifier: str, uid: Uid, size: int = 256) -> Response:
    """A small WebP."""
    if size not in thumbs.SIZES:
        raise BadRequest(f"size: one of {', '.join(map(str, thumbs.SIZES))}", field="size")
    services, store, item, files = await _found(request, identifier, uid)
    etag = f'"{item.artifact.sha256}-{size}"'
    if _matches(request, etag):
        return Response(status_code=304, headers={"etag": etag, "cache-control": _FOR_EVER})
    if not views.is_image(item):
        raise NotFound("this artifact does not say that it is an image")

    def read() -> bytes:
        data = files.read(store.uid, item.artifact.path, thumbs.MAX_FILE)
        if hashlib.sha256(data).hexdigest() != item.artifact.sha256:
            raise _changed(identifier)
        return data

    try:
        data = await services.thumbnails.get(f"{store.uid}/{item.artifact.sha256}", size, read)
    except NotThere:
        raise await _missing(services, store.uid, identifier) from None
    except OSError as error:
        raise _unreadable(identifier, error) from error
    return Response(data, 200, {"etag": etag, "cache-control": _FOR_EVER}, "image/webp")


async def _found(request: Request, identifier: str, uid: str) -> tuple[Services, RunStore, StoredArtifact, Files]:
    services, viewer = services_of(request), await viewer_of(request)
    if not _ID.fullmatch(identifier):
        raise _gone(identifier)
    run = await services.visible(viewer, uid)
    feed = await services.hub.feed(run.ref.uid)
    item = feed.store.artifacts.get(identifier)
    if item is None or services.files is None:
        raise await _missing(services, uid, identifier)
    return services, feed.store, item, services.files


def _headers(
    services: Services, store: RunStore, item: StoredArtifact, kind: str, etag: str, *, download: bool
) -> dict[str, str]:
    run = services.registry.runs.get(store.uid)
    name = views.artifact_entry(store, item).file_name if run is None else views.file_name(run.ref.name, item)
    how = "inline" if kind in media.INLINE and not download else "attachment"
    return {
        "etag": etag,
        "cache-control": _FOR_EVER,
        "accept-ranges": "bytes",
        "content-disposition": f"{how}; filename=\"{name}\"; filename*=UTF-8''{quote(name)}",
        "content-security-policy": _SANDBOX,
    }


def _range_header(request: Request, etag: str) -> str | None:
    """A range of another version of the file would be of no use."""
    values = request.headers.getlist("range")
    if len(values) > 1:
        return ",".join(values)
    condition = request.headers.get("if-range")
    return values[0] if values and condition in (None, etag) else None


def _matches(request: Request, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return any(tag.strip().removeprefix("W/") in (etag, "*") for tag in known.split(","))


def _gone(identifier: str) -> NotFound:
    return NotFound(f"there is no artifact {identifier[:64]!r} in this run", code="ArtifactNotFound")


async def _missing(services: Services, uid: str, identifier: str) -> NotFound:
    """Not there, or not within this gateway's reach."""
    run = services.registry.runs.get(uid)
    reason = await services.elsewhere.reason(run) if run is not None else None
    return NotFound(reason, code="FilesNotMounted") if reason else _gone(identifier)


def _changed(identifier: str) -> NotFound:
    return NotFound(f"the file of artifact {identifier!r} is not the one that was announced", code="FileChanged")


def _unreadable(identifier: str, error: OSError) -> Unavailable:
    return Unavailable(f"the file of artifact {identifier!r} cannot be read: {error.strerror}")


async def _stream(held: ExitStack, file: OpenFile, first: int, last: int) -> AsyncIterator[bytes]:
    """The file's bytes, read in a thread; it is closed whatever happens."""
    with held:
        while first <= last:
            data = await asyncio.to_thread(file.read, first, min(file.chunk, last - first + 1))
            if not data:
                raise OSError("the file became shorter while it was read")
            first += len(data)
            yield data
