"""The thread for calls that block."""

import asyncio
import threading

import pytest

from filepipe.client.blocking import BlockingThread


async def test_returns_and_raises() -> None:
    """A call gives what the function gives."""
    with BlockingThread() as thread:
        assert await thread.call(divmod, 7, 2) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            await thread.call(divmod, 7, 0)


async def test_one_daemon_in_order() -> None:
    """All calls run on one daemon thread, which does not keep a program alive, in their order."""
    with BlockingThread() as thread:
        first, second = await asyncio.gather(
            thread.call(threading.current_thread), thread.call(threading.current_thread)
        )
    assert first is second
    assert first.daemon
    assert first is not threading.current_thread()


async def test_thread_ends_with_the_block() -> None:
    """Nothing is left behind."""
    with BlockingThread() as thread:
        ran = await thread.call(threading.current_thread)
    await asyncio.to_thread(ran.join, 10)
    assert not ran.is_alive()


async def test_cancelled_call_is_forgotten() -> None:
    """Who gave up does not wait, and the next call is not confused."""
    gate = threading.Event()
    with BlockingThread() as thread:
        stuck = asyncio.create_task(thread.call(gate.wait))
        await asyncio.sleep(0)
        stuck.cancel()
        with pytest.raises(asyncio.CancelledError):
            await stuck
        gate.set()
        assert await thread.call(int, "7") == 7


def test_call_that_outlives_its_loop() -> None:
    """A program that was stopped during a read ends at once; the late answer hurts nobody."""
    gate = threading.Event()
    thread = BlockingThread()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await thread.call(gate.wait)

    asyncio.run(give_up())
    gate.set()
    thread.__exit__(None, None, None)
    assert thread._thread is not None
    thread._thread.join(10)
    assert not thread._thread.is_alive()
