"""The publisher against a transport that is down, slow, or refuses: order, what is dropped, and when it gives up."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import pytest

from diffrun_worker import publisher as module
from diffrun_worker.errors import PermanentError
from diffrun_worker.publisher import Entry, Publisher, RedisTransport


class FakeTransport:
    """Takes entries, unless told otherwise."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.up = threading.Event()
        self.up.set()
        self.answers = threading.Event()
        self.answers.set()
        self.attempts = 0
        self.take = 1000
        self.tried = threading.Event()

    def send(self, entries: Sequence[bytes]) -> int:
        self.attempts += 1
        self.tried.set()
        self.answers.wait()
        if not self.up.is_set():
            raise ConnectionError("down")
        taken = entries[: self.take]
        self.sent.extend(taken)
        return len(taken)

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY", 0.002)
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.01)


@pytest.fixture
def transport() -> Iterator[FakeTransport]:
    fake = FakeTransport()
    yield fake
    fake.answers.set()


@pytest.fixture
def make(transport: FakeTransport) -> Iterator[Callable[..., Publisher]]:
    made: list[Publisher] = []

    def build(**options: int) -> Publisher:
        made.append(Publisher(transport, **options))  # type: ignore[arg-type]
        return made[-1]

    yield build
    transport.up.set()
    transport.answers.set()
    for each in made:
        each.close(5)


def entry(name: str, points: int = 0, size: int | None = None) -> Entry:
    data = name.encode()
    return Entry(size or len(data), points, partial(bytes, data))


def test_entries_arrive_in_order(transport: FakeTransport, make: Callable[..., Publisher]) -> None:
    publisher = make()
    for start in range(0, 1000, 50):
        publisher.offer([entry(f"{start + i}") for i in range(50)])
    assert publisher.close(5)
    assert transport.sent == [str(i).encode() for i in range(1000)]


def test_what_waits_while_redis_is_down_is_sent_afterwards_in_order(
    transport: FakeTransport, make: Callable[..., Publisher]
) -> None:
    transport.up.clear()
    publisher = make()
    publisher.offer([entry("a"), entry("m", points=3), entry("b")])
    assert transport.tried.wait(5)
    transport.up.set()
    assert publisher.settle(5) == 0
    assert transport.sent == [b"a", b"m", b"b"]


def test_an_entry_that_is_refused_is_sent_again_with_those_after_it(
    transport: FakeTransport, make: Callable[..., Publisher]
) -> None:
    transport.take = 2
    publisher = make()
    publisher.offer([entry(str(i)) for i in range(7)])
    assert publisher.close(5)
    assert transport.sent == [b"0", b"1", b"2", b"3", b"4", b"5", b"6"]


def test_metrics_give_way_when_too_much_waits_and_are_counted_but_nothing_else_is_dropped(
    transport: FakeTransport, make: Callable[..., Publisher]
) -> None:
    transport.answers.clear()
    publisher = make(max_backlog=1000)
    publisher.offer([entry("first")])
    assert transport.tried.wait(5)  # `first` is in flight: it may have arrived, so it is kept
    for i in range(30):
        publisher.offer([entry(f"m{i}", points=7, size=100), entry(f"life{i}", size=10)])
    transport.answers.set()
    dropped = publisher.settle(5)
    life = [item for item in transport.sent if item.startswith(b"life")]
    metrics = [item for item in transport.sent if item.startswith(b"m")]
    assert life == [f"life{i}".encode() for i in range(30)]
    assert dropped == 7 * (30 - len(metrics)) > 0
    assert metrics == [f"m{i}".encode() for i in range(30 - len(metrics), 30)], "the newest are worth most"


def test_settling_without_redis_ends_in_time_and_counts_the_metrics_that_wait(
    transport: FakeTransport, make: Callable[..., Publisher]
) -> None:
    transport.up.clear()
    publisher = make()
    publisher.offer([entry("a"), entry("m", points=3), entry("n", points=4)])
    assert publisher.settle(0.05) == 7
    transport.up.set()
    publisher.offer([entry("z")])
    assert publisher.close(5)
    assert transport.sent == [b"a", b"z"], "the lifecycle still arrives when Redis comes back in time"


def test_settling_counts_points_in_a_call_that_has_no_answer(
    transport: FakeTransport, make: Callable[..., Publisher]
) -> None:
    transport.answers.clear()
    publisher = make()
    publisher.offer([entry("m", points=3)])
    assert transport.tried.wait(5)
    assert publisher.settle(0.02) == 3


def test_closing_ends_in_time_although_redis_does_not_answer(
    transport: FakeTransport, make: Callable[..., Publisher]
) -> None:
    transport.answers.clear()
    publisher = make()
    publisher.offer([entry("a")])
    assert transport.tried.wait(5)
    started = time.monotonic()
    assert not publisher.close(0.05)
    assert time.monotonic() - started < 3


def test_offering_never_waits_for_redis(transport: FakeTransport, make: Callable[..., Publisher]) -> None:
    transport.answers.clear()
    publisher = make()
    publisher.offer([entry("a")])
    assert transport.tried.wait(5)
    started = time.monotonic()
    for i in range(1000):
        publisher.offer([entry(str(i))])
    assert time.monotonic() - started < 1


def test_a_redis_that_is_down_is_not_hammered(transport: FakeTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_DELAY", 30.0)
    monkeypatch.setattr(module, "LONGEST_DELAY", 30.0)
    transport.up.clear()
    publisher = Publisher(transport, jitter=lambda: 1.0)
    publisher.offer([entry("a")])
    assert transport.tried.wait(5)
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        publisher.offer([entry("more")])  # news do not cut the wait short
    publisher.close(0)
    assert transport.attempts == 1


def test_a_url_that_is_none_is_refused_without_being_shown() -> None:
    with pytest.raises(PermanentError) as caught:
        RedisTransport("http://user:hunter2@redis", "key")
    assert caught.value.message == "the Redis URL is none; give redis://user:password@host:port/0"
