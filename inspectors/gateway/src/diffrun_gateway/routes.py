"""The endpoints. Each says who may use it; nothing is served because of where a request came from."""

import asyncio
import re
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Header, Query, Request
from fastapi.responses import Response

from diffrun_contracts.api import (
    ArtifactList,
    ControlRequest,
    GateRequest,
    MetricList,
    RunList,
    Statistics,
    StatisticsList,
)  # fmt: skip
from diffrun_contracts.base import Model
from diffrun_gateway import runs, views
from diffrun_gateway.access import Viewer, require_same_origin
from diffrun_gateway.asgi import Hosts
from diffrun_gateway.asked import Asked, ask
from diffrun_gateway.errors import BadRequest, Forbidden, NotFound
from diffrun_gateway.grants import UNTOLD, Right, grant
from diffrun_gateway.position import Position, parse_positions
from diffrun_gateway.run_streams import LiveStatuses, RunListStream
from diffrun_gateway.services import Services
from diffrun_gateway.sse import EventStream, RunStream
from diffrun_gateway.views import SeriesQuery, Smoothing, XAxis

router = APIRouter(prefix="/api")

Uids = Annotated[list[str], Query(alias="run")]
"""How many may be named is a setting, `limits.runs_per_request`; `Services.all_visible` asks it."""
Words = Annotated[list[str] | None, Query(max_length=64)]
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", re.ASCII)
_NO_STORE = {"cache-control": "no-store"}
_BIG = 50_000
"""Points above which a series is worked out off the event loop."""


def services_of(request: Request) -> Services:
    """The application's parts."""
    found: Services = request.app.state.services
    return found


async def viewer_of(request: Request) -> Viewer:
    """Who asks. Raises Unauthenticated."""
    return await services_of(request).access.viewer(request)


def require_own_page(request: Request, services: Services) -> None:
    """Refuses what another site's page sends. Raises Forbidden."""
    require_same_origin(request, Hosts(services.settings.serve.hosts))


def answer(body: Model, status: int = 200) -> Response:
    """A model as JSON."""
    return Response(body.to_json(), status, _NO_STORE, "application/json")


@router.get("/runs")
async def list_runs(request: Request) -> Response:
    """All runs that the viewer may see."""
    services = services_of(request)
    return answer(await visible_runs(services, await viewer_of(request)))


@router.get("/runs/events")
async def follow_runs(request: Request) -> "_Stream":
    """The list, live."""
    services, viewer = services_of(request), await viewer_of(request)
    stream = RunListStream(services, viewer, await visible_runs(services, viewer), await _namespaces(services, viewer))
    return _Stream(stream)


@router.get("/runs/{namespace}/{name}")
async def get_run(request: Request, namespace: str, name: str, uid: str | None = None) -> Response:
    """One run's page."""
    services, viewer = services_of(request), await viewer_of(request)
    run = await services.named(viewer, _valid(namespace), _valid(name), uid)
    return answer(await services.detail(viewer, run))


@router.post("/runs/{namespace}/{name}/gates/{block}")
async def decide(
    request: Request, namespace: str, name: str, block: str, body: Annotated[GateRequest, Body()]
) -> Response:
    """Decides a gate in the viewer's own name."""
    services, viewer = services_of(request), await viewer_of(request)
    require_own_page(request, services)
    run = await services.named(viewer, _valid(namespace), _valid(name), body.uid)
    _valid(block)
    await services.actions.decide(viewer, run, block, body)
    return answer(await services.detail(viewer, services.registry.runs.get(body.uid, run)))


@router.post("/runs/{namespace}/{name}/control")
async def control(request: Request, namespace: str, name: str, body: Annotated[ControlRequest, Body()]) -> Response:
    """Pauses, resumes or cancels in the viewer's own name."""
    services, viewer = services_of(request), await viewer_of(request)
    require_own_page(request, services)
    run = await services.named(viewer, _valid(namespace), _valid(name), body.uid)
    await services.actions.control(viewer, run, body.action)
    return answer(await services.detail(viewer, services.registry.runs.get(body.uid, run)))


@router.get("/metrics")
async def list_metrics(request: Request, uids: Uids) -> Response:
    """The series that there are."""
    asked = await _ask(request, uids)
    found = []
    for feed in asked.feeds:
        for group in feed.store.by_metric().values():
            found += [entry for data in group if (entry := views.metric_entry(feed.uid, data)) is not None]
    found.sort(key=lambda entry: entry.name)
    return answer(MetricList(cursors=asked.cursors, metrics=tuple(found), notices=asked.notices))


@router.get("/series")
async def get_series(
    request: Request,
    uids: Uids,
    metric: Words = None,
    series: Words = None,
    block: Words = None,
    x: XAxis = XAxis.STEP,
    start: Annotated[float | None, Query(alias="from", allow_inf_nan=False)] = None,
    end: Annotated[float | None, Query(alias="to", allow_inf_nan=False)] = None,
    points: Annotated[int, Query(ge=0, le=20_000)] = 2000,
    smoothing: Smoothing = Smoothing.NONE,
    weight: Annotated[float, Query(ge=0, lt=1)] = 0.6,
) -> Response:
    """Lines, smoothed and thinned."""
    if 0 < points < 4:
        raise BadRequest("points: 0 for all, or at least 4", field="points")
    asked = await _ask(request, uids)
    query = SeriesQuery(x, start, end, points, smoothing, weight)
    # The arrays of this moment belong to the cursors of this moment; they never change afterwards.
    chosen = [
        (feed.uid, data, data.columns())
        for feed in asked.feeds
        for group in feed.store.by_metric().values()
        for data in group
        if _wanted(data.key.name, metric) and _wanted(data.id, series) and _wanted(data.key.block, block)
    ]
    body: dict[str, Any] = {"cursors": asked.cursors, "notices": asked.notices}

    def work() -> bytes:
        lines = [views.series(uid, data, columns, query) for uid, data, columns in chosen if len(columns)]
        body["series"] = sorted(lines, key=lambda line: line["name"])
        return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)

    big = sum(len(columns) for _, _, columns in chosen) > _BIG
    content = await asyncio.to_thread(work) if big else work()
    return Response(content, headers=_NO_STORE, media_type="application/json")


