"""Records of a log: acknowledged together, refused together, each there once."""

import asyncio

import pytest

from filepipe.accountant import Accountant
from filepipe.channels.directory import Directory
from filepipe.channels.follower import Follower
from filepipe.channels.log import GROUP
from filepipe.channels.logs import Logs
from filepipe.channels.state import State
from filepipe.errors import (
    DiskFull,
    LogClosed,
    NotAtEnd,
    OverBudget,
    SequenceGap,
    StorageFailed,
)
from filepipe.journal.frames import Mark
from filepipe.keys import Key
from tests.channels.logging import read_all
from tests.journal.forgetful import BROKEN, FULL

KEY = Key("build/log")


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
    assert await read_all(log) == b"bye"


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
