"""A small server that the real `huggingface_hub` client takes for the Hub.

    python -m diffrun_testkit.hub --root DIR [--port 8000] [--token T]
    python -m diffrun_testkit.hub --checkpoint DIR --repo google/ddpm-cat-256

The first form serves `DIR/<owner>/<name>/…`, the second one checkpoint under a name, both with what surrounds a
checkpoint on the Hub where it is missing: a card, attributes, a pickle beside the safetensors. Without either
`/srv/hub` is served where it exists, and always `diffrun/zeros`, a look-alike whose weights are zeros. The server
answers what client version 2.4.0 asks of models and datasets: the description of a revision with checksums, the file
tree, HEAD and GET of a file, and the place that files in large-file storage are redirected to, with ranges.
"""

import argparse
import asyncio
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from aiohttp import web

from diffrun_testkit.faults import Fault, split_fault
from diffrun_testkit.repos import HubFile, Repo, is_lfs, lookalike

DEFAULT_ROOT = "/srv/hub"
RETRY_AFTER = 7
_CHUNK = 256 * 1024


class HubServer:
    """Repositories, their faults, and what was asked for."""

    def __init__(self, repos: Iterable[Repo] = (), *, token: str | None = None) -> None:
        self.repos = {repo.name: repo for repo in repos}
        self.token = token
        self.faults: dict[str, Fault] = {}
        self.requests: list[tuple[str, str]] = []
        """Method and path of every request, for tests."""
        self._weights_sent: Counter[str] = Counter()

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application(middlewares=[self._record])
        app.add_routes(
            [
                web.get("/healthz", self._health),
                web.put("/_testkit/faults/{owner}/{name}", self._set_fault),
                web.get("/api/{kind:models|datasets}/{owner}/{name}", self._describe),
                web.get("/api/{kind:models|datasets}/{owner}/{name}/revision/{revision}", self._describe),
                web.get("/api/{kind:models|datasets}/{owner}/{name}/tree/{revision}", self._tree),
                web.get("/{kind:datasets}/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve),
                web.get("/{owner}/{name}/resolve/{revision}/{path:.+}", self._resolve),
                web.get("/_lfs/{owner}/{name}/{sha256}", self._large_file),
            ]
        )
        return app

    @web.middleware
    async def _record(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        response: web.StreamResponse = await handler(request)
        return response

    async def _health(self, _: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _set_fault(self, request: web.Request) -> web.Response:
        self.faults[f"{request.match_info['owner']}/{request.match_info['name']}"] = Fault(await request.text())
        return web.Response(text="ok\n")

    async def _describe(self, request: web.Request) -> web.Response:
        repo, fault = await self._find(request)
        siblings = [self._sibling(path, file, fault) for path, file in repo.files.items()]
        if request.query.get("blobs", "").lower() != "true":
            siblings = [{"rfilename": each["rfilename"]} for each in siblings]
        description = {
            "id": repo.name,
            "modelId": repo.name,
            "sha": repo.commit,
            "private": fault is Fault.UNAUTHORIZED,
            "gated": "auto" if fault is Fault.GATED else False,
            "tags": ["diffusers"],
            "siblings": siblings,
        }
        return web.json_response(description, headers={"X-Repo-Commit": repo.commit})

    def _sibling(self, path: str, file: HubFile, fault: Fault) -> dict[str, Any]:
        sibling: dict[str, Any] = {"rfilename": path, "size": file.size}
        if fault is Fault.NO_CHECKSUM:
            return sibling
        sibling["blobId"] = file.blob_id(lfs=is_lfs(path))
        if is_lfs(path):
            sibling["lfs"] = {"sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
        return sibling

    async def _tree(self, request: web.Request) -> web.Response:
        repo, _ = await self._find(request)
        return web.json_response(
            [
                {"type": "file", "path": path, "size": file.size, "oid": file.blob_id(lfs=is_lfs(path))}
                | ({"lfs": {"oid": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}}
                   if is_lfs(path) else {})
                for path, file in repo.files.items()
            ]
        )  # fmt: skip

    async def _resolve(self, request: web.Request) -> web.StreamResponse:
        repo, fault = await self._find(request)
        path = request.match_info["path"]
        file = repo.files.get(path)
        if file is None:
            raise _error(web.HTTPNotFound, "EntryNotFound", "Entry not found", repo.commit)
        if fault is Fault.GATED and not self._authorized(request):
            raise _error(web.HTTPUnauthorized, "GatedRepo", f"Access to model {repo.name} is restricted.")
        headers = {"X-Repo-Commit": repo.commit, "Accept-Ranges": "bytes"}
        if is_lfs(path):
            headers |= _linked(file)
            headers["Location"] = f"{request.scheme}://{request.host}/_lfs/{self._asked(request)}/{file.sha256}"
            return web.Response(status=302, headers=headers)
        headers["ETag"] = f'"{file.blob_id(lfs=False)}"'
        return await _send(request, file, headers)

    async def _large_file(self, request: web.Request) -> web.StreamResponse:
        repo, fault = await self._find(request)
        wanted = request.match_info["sha256"]
        file = next((file for path, file in repo.files.items() if is_lfs(path) and file.sha256 == wanted), None)
        if file is None:
            raise web.HTTPNotFound
        if request.method == "GET":
            self._weights_sent[self._asked(request)] += 1
        first = self._weights_sent[self._asked(request)] == 1
        # The Hub redirects to another host, whose headers the client does not look at; this is the same host.
        headers = {"X-Repo-Commit": repo.commit, "ETag": f'"{file.sha256}"', "Accept-Ranges": "bytes", **_linked(file)}
        if fault is Fault.FLIP or (fault is Fault.FLIP_ONCE and first):
            data = bytearray(file.read())
            data[-1] ^= 1
            return await _send(request, HubFile(bytes(data)), headers)
        if fault is Fault.SHORT:
            return await _send(request, HubFile(file.read(0, file.size // 2)), headers, ranges=False)
        cut = fault is Fault.TRUNCATE or (fault is Fault.CUT_ONCE and first)
        return await _send(request, file, headers, until=file.size // 2 if cut else None)

    def _asked(self, request: web.Request) -> str:
        """The repository's name as it was asked for, with the fault's suffix."""
        return f"{request.match_info['owner']}/{request.match_info['name']}"

    def _authorized(self, request: web.Request) -> bool:
        return self.token is not None and request.headers.get("Authorization") == f"Bearer {self.token}"

    async def _find(self, request: web.Request) -> tuple[Repo, Fault]:
        """The repository and its fault, unless the fault is that there is no answer."""
        asked = self._asked(request)
        try:
            name, fault = split_fault(asked)
        except ValueError:
            raise web.HTTPBadRequest(text=f"unknown fault; known: {', '.join(Fault)}") from None
        fault = self.faults.get(asked, fault)
        await self._fail(request, asked, fault)
        repo = self.repos.get(asked) or self.repos.get(name)
        if repo is None or not self._asks_for(request, repo):
            raise _error(web.HTTPNotFound, "RepoNotFound", "Repository not found")
        revision = request.match_info.get("revision", "main")
        if not repo.resolve(revision):
            raise _error(web.HTTPNotFound, "RevisionNotFound", f"Invalid rev id: {revision}")
        return repo, fault

    def _asks_for(self, request: web.Request, repo: Repo) -> bool:
        """Whether the path is one of the repository's kind; the place of large files is the same for both."""
        if request.path.startswith("/_lfs/"):
            return True
        return request.match_info.get("kind", "models") == f"{repo.kind}s"

    async def _fail(self, request: web.Request, asked: str, fault: Fault) -> None:
        if fault is Fault.UNAUTHORIZED and not self._authorized(request):
            raise web.HTTPUnauthorized(headers={"X-Error-Message": "Invalid username or password."})
        if fault is Fault.FORBIDDEN:
            raise web.HTTPForbidden(headers={"X-Error-Message": "The token lacks the right to read."})
        if fault is Fault.NOT_FOUND:
            raise _error(web.HTTPNotFound, "RepoNotFound", "Repository not found")
        if fault is Fault.RATE_LIMITED:
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(RETRY_AFTER)})
        if fault is Fault.SERVER_ERROR:
            raise web.HTTPInternalServerError(text=f"{asked} fails as it was told to")
        if fault is Fault.NOT_A_HUB:
            raise web.HTTPOk(text="<html>Please log in.</html>", content_type="text/html")
        if fault is Fault.TIMEOUT:
            await asyncio.Event().wait()


def _error(kind: Any, code: str, message: str, commit: str | None = None) -> web.HTTPException:
    """An error as the Hub tells it: by headers."""
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    if commit is not None:
        headers["X-Repo-Commit"] = commit
    error: web.HTTPException = kind(headers=headers)
    return error


def _linked(file: HubFile) -> dict[str, str]:
    """What the Hub tells of a file in large-file storage before it redirects there."""
    return {"X-Linked-Size": str(file.size), "X-Linked-Etag": f'"{file.sha256}"'}


async def _send(
    request: web.Request, file: HubFile, headers: dict[str, str], *, ranges: bool = True, until: int | None = None
) -> web.StreamResponse:
    """Sends a file or a range of it; with `until` the connection ends at that byte of the file."""
    wanted = request.http_range if ranges else slice(None, None)
    start, stop = wanted.start or 0, file.size if wanted.stop is None else min(wanted.stop, file.size)
    partial = wanted.start is not None or wanted.stop is not None
    if partial and start >= file.size:
        raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{file.size}"})
    response = web.StreamResponse(status=206 if partial else 200, headers=headers)
    if partial:
        response.headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size}"
    response.content_length = stop - start
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    end = stop if until is None else min(stop, until)
    for position in range(start, end, _CHUNK):
        await response.write(file.read(position, min(_CHUNK, end - position)))
    if end < stop and request.transport is not None:
        request.transport.close()
    return response


def load_root(root: Path) -> list[Repo]:
    """Every `<owner>/<name>` below a folder, each with what surrounds a checkpoint on the Hub."""
    return [
        Repo.from_folder(f"{owner.name}/{name.name}", name).in_the_shape_of_the_hub()
        for owner in sorted(root.iterdir())
        if owner.is_dir()
        for name in sorted(owner.iterdir())
        if name.is_dir()
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Serves until it is stopped."""
    parser = argparse.ArgumentParser(prog="diffrun_testkit.hub", description="A small Hub-compatible server.")
    parser.add_argument("--root", type=Path, help="serves <root>/<owner>/<name>/…; by default " + DEFAULT_ROOT)
    parser.add_argument("--checkpoint", type=Path, help="serves this folder's checkpoint in the shape of the Hub")
    parser.add_argument("--repo", default="google/ddpm-cat-256", help="the name of --checkpoint's repository")
    parser.add_argument("--host", default="0.0.0.0")  # noqa: S104 - it serves a cluster
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--token", default=os.environ.get("DIFFRUN_HUB_TOKEN"), help="opens gated repositories")
    options = parser.parse_args(arguments)
    root = options.root or Path(os.environ.get("DIFFRUN_HUB_ROOT") or DEFAULT_ROOT)
    repos = [lookalike("diffrun/zeros")]
    if options.root is not None or root.is_dir():
        repos += load_root(root)
    if options.checkpoint is not None:
        repos.append(Repo.from_folder(options.repo, options.checkpoint).in_the_shape_of_the_hub())
    print("serving " + ", ".join(f"{repo.name} at {repo.commit[:12]}" for repo in repos), flush=True)
    web.run_app(HubServer(repos, token=options.token).application(), host=options.host, port=options.port, print=None)


if __name__ == "__main__":
    main()