@router.get("/statistics")
async def get_statistics(request: Request, uids: Uids, metric: Words = None) -> Response:
    """Every metric in figures."""
    asked = await _ask(request, uids)
    found: list[Statistics] = []
    for feed in asked.feeds:
        for name, group in feed.store.by_metric().items():
            figures = views.statistics(feed.uid, name, group) if _wanted(name, metric) else None
            if figures is not None:
                found.append(figures)
    found.sort(key=lambda each: each.name)
    return answer(StatisticsList(cursors=asked.cursors, statistics=tuple(found), notices=asked.notices))


@router.get("/artifacts")
async def list_artifacts(
    request: Request,
    uids: Uids,
    schema_type: Annotated[list[str] | None, Query(alias="schemaType", max_length=16)] = None,
    tag: Words = None,
    block: Words = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=5000)] = 1000,
) -> Response:
    """What the runs wrote."""
    asked = await _ask(request, uids)
    everything = [(feed, item) for feed in asked.feeds for item in feed.store.visible_artifacts()]
    chosen = [pair for pair in everything if views.matches(pair[1], schema_type or (), tag or (), block or ())]
    page = chosen[offset : offset + limit]
    return answer(ArtifactList(
        cursors=asked.cursors, notices=asked.notices, total=len(chosen),
        artifacts=tuple(views.artifact_entry(feed.store, item) for feed, item in page),
        facets=views.facets(item for _, item in everything),
    ))  # fmt: skip


@router.get("/events")
async def follow_events(
    request: Request,
    uids: Uids,
    cursor: str | None = None,
    last_event_id: Annotated[str | None, Header(alias="Last-Event-ID")] = None,
) -> "_Stream":
    """The runs' events, live. What the browser saw last beats what stands in the address."""
    services, viewer = services_of(request), await viewer_of(request)
    if len(set(uids)) != len(uids):
        raise BadRequest("name each run once", field="run")
    since = _positions(last_event_id, "Last-Event-ID", uids) or _positions(cursor, "cursor", uids)
    visible = await services.all_visible(viewer, uids)
    feeds = [await services.hub.feed(run.ref.uid) for run in visible]
    details = {run.ref.uid: await services.detail(viewer, run) for run in visible}
    permissions = {uid: detail.permissions for uid, detail in details.items()}

    async def recheck() -> None:
        await services.access.recheck(viewer)
        await services.all_visible(viewer, uids)

    stream = RunStream(
        services.streams, _user(viewer), recheck, services.settings.auth.review_seconds,
        channels=feeds, since=since, statuses=LiveStatuses(services, permissions),
    )  # fmt: skip
    return _Stream(stream)


class _Stream(Response):
    """Lets a stream be returned from an endpoint."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI application."""
        await self._stream(scope, receive, send)


async def visible_runs(services: Services, viewer: Viewer) -> RunList:
    """The list as the viewer sees it."""
    allowed = await _namespaces(services, viewer)
    shown = [run for run in services.registry.runs.values() if run.ref.namespace in allowed]
    entries = runs.in_order(services.entry(run) for run in shown)
    services.hub.want_summaries([entry.uid for entry in entries])
    problems = services.registry.problems.values()
    hidden = sorted({run.ref.namespace for run in services.registry.runs.values()} - allowed)
    denied = None
    if hidden and services.access.required and viewer.user is not None and not shown:
        who = viewer.user.name
        denied = Forbidden(
            f"{who} may not list diffusionruns in any namespace that has some", grant=grant(Right.VIEW, who, UNTOLD)
        ).problem
    return RunList(runs=tuple(entries), problems=tuple(problems), denied=denied)


async def _namespaces(services: Services, viewer: Viewer) -> set[str]:
    present = {run.ref.namespace for run in services.registry.runs.values()} | set(services.settings.runs.namespaces)
    return {namespace for namespace in present if await services.access.may(viewer, namespace, "list")}


async def _ask(request: Request, uids: list[str]) -> Asked:
    return await ask(services_of(request), await viewer_of(request), uids)


def _positions(text: str | None, field: str, uids: list[str]) -> list[Position] | None:
    if text is None or text == "":
        return None
    try:
        return parse_positions(text, len(uids))
    except ValueError as error:
        raise BadRequest(f"{field}: {error}", field=field) from error


def _valid(part: str) -> str:
    if not _NAME.fullmatch(part):
        raise NotFound(f"{part[:64]!r} is not a name")
    return part


def _wanted(value: str, wanted: list[str] | None) -> bool:
    return not wanted or value in wanted


def _user(viewer: Viewer) -> str:
    return viewer.user.name if viewer.user else ""
