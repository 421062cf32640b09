"""A channel whose sender may be lost: who reads stays, somebody goes on, or nobody comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from filepipe.channels.channel import Channel, Metadata, Reader, Resumption, Writer
from filepipe.channels.directory import Directory
from filepipe.channels.state import State
from filepipe.errors import (
    Broken,
    Busy,
    DiskFull,
    Draining,
    FilepipeError,
    OverBudget,
    Stalled,
    StorageFailed,
    TooLarge,
)
from filepipe.testing import turns
from tests.channels.dutiful import Dutiful
from tests.channels.reading import read_all

WINDOW = 60.0

LOST = [asyncio.CancelledError(), Broken("gone"), Stalled("silent"), ValueError("ours")]
OURS: list[FilepipeError] = [
    StorageFailed("io"), DiskFull("full"), OverBudget("full", "disk"), TooLarge("long"),
    Draining("down"),
]  # fmt: skip


@pytest.fixture
def begin(claim: Callable[..., Channel], storage: Dutiful):
    """A resumable channel whose first sender has left with `error` after b"one "."""

    async def begin(error: BaseException) -> Channel:
        channel = claim()
        channel.resumption = Resumption(WINDOW)
        with contextlib.suppress(type(error)):
            async with Writer(channel) as writer:
                await channel.publish(storage, Metadata())
                await writer.write([b"one "])
                raise error
        return channel

    return begin


async def go_on(channel: Channel, data: bytes = b"two", *, last: bool = True) -> None:
    """Write more of it."""
    async with Writer(channel, last=last) as writer:
        await writer.write([data])


@pytest.mark.parametrize("error", LOST, ids=lambda error: type(error).__name__)
async def test_a_lost_sender_suspends(begin, directory: Directory, error) -> None:
    """The key stays, and so does who reads; the next sender goes on at the end."""
    channel = await begin(error)
    assert (channel.state, channel.writing, channel.ended) == (State.WRITING, False, None)
    assert directory.find(channel.key) is channel
    with Reader(channel) as reader:
        reading = asyncio.create_task(read_all(reader))
        await turns()
        assert not reading.done()
        await go_on(channel)
        assert await reading == b"one two"
    assert channel.state is State.FINISHED


@pytest.mark.parametrize("error", OURS, ids=lambda error: type(error).__name__)
async def test_a_failure_of_ours_breaks(begin, directory: Directory, error: FilepipeError) -> None:
    """There is nothing to go on with then."""
    channel = await begin(error)
    assert (channel.state, channel.failure) == (State.DISCARDED, error)
    assert directory.find(channel.key) is None


async def test_a_piece_suspends(begin) -> None:
    """Whoever says that more is to come does not finish the channel."""
    channel = await begin(Broken("gone"))
    await go_on(channel, b"two ", last=False)
    assert (channel.state, channel.size) == (State.WRITING, 8)
    await go_on(channel, b"three")
    with Reader(channel) as reader:
        assert await read_all(reader) == b"one two three"


async def test_nobody_comes_back(begin, clock, directory: Directory) -> None:
    """After the window the readers see a break, and the key is free."""
    channel = await begin(Broken("gone"))
    with Reader(channel) as reader:
        assert await reader.read() == b"one "
        await clock.advance(WINDOW - 1)
        assert channel.state is State.WRITING
        await clock.advance(1)
        with pytest.raises(Broken):
            await reader.read()
    assert str(channel.failure) == "the sender did not come back"
    assert directory.find(channel.key) is None


async def test_the_window_starts_anew(begin, clock) -> None:
    """Each loss has all of it, and while somebody sends no time counts."""
    channel = await begin(Broken("gone"))
    await clock.advance(WINDOW - 1)
    async with Writer(channel, last=False) as writer:
        await clock.advance(10 * WINDOW)
        await writer.write([b"two"])
    await clock.advance(WINDOW - 1)
    assert channel.state is State.WRITING
    await clock.advance(1)
    assert channel.state is State.DISCARDED


async def test_an_open_window(begin, clock) -> None:
    """None waits for as long as the channel lives."""
    channel = await begin(Broken("gone"))
    channel.resumption = Resumption(None)
    await clock.advance(1000 * WINDOW)
    assert channel.state is State.WRITING


async def test_taking_over(begin) -> None:
    """Who writes is told why he is ended, and the next one writes when he has let go."""
    channel = await begin(Broken("gone"))
    told: list[FilepipeError] = []
    ended = asyncio.Event()

    async def slow_sender() -> None:
        async with Writer(channel, last=False):
            channel.interrupt = lambda reason: (told.append(reason), ended.set())
            await ended.wait()
            channel.interrupt = None
            await turns()

    sending = asyncio.create_task(slow_sender())
    await turns()
    with pytest.raises(Busy):
        await go_on(channel)
    await channel.take_over()
    assert not channel.writing
    await go_on(channel)
    await sending
    assert [str(reason) for reason in told] == ["another sender goes on with the upload"]
    assert channel.state is State.FINISHED


async def test_a_taker_is_taken_over(begin) -> None:
    """Of two who want to go on at once one is first, and the other ends him."""
    channel = await begin(Broken("gone"))
    order: list[str] = []

    async def take(name: str) -> None:
        await channel.take_over()
        async with Writer(channel, last=False):
            waiting = asyncio.Event()
            channel.interrupt = lambda reason: waiting.set()
            if name == "first":
                await waiting.wait()
            order.append(name)

    async with asyncio.timeout(5):
        await asyncio.gather(take("first"), take("second"))
    assert order == ["first", "second"]


async def test_deleting_a_suspended_one(begin, directory: Directory, storage: Dutiful) -> None:
    """It breaks, and its bytes are let go."""
    channel = await begin(Broken("gone"))
    directory.delete(channel)
    await turns()
    assert (channel.state, storage.discards) == (State.DISCARDED, [1])
    assert directory.find(channel.key) is None


async def test_a_cancelled_end_suspends(begin, slow) -> None:
    """A sender that is lost while the last bytes are stored may send them again."""
    channel = await begin(Broken("gone"))
    slow.held = {"finish"}
    ending = asyncio.create_task(go_on(channel))
    await turns()
    ending.cancel()
    await asyncio.gather(ending, return_exceptions=True)
    assert (channel.state, channel.size) == (State.WRITING, 7)
    slow.release()
    await go_on(channel, b"")
    assert channel.state is State.FINISHED
