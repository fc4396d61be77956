"""Kopf's end is not held up by what it leaves behind."""

import asyncio

from diffrun_operator.watching import put_down


async def test_what_takes_its_cancellation_for_something_else_ends_too() -> None:
    begun = 0

    async def stubborn() -> None:
        nonlocal begun
        while begun < 3:
            begun += 1
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await put_down({task})
    assert task.done()
    assert begun == 3
