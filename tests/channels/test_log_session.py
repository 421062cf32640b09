"""Writers of a log who stay: alone, in bounded memory, told what was not kept."""

import asyncio

import pytest

from filepipe.accountant import Accountant
from filepipe.channels.directory import Directory
from filepipe.channels.log_session import ROOM, Session
from filepipe.channels.logs import Logs
from filepipe.channels.state import State
from filepipe.errors import (
    DiskFull,
    LogClosed,
    NotAtEnd,
    Stalled,
    WriterPresent,
)
from filepipe.keys import Key
from tests.channels.logging import read_all
from tests.journal.forgetful import FULL

KEY = Key("build/log")


async def test_a_session_keeps_others_out(log):
    """Until it is over, also when it was lost."""
    async with Session(log) as session:
        with pytest.raises(WriterPresent):
            await Session(log).__aenter__()
        await session.write([b"one ", b"two"])
        assert await session_flush(session) == 7
    with pytest.raises(ZeroDivisionError):
        async with Session(log, at=7):
            raise ZeroDivisionError
    async with Session(log, at=7) as session:
        await session.write([b"!"])
    assert await read_all(log) == b"one two!"


async def session_flush(session):
    """Where it ends once all of it is acknowledged."""
    await session.flush()
    return session.end


async def test_a_session_begins_where_it_says_or_not_at_all(log):
    """As a record does."""
    await log.submit(b"data")
    with pytest.raises(NotAtEnd):
        await Session(log, at=3).__aenter__()
    await log.submit(b"", close=True)
    with pytest.raises(LogClosed):
        await Session(log).__aenter__()


async def test_a_session_waits_while_much_is_on_its_way(log, disk):
    """A disk that is slow holds its sender up, in bounded memory."""
    disk.held.clear()
    async with Session(log) as session:
        await session.write([bytes(ROOM // 2)] * 2)
        writing = asyncio.create_task(session.write([b"x"]))
        await asyncio.sleep(0.05)
        assert not writing.done()
        disk.held.set()
        await writing
    assert log.size == ROOM + 1


async def test_full_memory_is_no_refusal(tmp_path, disk):
    """Of a session one piece is on its way at a time then."""
    accountant = Accountant.of(100, None)
    logs = Logs(Directory(10), accountant, 10)
    await logs.open(tmp_path / "logs", disk)
    log = await logs.enter(KEY, None, None)
    async with Session(log) as session:
        for _ in range(3):
            await session.write([bytes(1000)])
            assert log.tip - log.size <= 1000
            assert accountant.memory.used <= 100
    assert log.size == 3000
    assert await log.submit(bytes(1000)) == 4000
    await logs.aclose()
    assert accountant.memory.used == 0


async def test_a_session_hears_that_its_bytes_were_not_kept(log, disk):
    """At the latest at its end; what came after the failure is not kept either."""
    session = Session(log)

    async def appending():
        async with session:
            await session.write([b"kept "])
            await session.flush()
            disk.fail = ("write data", FULL)
            await session.write([b"lost"])
            await asyncio.sleep(0.05)
            await session.write([b"more"])

    with pytest.raises(DiskFull):
        await appending()
    assert await read_all(log) == b"kept "
    assert isinstance(session.lost, DiskFull)


async def test_what_becomes_of_a_lost_session_is_decided_later(log, disk):
    """Whoever tells how much is kept waits for that."""
    session = Session(log)

    async def appending():
        async with session:
            disk.held.clear()
            await session.write([b"one ", b"two"])
            raise Stalled("its sender says nothing")

    with pytest.raises(Stalled):
        await appending()
    decided = asyncio.create_task(session.decided())
    await asyncio.sleep(0.05)
    assert (log.size, decided.done()) == (0, False)
    disk.held.set()
    await decided
    assert log.size == 7
    await session.decided()


async def test_a_session_that_says_nothing_hears_it_too(log, disk):
    """Its sender may wait for an acknowledgement before it goes on."""
    disk.fail = ("write data", FULL)
    heard = []
    session = await Session(log).__aenter__()
    log.interrupt = heard.append
    await session.write([b"lost"])
    await log.settle()
    assert [type(error) for error in heard] == [DiskFull]
    with pytest.raises(DiskFull):
        await session.__aexit__(None, None, None)


async def test_a_session_can_close_the_log(log):
    """With its last byte."""
    async with Session(log) as session:
        await session.write([b"all"])
        await session.close()
    assert log.state is State.FINISHED
