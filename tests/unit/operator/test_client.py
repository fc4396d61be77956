"""The client against a real HTTP server: what it sends, and which error each answer becomes."""

import asyncio

import kopf
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from diffrun_operator import errors
from diffrun_operator.client import JOBS, KubeClient
from diffrun_operator.settings import Api

JOB_PATH = "/apis/batch/v1/namespaces/team/jobs/j"


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", errors.InvalidError),
        (403, "Forbidden", errors.ForbiddenError),
        (404, "NotFound", errors.NotFoundError),
        (409, "AlreadyExists", errors.AlreadyExistsError),
        (409, "Conflict", errors.ConflictError),
        (422, "Invalid", errors.InvalidError),
        (500, "InternalError", errors.TransientError),
        (503, "ServiceUnavailable", errors.TransientError),
    ],
)
async def test_each_refusal_has_its_type_and_keeps_the_servers_words(api, client, code, reason, expected):
    api.fail_next("GET", "/jobs/", code, {"reason": reason, "message": "the server's words"})
    with pytest.raises(expected, match="the server's words") as caught:
        await client.get_job("team", "j")
    assert (type(caught.value), caught.value.code, caught.value.reason) == (expected, code, reason)


async def test_after_a_429_nothing_is_sent_until_the_time_has_passed(api):
    now = 0.0
    async with KubeClient(lambda: kopf.ConnectionInfo(server=api.url), Api(), clock=lambda: now) as client:
        api.seed(JOB_PATH, {})
        api.fail_next("GET", "/jobs/", 429, {"message": "slow down"}, headers={"Retry-After": "30"})
        with pytest.raises(errors.TooManyRequestsError) as first:
            await client.get_job("team", "j")
        assert first.value.retry_after == 30
        now = 10.0
        with pytest.raises(errors.TooManyRequestsError) as second:
            await client.get_job("team", "j")
        assert second.value.retry_after == 20
        assert len(api.requests) == 1
        now = 30.0
        assert await client.get_job("team", "j")


async def test_an_expired_token_is_replaced_once_and_the_request_repeated(api):
    logins = []

    def login():
        logins.append(1)
        return kopf.ConnectionInfo(server=api.url, token=f"token-{len(logins)}")

    async with KubeClient(login, Api()) as client:
        api.seed(JOB_PATH, {})
        api.fail_next("GET", "/jobs/", 401, {"message": "expired"})
        assert await client.get_job("team", "j")
        api.fail_next("GET", "/jobs/", 401, {"message": "expired"})
        api.fail_next("GET", "/jobs/", 401, {"message": "still"})
        with pytest.raises(errors.TransientError, match="still"):
            await client.get_job("team", "j")
    assert len(logins) == 3


class TokenServer:
    """Refuses the token that has expired. The path `slow` it answers to whoever was let in, once it is told to."""

    def __init__(self):
        self.logins, self.valid = 0, "Bearer token-1"
        self.url, self.held, self.release = "", asyncio.Event(), asyncio.Event()

    def app(self):
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        return app

    async def _answer(self, request):
        if request.headers["Authorization"] != self.valid:
            return web.json_response({"message": "expired"}, status=401)
        if request.path.endswith("/slow"):
            self.held.set()
            await self.release.wait()
        return web.json_response({"path": request.path})

    def login(self):
        self.logins += 1
        return kopf.ConnectionInfo(server=self.url, token=f"token-{self.logins}")

    def expire(self):
        self.valid = f"Bearer token-{self.logins + 1}"


@pytest.fixture
async def tokens():
    fake = TokenServer()
    async with TestServer(fake.app()) as server:
        fake.url = str(server.make_url(""))
        yield fake
        fake.release.set()


async def test_what_is_under_way_when_the_token_expires_is_brought_to_its_end(tokens):
    async with KubeClient(tokens.login, Api()) as client:
        slow = asyncio.create_task(client.get_job("team", "slow"))
        await tokens.held.wait()
        tokens.expire()
        assert await client.get_job("team", "quick")
        assert not slow.done()
        tokens.release.set()
        assert (await slow)["path"].endswith("/slow")
    assert tokens.logins == 2


async def test_requests_that_are_refused_together_and_those_that_follow_share_one_login(tokens):
    async with KubeClient(tokens.login, Api()) as client:
        await asyncio.gather(*(client.get_job("team", "warm") for _ in range(20)))
        tokens.expire()
        requests = []
        while tokens.logins == 1 or len(requests) < 200:
            requests.append(asyncio.create_task(client.get_job("team", f"job-{len(requests)}")))
            await asyncio.sleep(0)
        answers = await asyncio.gather(*requests)
    assert [answer["path"].rsplit("-")[-1] for answer in answers] == [str(number) for number in range(len(requests))]
    assert tokens.logins == 2


