"""Redis' users may do what their part does, and nothing else. On a real server where there is one to start."""

import hashlib
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
import redis
from generate import CHART

PASSWORDS = {"operator": "o" * 32, "worker": "w" * 32, "reader": "r" * 32}
STREAM = "diffrun:{uid}:events"

pytestmark = pytest.mark.redis


@pytest.fixture(scope="module")
def socket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with the chart's users and its configuration, on a socket of its own."""
    there = tmp_path_factory.mktemp("redis")
    lines = []
    for line in (CHART / "files" / "users.acl").read_text().splitlines():
        password = PASSWORDS.get(line.split()[1], "")
        lines.append(line.replace("#PASSWORD", "#" + hashlib.sha256(password.encode()).hexdigest()))
    (there / "users.acl").write_text("\n".join(lines) + "\n")
    config = (CHART / "files" / "redis.conf").read_text().replace("{{ .Values.redis.maxMemory }}", "64mb")
    config = config.replace("port 6379", "port 0").replace("dir /data", f"dir {there}")
    config = config.replace("/etc/redis/users/users.acl", str(there / "users.acl"))
    (there / "redis.conf").write_text(config + f"unixsocket {there}/redis.sock\nlogfile {there}/log\n")
    binary = shutil.which("redis-server")
    assert binary, "install redis-server: the ACL rules are tested on the real thing"
    server = subprocess.Popen([binary, str(there / "redis.conf")])
    deadline = time.monotonic() + 20
    while not (there / "redis.sock").exists():
        assert server.poll() is None, (there / "log").read_text()
        assert time.monotonic() < deadline, (there / "log").read_text()
        time.sleep(0.01)
    yield f"{there}/redis.sock"
    server.terminate()
    server.wait(10)


def client(socket: str, user: str) -> redis.Redis:
    return redis.Redis(unix_socket_path=socket, username=user, password=PASSWORDS[user], decode_responses=True)


def test_a_worker_publishes_and_reads_nothing(socket: str) -> None:
    with client(socket, "worker") as worker:
        assert worker.ping()
        pipeline = worker.pipeline(transaction=False)
        pipeline.xadd(STREAM, {"event": "{}"}, maxlen=10, approximate=True)
        assert len(pipeline.execute()) == 1
        for forbidden in (
            lambda: worker.xrange(STREAM),
            lambda: worker.delete(STREAM),
            lambda: worker.xadd("elsewhere", {"a": "b"}),
            lambda: worker.execute_command("CONFIG", "GET", "*"),
            lambda: worker.eval("return 1", 0),
            lambda: worker.flushall(),
        ):
            with pytest.raises(redis.exceptions.NoPermissionError):
                forbidden()


def test_the_operator_follows_streams_and_keeps_the_index(socket: str) -> None:
    with client(socket, "worker") as worker, client(socket, "operator") as operator:
        worker.xadd(STREAM, {"event": "{}"})
        assert operator.xread({STREAM: "0"}, block=100)
        assert operator.xrevrange(STREAM, count=1)
        assert operator.xadd("diffrun:runs", {"run": "a"}, maxlen=100, approximate=True)
        assert operator.xlen("diffrun:runs") == 1
        for forbidden in (lambda: operator.flushall(), lambda: operator.acl_list(), lambda: operator.xlen("elsewhere")):
            with pytest.raises(redis.exceptions.NoPermissionError):
                forbidden()


def test_a_reader_reads_and_writes_nothing(socket: str) -> None:
    with client(socket, "worker") as worker, client(socket, "reader") as reader:
        worker.xadd(STREAM, {"event": "{}"})
        assert reader.xread({STREAM: "0"}, block=100)
        for forbidden in (lambda: reader.xadd(STREAM, {"a": "b"}), lambda: reader.delete(STREAM)):
            with pytest.raises(redis.exceptions.NoPermissionError):
                forbidden()


def test_nobody_enters_without_a_name(socket: str) -> None:
    with redis.Redis(unix_socket_path=socket) as nobody, pytest.raises(redis.exceptions.AuthenticationError):
        nobody.ping()


def test_the_probe_pings_and_no_more(socket: str) -> None:
    probe = ["redis-cli", "-s", socket, "-e", "--no-auth-warning", "--user", "probe", "--pass", "probe"]
    done = subprocess.run([*probe, "ping"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "PONG")
    assert subprocess.run([*probe, "dbsize"], capture_output=True, check=False).returncode != 0
