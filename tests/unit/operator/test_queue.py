"""The keyed queue: coalescing, one worker a key, delays and backoff."""

import asyncio

import pytest

from diffrun_operator.queue import Backoff, KeyedQueue, QueueClosedError


@pytest.fixture
async def queue():
    return KeyedQueue(Backoff(base=0.01, cap=0.05))


def empty(queue):
    return len(queue) == 0


async def test_many_wishes_for_a_key_are_one(queue):
    for _ in range(5):
        queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert empty(queue)


async def test_keys_come_in_the_order_of_their_first_wish(queue):
    for key in ("a", "b", "a", "c"):
        queue.add(key)
    assert [await queue.get() for _ in range(3)] == ["a", "b", "c"]


async def test_a_busy_key_is_never_given_out_twice_but_comes_again_when_done(queue):
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not second.done()
    queue.done("a")
    assert await asyncio.wait_for(second, 1) == "a"


async def test_a_worker_that_waits_is_woken_by_a_wish(queue):
    waiters = [asyncio.create_task(queue.get()) for _ in range(2)]
    await asyncio.sleep(0)
    queue.add("a")
    queue.add("b")
    assert set(await asyncio.wait_for(asyncio.gather(*waiters), 1)) == {"a", "b"}


async def test_a_delayed_key_comes_when_it_is_due_and_not_before(queue):
    loop = asyncio.get_running_loop()
    started = loop.time()
    queue.add("a", delay=0.03)
    assert empty(queue)
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    assert loop.time() - started >= 0.03


async def test_the_earlier_of_two_wishes_holds(queue):
    queue.add("a", delay=60)
    queue.add("a", delay=0.01)
    queue.add("a", delay=60)
    assert await asyncio.wait_for(queue.get(), 1) == "a"


async def test_news_does_not_wait_for_a_delay(queue):
    queue.add("a", delay=60)
    queue.add("a")
    assert await asyncio.wait_for(queue.get(), 1) == "a"
    queue.done("a")
    assert not queue._later, "the delayed wish was met"


async def test_done_may_ask_for_another_turn(queue):
    queue.add("a")
    await queue.get()
    queue.done("a", requeue_after=0.01)
    assert await asyncio.wait_for(queue.get(), 1) == "a"


async def test_failures_are_retried_after_a_growing_wait_that_success_resets(queue):
    delays = []
    for _ in range(4):
        queue.add("a")
        await queue.get()
        delays.append(queue.failed("a"))
    assert delays == [0.01, 0.02, 0.04, 0.05]
    await asyncio.wait_for(queue.get(), 1)
    queue.done("a")
    queue.add("a")
    await queue.get()
    assert queue.failed("a") == 0.01


async def test_a_failure_waits_at_least_as_long_as_the_server_asks(queue):
    queue.add("a")
    await queue.get()
    assert queue.failed("a", at_least=30) == 30


async def test_a_forgotten_key_does_not_come(queue):
    queue.add("a")
    queue.add("b", delay=0.01)
    queue.forget("a")
    queue.forget("b")
    assert empty(queue)
    assert not queue._later


async def test_a_closed_queue_lets_its_workers_finish_and_gives_out_nothing_more(queue):
    queue.add("busy")
    assert await queue.get() == "busy"
    waiter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("later", delay=60)
    queue.close()
    with pytest.raises(QueueClosedError):
        await asyncio.wait_for(waiter, 1)
    queue.add("more")
    with pytest.raises(QueueClosedError):
        await queue.get()
    queue.done("busy")


def test_the_jitter_is_drawn_for_each_delay():
    factors = iter([0.5, 1.0])
    backoff = Backoff(base=1, cap=10, jitter=lambda: next(factors))
    assert (backoff.delay(1), backoff.delay(2)) == (0.5, 2.0)


def test_the_backoff_is_capped_however_often_it_failed():
    assert Backoff(base=1, cap=60).delay(10_000) == 60