async def test_the_session_of_an_expired_token_is_closed_once_nobody_uses_it(tokens):
    async with KubeClient(tokens.login, Api()) as client:
        slow = asyncio.create_task(client.get_job("team", "slow"))
        await tokens.held.wait()
        old = client._link
        tokens.expire()
        await client.get_job("team", "quick")
        assert not old.session.closed
        tokens.release.set()
        await slow
        assert old.session.closed


async def test_a_server_that_does_not_answer_in_time_is_a_transient_error():
    release = asyncio.Event()

    async def hang(_):
        await release.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", hang)
    async with TestServer(app) as server:
        info = kopf.ConnectionInfo(server=str(server.make_url("")))
        async with KubeClient(lambda: info, Api(request_timeout=0.05)) as client:
            with pytest.raises(errors.TransientError, match="GET /apis/batch"):
                await client.get_job("team", "j")
            release.set()


async def test_a_server_that_is_not_there_is_a_transient_error(unused_tcp_port):
    info = kopf.ConnectionInfo(server=f"http://127.0.0.1:{unused_tcp_port}")
    async with KubeClient(lambda: info, Api()) as client:
        with pytest.raises(errors.TransientError):
            await client.get_job("team", "j")


async def test_an_answer_that_is_not_json_becomes_words_of_an_error():
    async def babble(_):
        return web.Response(status=502, text="<h1>bad gateway</h1>")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", babble)
    async with TestServer(app) as server:
        info = kopf.ConnectionInfo(server=str(server.make_url("")))
        async with KubeClient(lambda: info, Api()) as client:
            with pytest.raises(errors.TransientError, match="bad gateway"):
                await client.get_job("team", "j")


async def test_a_job_is_deleted_with_its_pods_and_only_if_it_is_what_was_seen(api, client):
    version = api.seed(JOB_PATH, {"metadata": {"uid": "right"}})["metadata"]["resourceVersion"]
    for uid, seen in (("wrong", version), ("right", "older")):
        with pytest.raises(errors.ConflictError):
            await client.delete_job("team", "j", uid, seen)
    await client.delete_job("team", "j", "right", version)
    assert JOB_PATH not in api.objects
    assert api.bodies[-1]["propagationPolicy"] == "Background"
    assert api.bodies[-1]["preconditions"] == {"uid": "right", "resourceVersion": version}


async def test_a_listing_is_read_to_its_last_page(client):
    pages = {None: (["a", "b"], "next"), "next": (["c"], "")}
    seen = []

    async def answer(request):
        key = request.query.get("continue")
        seen.append(request.query["labelSelector"])
        names, following = pages[key]
        items = [{"metadata": {"name": name}} for name in names]
        return web.json_response({"items": items, "metadata": {"continue": following, "resourceVersion": "7"}})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        info = kopf.ConnectionInfo(server=str(server.make_url("")))
        async with KubeClient(lambda: info, Api()) as paged:
            items, version = await paged.list_all(JOBS, "jobs", "team", "mine")
    assert [item["metadata"]["name"] for item in items] == ["a", "b", "c"]
    assert version == "7"
    assert seen == ["mine", "mine"]


async def test_every_request_is_told_to_the_observer(api):
    told = []
    info = kopf.ConnectionInfo(server=api.url)
    async with KubeClient(lambda: info, Api(), lambda verb, kind, code, _: told.append((verb, kind, code))) as client:
        with pytest.raises(errors.NotFoundError):
            await client.get_job("team", "j")
        await client.list_all(JOBS, "jobs", None)
    assert told == [("GET", "jobs", 404), ("LIST", "jobs", 200)]


def test_a_missing_right_of_the_operator_is_told_from_a_quota():
    rbac = errors.ForbiddenError(
        'jobs.batch is forbidden: User "x" cannot create resource "jobs" in API group "batch" in the namespace "team"'
    )
    quota = errors.ForbiddenError('jobs.batch "j" is forbidden: exceeded quota: jobs, requested: count/jobs.batch=1')
    ending = errors.ForbiddenError("unable to create new content in namespace team because it is being terminated")
    assert (rbac.by_rbac, quota.by_rbac) == (True, False)
    assert (ending.namespace_ending, quota.namespace_ending) == (True, False)
