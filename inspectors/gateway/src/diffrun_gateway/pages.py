"""The static bundle, under any prefix: every page is the same document, told where it is."""

import html
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from diffrun_gateway.asgi import PAGE_CSP
from diffrun_gateway.errors import NotFound

BASE_MARK = "<!--base-->"
_NO_CACHE, _FOR_EVER = "no-cache", "public, max-age=31536000, immutable"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}


class Pages:
    """All files are read once, at the start: nothing of the file system can be reached afterwards."""

    def __init__(self, directory: Path, prefix: str) -> None:
        """Raises FileNotFoundError without an index.html."""
        self._files = {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in sorted(directory.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }
        if "index.html" not in self._files:
            raise FileNotFoundError(f"{directory} holds no index.html; build the pages first")
        index = self._files.pop("index.html").decode()
        base = f'<base href="{html.escape(prefix)}/">'
        mark = BASE_MARK if BASE_MARK in index else "<head>"
        self._index = index.replace(mark, base if mark == BASE_MARK else f"<head>{base}", 1).encode()

    async def __call__(self, request: Request) -> Response:
        """A file of the bundle, or the document for every address that the pages know."""
        path = request.path_params.get("path", "")
        data = self._files.get(path)
        headers = {"content-security-policy": PAGE_CSP.decode()}
        if data is None:
            if path.startswith("api/") or ("." in path.rpartition("/")[2] and not path.startswith("runs/")):
                raise NotFound(f"there is no {path!r}")
            return Response(self._index, media_type="text/html", headers={**headers, "cache-control": _NO_CACHE})
        kind = _TYPES.get(Path(path).suffix) or mimetypes.guess_type(path)[0] or "application/octet-stream"
        caching = _FOR_EVER if path.startswith("assets/") else _NO_CACHE
        return Response(data, media_type=kind, headers={**headers, "cache-control": caching})
