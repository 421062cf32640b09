"""A log: records that are acknowledged together, sessions, cursors that miss and repeat none."""

import asyncio
import contextlib

import pytest

from filepipe.accountant import Accountant
from filepipe.channels.directory import Directory
from filepipe.channels.follower import Follower
from filepipe.channels.log import GROUP, Log
from filepipe.channels.log_session import ROOM, Session
from filepipe.channels.logs import Logs
from filepipe.channels.state import State
from filepipe.errors import (
    Broken,
    DiskFull,
    Draining,
    LogClosed,
    NotAtEnd,
    OverBudget,
    SequenceGap,
    StorageFailed,
    WriterPresent,
)
from filepipe.journal.frames import Mark
from filepipe.keys import Key
from tests.channels.logging import HeldDisk
from tests.journal.forgetful import BROKEN, FULL

KEY = Key("build/log")


@pytest.fixture
def disk():
    """A disk that can be held and can fail."""
    return HeldDisk()


@pytest.fixture
def accountant():
    """A ledger that refuses nothing."""
    return Accountant.of(None, None)


@pytest.fixture
async def logs(tmp_path, disk, accountant):
    """The logs of a daemon; at the end nothing of them is held or running."""
    logs = Logs(Directory(10), accountant, 10)
    assert await logs.open(tmp_path / "logs", disk) == []
    yield logs
    disk.held.set()
    await logs.aclose()
    assert (accountant.memory.used, accountant.disk.used) == (0, 0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert not disk.open_now


@pytest.fixture
async def log(logs) -> Log:
    """An empty log."""
    return await logs.enter(KEY, "text/plain", None)


async def read_all(log, start=0):
    """What a look at the log shows."""
    data = b""
    with Follower(log, start) as follower:
        while follower.offset < log.size:
            data += await follower.read()
    return data


async def follow(log, start=0, limit=1000):
    """Everything until the clean end."""
    data = b""
    with Follower(log, start) as follower:
        while block := await follower.read(limit):
            data += block
    return data


# -- records


async def test_a_record_is_acknowledged_with_its_end(log):
    """Once it can be read, and not before."""
    done = log.submit(b"first")
    assert (log.size, log.tip) == (0, 5)
    assert await done == 5
    assert (log.size, log.tip) == (5, 5)
    assert await log.submit(b" second") == 12
    assert await read_all(log) == b"first second"


async def test_records_that_wait_are_written_together(log, logs, disk):
    """At most so many at a time; each is told its own end."""
    disk.held.clear()
    first = log.submit(b"x")
    await asyncio.sleep(0.05)
    before = disk.flushes()
    done = [log.submit(b"ab") for _ in range(2 * GROUP)]
    disk.held.set()
    assert await asyncio.gather(*done) == [1 + 2 * n for n in range(1, 2 * GROUP + 1)]
    assert await first == 1
    assert disk.flushes() - before == 3
    assert (logs.records, logs.commits) == (1 + 2 * GROUP, 3)


async def test_nobody_reads_what_is_not_on_the_disk(log, disk):
    """Who follows waits for the flush as who appends does."""
    disk.held.clear()
    done = log.submit(b"data")
    with Follower(log, 0) as follower:
        reading = asyncio.create_task(follower.read())
        await asyncio.sleep(0.05)
        assert not reading.done()
        disk.held.set()
        assert await reading == b"data"
    await done


async def test_a_record_at_another_offset_is_refused(log):
    """It is told where the log ends, with what is on its way."""
    done = log.submit(b"12345", at=0)
    with pytest.raises(NotAtEnd) as refusal:
        log.submit(b"x", at=0)
    assert (refusal.value.end, refusal.value.provided) == (5, 0)
    assert await log.submit(b"6", at=5) == 6
    assert await done == 5


async def test_closing_is_for_ever(log):
    """Also what was sent right behind it is refused."""
    done = log.submit(b"bye", close=True)
    for _ in range(2):
        with pytest.raises(LogClosed) as refusal:
            log.submit(b"more")
        assert refusal.value.end == 3
        assert await done == 3
    assert log.state is State.FINISHED
    assert await follow(log) == b"bye"


async def test_an_asynchronous_record_waits_for_no_flush(log, disk):
    """That is what was asked for."""
    before = disk.flushes()
    assert await log.submit(b"quick", durable=False) == 5
    assert disk.flushes() == before
    await log.submit(b"safe")
    assert disk.flushes() == before + 1


async def test_one_who_wants_it_safe_makes_all_safe(log, disk):
    """Of those that are written together."""
    disk.held.clear()
    done = [log.submit(b"a")]
    await asyncio.sleep(0.05)
    before = disk.flushes()
    done += [log.submit(b"b", durable=False), log.submit(b"c")]
    disk.held.set()
    await asyncio.gather(*done)
    assert disk.flushes() == before + 2


async def test_a_canceled_appender_takes_nobody_with_him(log):
    """His record is written all the same, and so is the next one."""
    waiting = asyncio.create_task(asyncio.wait_for(log.submit(b"mine"), 5))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await log.submit(b"yours") == 9
    assert await read_all(log) == b"mineyours"


# -- failures


@pytest.mark.parametrize("call", ["write data", "write index"])
async def test_a_full_disk_fails_all_that_wait_and_then_is_over(log, disk, accountant, call):
    """No gap: a record that came later is not there without those before it."""
    await log.submit(b"kept")
    disk.held.clear()
    done = [log.submit(b"one"), log.submit(b"two")]
    disk.fail = (call, FULL)
    disk.held.set()
    ends = await asyncio.gather(*done, return_exceptions=True)
    assert [type(end) for end in ends] == [DiskFull, DiskFull]
    assert (log.size, log.tip, accountant.memory.used) == (4, 4, 0)
    assert await log.submit(b" again", at=4) == 10
    assert await read_all(log) == b"kept again"


async def test_after_a_failed_flush_nothing_more_is_taken(log, disk):
    """What was acknowledged can still be read."""
    await log.submit(b"kept")
    disk.fail = ("flush data", BROKEN)
    for _ in range(2):
        with pytest.raises(StorageFailed):
            await log.submit(b"lost")
    assert await read_all(log) == b"kept"


async def test_over_the_quota_nothing_is_taken(tmp_path, disk):
    """Neither of memory nor of the disk."""
    accountant = Accountant.of(100, 10)
    logs = Logs(Directory(10), accountant, 10)
    await logs.open(tmp_path / "logs", disk)
    log = await logs.enter(KEY, None, None)
    await log.submit(b"12345678")
    with pytest.raises(OverBudget):
        log.submit(b"123")
    assert await log.submit(b"90") == 10
    assert (accountant.memory.used, accountant.disk.used) == (0, 10)
    await logs.delete(log)
    assert accountant.disk.used == 0
    await logs.aclose()


async def test_a_closing_that_failed_leaves_it_open(log, disk):
    """The next one may close it."""
    disk.fail = ("write index", FULL)
    with pytest.raises(DiskFull):
        await log.submit(b"bye", close=True)
    assert await log.submit(b"bye", close=True) == 3


# -- sessions


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


async def test_a_session_can_close_the_log(log):
    """With its last byte."""
    async with Session(log) as session:
        await session.write([b"all"])
        await session.close()
    assert log.state is State.FINISHED


# -- followers


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


# -- producers


async def test_a_record_that_comes_again_is_there_once(log, disk):
    """Also while it is on its way; both are acknowledged, and neither before it is safe."""
    disk.held.clear()
    done = [log.submit(b"one", mark=Mark("me", 0, 0)), log.submit(b"one", mark=Mark("me", 0, 0))]
    await asyncio.sleep(0.05)
    assert not any(each.done() for each in done)
    disk.held.set()
    assert await asyncio.gather(*done) == [3, 3]
    assert await log.submit(b"one", mark=Mark("me", 0, 0)) == 3
    assert await log.submit(b"two", mark=Mark("me", 0, 1), close=True) == 6
    assert await log.submit(b"two", mark=Mark("me", 0, 1), close=True) == 6
    assert await read_all(log) == b"onetwo"


async def test_a_record_that_was_not_kept_may_come_again(log, disk):
    """It is no repetition then, and neither is the one behind it."""
    disk.fail = ("write data", FULL)
    done = [log.submit(b"one", mark=Mark("me", 0, 0)), log.submit(b"two", mark=Mark("me", 0, 1))]
    ends = await asyncio.gather(*done, return_exceptions=True)
    assert [type(end) for end in ends] == [DiskFull, DiskFull]
    with pytest.raises(SequenceGap):
        log.submit(b"two", mark=Mark("me", 0, 1))
    await log.submit(b"one", mark=Mark("me", 0, 0))
    await log.submit(b"two", mark=Mark("me", 0, 1))
    assert await read_all(log) == b"onetwo"
