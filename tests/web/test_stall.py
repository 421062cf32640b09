"""A peer may be slow, not silent: one wait too long becomes `Stalled`, and nothing else does."""

import asyncio

import pytest

from filepipe.errors import Stalled
from filepipe.testing import turns
from filepipe.web.stall import Watch
from tests.clock import Clock


@pytest.fixture
async def clock():
    """The time that the watch goes by."""
    return Clock(asyncio.get_running_loop())


class Peer:
    """Moves when the test says so; `transfer` waits for it until it says that it is done."""

    def __init__(self):
        self.moves = asyncio.Queue()
        self.moved = 0

    async def transfer(self, limit=10.0, side="sent"):
        with Watch(limit, side) as watch:
            while True:
                watch.begin()
                if not await self.moves.get():
                    return self.moved
                watch.end()
                self.moved += 1


def timers():
    """What the loop still has to do later."""
    return [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]


@pytest.mark.parametrize("side", ["sent", "took"])
async def test_silence_for_too_long(clock, side):
    """The wait ends as `Stalled`, in words for the log, at the latest a quarter too late."""
    task = asyncio.create_task(Peer().transfer(10.0, side))
    await clock.advance(9.9)
    assert not task.done()
    for _ in range(5):
        await clock.advance(0.52)
    with pytest.raises(Stalled, match=f"^the peer {side} nothing for 10 seconds$"):
        await task
    assert timers() == []


async def test_a_slow_peer_is_no_silent_one(clock):
    """Each wait is measured for itself, however long the whole takes."""
    peer = Peer()
    task = asyncio.create_task(peer.transfer(10.0))
    for _ in range(30):
        await clock.advance(9.0)
        peer.moves.put_nowait(True)
        await turns()
    peer.moves.put_nowait(False)
    assert await task == 30
    assert task.cancelling() == 0
    assert timers() == []


async def test_our_own_slowness_is_not_the_peers(clock):
    """Between `end` and `begin` it is not the peer's turn: a slow disk is no stall."""
    disk = asyncio.Event()

    async def transfer():
        with Watch(10.0, "sent") as watch:
            watch.begin()
            watch.end()
            await disk.wait()

    task = asyncio.create_task(transfer())
    for _ in range(10):
        await clock.advance(10.0)
    assert not task.done()
    disk.set()
    await task


async def test_a_new_wait_begins_anew(clock):
    """The time of our own work is not added to that of the next wait."""
    disk = asyncio.Event()
    peer = asyncio.Event()

    async def transfer():
        with Watch(10.0, "took") as watch:
            await disk.wait()
            watch.begin()
            await peer.wait()

    task = asyncio.create_task(transfer())
    await clock.advance(100.0)
    disk.set()
    await clock.advance(9.0)
    assert not task.done()
    peer.set()
    await task


async def test_a_cancellation_of_somebody_else_passes(clock):
    """A connection that goes is no stall."""
    task = asyncio.create_task(Peer().transfer())
    await clock.advance(5.0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert timers() == []


async def test_a_cancellation_beside_the_stall_wins(clock):
    """Who wants the task to end is obeyed, though the watch wanted it as well."""
    task = asyncio.create_task(Peer().transfer())
    await turns()
    loop = asyncio.get_running_loop()
    loop.call_later(12.5, task.cancel)
    await clock.advance(12.5)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelling() == 1


async def test_an_error_of_the_transfer_passes(clock):
    """What goes wrong inside comes out as it is, and the timer ends."""

    async def transfer():
        with Watch(10.0, "sent") as watch:
            watch.begin()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await transfer()
    assert timers() == []


async def test_the_task_goes_on_after_the_stall(clock):
    """The cancellation is taken back: the refusal can be sent, under a deadline of its own."""

    async def transfer_and_answer():
        with pytest.raises(Stalled):
            await Peer().transfer(10.0)
        assert asyncio.current_task().cancelling() == 0
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.Event().wait()
        return "answered"

    task = asyncio.create_task(transfer_and_answer())
    for _ in range(10):
        await clock.advance(2.0)
    assert await task == "answered"
