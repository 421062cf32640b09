"""Cursors over a log: they miss nothing, repeat nothing, and end where they are to."""

import asyncio
import contextlib

import pytest

from filepipe.channels.follower import Follower
from filepipe.channels.log_session import Session
from filepipe.errors import (
    Broken,
    Draining,
)
from tests.journal.forgetful import FULL


async def follow(log, start=0, limit=1000):
    """Everything until the clean end."""
    data = b""
    with Follower(log, start) as follower:
        while block := await follower.read(limit):
            data += block
    return data


@pytest.mark.parametrize("start", [0, 1, 3, 7])
async def test_history_and_live_are_joined(log, start):
    """Without gap or repeat, wherever one begins."""
    await log.submit(b"his")
    await log.submit(b"tory")
    following = asyncio.create_task(follow(log, start, limit=3))
    await asyncio.sleep(0)
    for piece in (b" and", b" live", b""):
        await log.submit(piece, close=not piece)
    assert await following == b"history and live"[start:]


async def test_who_joins_a_session_ends_with_it(log):
    """At its last byte, also if somebody else has appended since."""
    await log.submit(b"before ")
    with contextlib.ExitStack() as stack:
        async with Session(log) as session:
            joined = stack.enter_context(Follower(log, 0))
            await session.write([b"mine"])
        await log.submit(b" after")
        data = b""
        while block := await joined.read():
            data += block
    assert data == b"before mine"


async def test_who_comes_before_a_session_stays(log):
    """Until the log is closed."""
    following = asyncio.create_task(follow(log))
    await asyncio.sleep(0)
    for text in (b"one ", b"two"):
        async with Session(log) as session:
            await session.write([text])
    await asyncio.sleep(0.02)
    assert not following.done()
    await log.submit(b"!", close=True)
    assert await following == b"one two!"


async def test_a_lost_session_is_no_clean_end(log, disk):
    """Every byte that came before is there, though."""
    with Follower(log, 0) as stayed, contextlib.ExitStack() as stack:
        with contextlib.suppress(ZeroDivisionError):
            async with Session(log) as session:
                joined = stack.enter_context(Follower(log, 0))
                disk.held.clear()
                await session.write([b"part"])
                raise ZeroDivisionError
        disk.held.set()
        assert await joined.read() == b"part"
        with pytest.raises(Broken):
            await joined.read()
        assert await stayed.read() == b"part"
        await log.submit(b" more")
        assert await stayed.read() == b" more"


async def test_a_lost_session_whose_bytes_were_not_kept_ends_all_the_same(log, disk):
    """Nobody waits for bytes that never come."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ZeroDivisionError):
            async with Session(log) as session:
                joined = stack.enter_context(Follower(log, 0))
                disk.held.clear()
                disk.fail = ("write data", FULL)
                await session.write([b"part"])
                raise ZeroDivisionError
        disk.held.set()
        with pytest.raises(Broken):
            await asyncio.wait_for(joined.read(), 5)


async def test_a_follower_that_does_not_read_disturbs_nobody(log):
    """Thousands of records go by, and memory holds a bounded part of them."""
    with Follower(log, 0) as stuck, Follower(log, 0) as reader:
        got = b""
        for number in range(50):
            await log.submit(b"%06d" % number * 5000)
            while len(got) < log.size:
                got += await reader.read()
        assert log._host.accountant.memory.used <= 256 * 1024
        data = b""
        while len(data) < log.size:
            data += await stuck.read()
    assert data == got
    assert log._host.accountant.memory.used == 0


async def test_a_draining_daemon_ends_who_follows_an_idle_log(log, logs):
    """Who follows a session stays to its end."""
    with Follower(log, 0) as follower:
        async with Session(log) as session:
            reading = asyncio.create_task(follower.read())
            logs.drain()
            assert logs.busy() == 1
            await asyncio.sleep(0.01)
            assert not reading.done()
            await session.write([b"last"])
            assert await reading == b"last"
        with pytest.raises(Draining):
            await follower.read()
    assert logs.busy() == 0


async def test_record_by_record(log):
    """As they were appended, in pieces of the limit; where nobody remembers them, as bytes."""
    await log.submit(b"before")
    with Follower(log, 0) as follower:
        follower.by_record = True
        assert await follower.read() == b"before"  # nobody read when it was written
        for record in (b"one", b"", b"two", b"three"):
            log.submit(record)
        await log.settle()
        found = []
        while follower.offset < log.size:
            found.append((await follower.read(4), follower.at_end_of_record))
        assert found == [(b"one", True), (b"two", True), (b"thre", False), (b"e", True)]
