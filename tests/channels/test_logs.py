"""Every log of the daemon: made once, found again after a restart, removed, expired."""

import asyncio
import os
import threading
import time

import pytest

from filepipe.accountant import Accountant
from filepipe.channels.channel import Kind
from filepipe.channels.directory import Directory
from filepipe.channels.follower import Follower
from filepipe.channels.log_session import Session
from filepipe.channels.logs import Logs, Wish
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.errors import (
    Broken,
    Conflict,
    DiskFull,
    Draining,
    StorageFailed,
    TooManyKeys,
    Unavailable,
)
from filepipe.journal import checking
from filepipe.journal.files import name_of
from filepipe.keys import Key
from tests.channels.logging import HeldDisk
from tests.journal.forgetful import BROKEN, FULL

KEY = Key("a log")


@pytest.fixture
def disk():
    """A disk that can be held and can fail."""
    return HeldDisk()


@pytest.fixture
def directory():
    """The keys."""
    return Directory(10)


@pytest.fixture
async def opened(tmp_path, disk, directory):
    """Open the logs of the folder; all are closed at the end."""
    found = []

    async def opened(most=10):
        logs = Logs(directory, Accountant.of(None, None), most)
        logs.wrong = await logs.open(tmp_path / "logs", disk)
        found.append(logs)
        return logs

    yield opened
    for logs in found:
        await logs.aclose()
    assert not disk.open_now


@pytest.fixture
async def logs(opened):
    """The logs of an empty folder."""
    return await opened()


async def keep(logs, data, key=KEY, **kwargs):
    """Make a log of `data`."""
    log = await logs.enter(key, kwargs.get("content_type"), kwargs.get("ttl"))
    await log.submit(data, close=kwargs.get("close", False))
    return log


async def test_a_log_is_made_once(logs, tmp_path):
    """Also if two come at the same moment."""
    one, two = await asyncio.gather(logs.enter(KEY, "text/plain", 5.0), logs.enter(KEY, None, None))
    assert one is two
    assert (one.meta.content_type, one.ttl, one.kind) == ("text/plain", 5.0, Kind.LOG)
    names = {name_of(KEY) + suffix for suffix in (".data", ".index")}
    assert set(os.listdir(tmp_path / "logs")) == names


async def test_a_restart_changes_nothing(logs, opened, directory):
    """Bytes, type, closure, tag; a key that is no file name is no matter."""
    key = Key("ünusual/../name")
    await keep(logs, b"data", key, content_type="text/plain", ttl=7.0, close=True)
    log = await keep(logs, b"open")
    await logs.aclose()
    await opened()
    found = directory.find(key)
    assert (found.size, found.meta.content_type, found.ttl) == (4, "text/plain", 7.0)
    assert found.state is State.FINISHED
    assert directory.find(KEY).state is State.WRITING
    assert directory.find(KEY).etag == log.etag
    assert await directory.find(KEY).submit(b" and on", at=4) == 11


async def test_a_key_has_one_kind(logs, directory):
    """Who comes second is refused, whichever it is."""
    await keep(logs, b"log")
    with pytest.raises(Conflict):
        directory.claim(KEY, Kind.PIPE, Retention(1.0))
    directory.claim(Key("pipe"), Kind.PIPE, Retention(1.0))
    with pytest.raises(Conflict):
        await logs.enter(Key("pipe"), None, None)


async def test_who_waits_for_a_log_is_there_when_its_session_begins(logs, directory):
    """So the end of the session is his."""
    waiting = asyncio.create_task(directory.wait(KEY, 10))
    await asyncio.sleep(0)
    log = await logs.enter(KEY, None, None)
    async with Session(log) as session:
        assert await waiting is log
        await session.write([b"data"])
        with Follower(log, 0) as follower:
            assert follower._session is session


async def test_a_log_that_cannot_be_made_leaves_its_key_free(logs, disk, directory):
    """And the next one can be."""
    disk.fail = ("write index", FULL)
    with pytest.raises(Exception, match="disk full"):
        await logs.enter(KEY, None, None)
    directory.check_free(KEY)
    await keep(logs, b"data")


async def test_there_are_not_more_than_so_many(opened):
    """Who has his may go on."""
    logs = await opened(most=1)
    log = await keep(logs, b"data")
    with pytest.raises(TooManyKeys):
        await logs.enter(Key("other"), None, None)
    assert await logs.enter(KEY, None, None) is log


async def test_a_deleted_log_is_gone(logs, tmp_path, directory):
    """Its key is free, its files are removed, who follows it or appends to it is told."""
    log = await keep(logs, b"data")
    with Follower(log, 4) as follower:
        reading = asyncio.create_task(follower.read())
        await asyncio.sleep(0)
        await logs.delete(log)
        with pytest.raises(Broken):
            await reading
    with pytest.raises(Broken):
        log.submit(b"more")
    assert os.listdir(tmp_path / "logs") == []
    directory.check_free(KEY)
    assert (await keep(logs, b"new")).size == 3


async def test_who_asks_for_a_removal_and_leaves(logs, disk, monkeypatch):
    """It goes on to its end, and until then nobody else has its files or its key."""
    log = await keep(logs, b"data")
    begun, go = threading.Event(), threading.Event()
    remove = disk.remove

    def held(path):
        begun.set()
        assert go.wait(10)
        remove(path)

    monkeypatch.setattr(disk, "remove", held)
    deleting = asyncio.create_task(logs.delete(log))
    assert await asyncio.to_thread(begun.wait, 10)
    deleting.cancel()
    await asyncio.wait({deleting})
    again = asyncio.create_task(keep(logs, b"new"))
    assert await asyncio.wait({again}, timeout=0.05) == (set(), {again})
    go.set()
    await logs.delete(log)
    assert (await again).size == 3


@pytest.mark.parametrize("call", ["write index", "flush index", "remove"])
async def test_a_log_that_cannot_be_removed(logs, disk, directory, opened, call):
    """It keeps its key, serves nothing, and can be removed later, or after a restart."""
    log = await keep(logs, b"data")
    disk.fail = (call, BROKEN)
    with pytest.raises(StorageFailed):
        await logs.delete(log)
    with pytest.raises(Conflict):
        directory.check_free(KEY)
    there = directory.find(KEY)
    with pytest.raises(StorageFailed):
        there.check()
    await logs.delete(there)
    assert (await keep(logs, b"new")).size == 3


async def test_who_reads_a_closed_log_reads_on_when_it_is_deleted(logs):
    """To its end."""
    log = await keep(logs, b"data", close=True)
    with Follower(log, 0) as follower:
        assert await follower.read(2) == b"da"
        await logs.delete(log)
        assert await follower.read() == b"ta"
        assert await follower.read() == b""


async def test_a_log_expires_when_nobody_uses_it(logs, tmp_path, opened, directory):
    """So long after its last byte; the others stay, also after a restart."""
    await keep(logs, b"data", ttl=100.0)
    await keep(logs, b"kept", Key("kept"))
    assert await logs.expire() == 0
    await logs.aclose()
    data = tmp_path / "logs" / (name_of(KEY) + ".data")
    os.utime(data, (0, 0))
    logs = await opened()
    with Follower(directory.find(KEY), 0):
        assert await logs.expire() == 0
    assert await logs.expire() == 1
    assert [log.key for log in logs] == ["kept"]
    assert not data.exists()


async def test_one_that_cannot_expire_keeps_no_other(logs, tmp_path):
    """Though it comes first."""
    for key in ("first", "second"):
        await keep(logs, b"data", Key(key), ttl=100.0)
        os.utime(tmp_path / "logs" / (name_of(key) + ".data"), (0, 0))
    (tmp_path / "logs" / (name_of("first") + ".data")).unlink()
    with pytest.raises(StorageFailed):
        await logs.expire()
    assert [log.key for log in logs] == ["first"]


async def test_a_damaged_log_is_said_and_not_served(logs, tmp_path, opened, directory):
    """It keeps its key until it is deleted; all others are served."""
    await keep(logs, b"damaged")
    await keep(logs, b"fine", Key("fine"))
    await logs.aclose()
    data = tmp_path / "logs" / (name_of(KEY) + ".data")
    os.truncate(data, 3)
    logs = await opened()
    assert logs.wrong == [f"{KEY}: of its 7 bytes only 3 are there"]
    assert logs.damaged == 1
    log = directory.find(KEY)
    with pytest.raises(StorageFailed), Follower(log, 0):
        pass
    with pytest.raises(StorageFailed):
        log.submit(b"more")
    with pytest.raises(Conflict):
        directory.check_free(KEY)
    assert directory.find(Key("fine")).size == 4
    await logs.delete(log)
    assert (await keep(logs, b"new")).size == 3


async def test_changed_bytes_are_said_soon(logs, tmp_path, opened, directory):
    """Who follows the log is cut; it is served no more."""
    await keep(logs, b"damaged")
    await keep(logs, b"fine", Key("fine"))
    await logs.aclose()
    data = tmp_path / "logs" / (name_of(KEY) + ".data")
    data.write_bytes(b"damageD")
    logs = await opened()
    assert logs.wrong == []
    with Follower(directory.find(KEY), 7) as follower:
        reading = asyncio.create_task(follower.read())
        await asyncio.sleep(0)
        assert [wrong async for wrong in logs.verify()] == [
            f"{KEY}: its bytes from 0 on are damaged"
        ]
        with pytest.raises(StorageFailed):
            await reading
    assert logs.damaged == 1


async def test_nobody_is_given_bytes_that_were_not_compared(
    logs, tmp_path, opened, directory, monkeypatch
):
    """A reader has what stands around the damage until that is found; new bytes do not wait."""
    monkeypatch.setattr(checking, "FRAMES", 1)
    log = await keep(logs, b"fine")
    await log.submit(b"damaged")
    await log.submit(b"fine")
    await logs.aclose()
    (tmp_path / "logs" / (name_of(KEY) + ".data")).write_bytes(b"finedamageDfine")
    logs = await opened()
    log = directory.find(KEY)
    assert await log.submit(b"new") == 18
    with Follower(log, 15) as late, Follower(log, 0) as follower, Follower(log, 11) as last:
        assert await late.read() == b"new"
        assert await follower.read(4) == b"fine"
        with pytest.raises(Unavailable):
            await log.descriptor()
        assert log.files.damage is None
        assert await last.read(2) == b"fi"
        with pytest.raises(StorageFailed, match="from 4 on are damaged"):
            await follower.read()
        with pytest.raises(StorageFailed):
            await last.read()


async def test_damage_that_a_reader_finds_is_said(logs, tmp_path, opened, directory):
    """As if the check of everything had found it."""
    await keep(logs, b"damaged")
    await logs.aclose()
    (tmp_path / "logs" / (name_of(KEY) + ".data")).write_bytes(b"damageD")
    logs = await opened()
    checking_all = logs.verify()
    said = asyncio.create_task(anext(checking_all))
    with Follower(directory.find(KEY), 0) as follower, pytest.raises(StorageFailed):
        await follower.read()
    assert await said == f"{KEY}: its bytes from 0 on are damaged"


async def test_many_readers_compare_a_log_once(logs, opened, directory):
    """And one that leaves keeps the others from nothing."""
    await keep(logs, b"data")
    await logs.aclose()
    await opened()
    log = directory.find(KEY)
    proofs = [asyncio.create_task(log.prove(0, 4)) for _ in range(5)]
    await asyncio.sleep(0)
    proofs[0].cancel()
    await asyncio.gather(*proofs[1:])
    assert await log.descriptor() >= 0
    log.files.rest()


async def test_a_comparison_that_cannot_be_made_begins_anew(
    logs, opened, directory, disk, monkeypatch
):
    """Who asked for the bytes is told, and nothing counts as proven."""
    await keep(logs, b"data")
    await logs.aclose()
    await opened()
    log = directory.find(KEY)
    with monkeypatch.context() as patch:
        patch.setattr(disk, "read", fail)
        with pytest.raises(StorageFailed, match="Input/output"):
            await log.read(0, 4)
        assert not log.files.is_proven(0, 1)
    assert await log.read(0, 4) == b"data"
    log.files.rest()


def fail(fd, limit, offset):
    """As a disk that gives up."""
    raise OSError(BROKEN, os.strerror(BROKEN))


async def test_a_log_whose_key_is_lost_is_said(logs, tmp_path, opened):
    """Nothing is written over it: its key cannot be used."""
    await keep(logs, b"data")
    await logs.aclose()
    (tmp_path / "logs" / (name_of(KEY) + ".index")).unlink()
    logs = await opened()
    assert logs.wrong == [f"{name_of(KEY)}: its index is damaged at byte 0"]
    with pytest.raises(StorageFailed):
        await logs.enter(KEY, None, None)
    assert (tmp_path / "logs" / (name_of(KEY) + ".data")).read_bytes() == b"data"


async def test_a_log_at_rest_holds_no_descriptor(logs, disk):
    """There may be more logs than descriptors."""
    log = await keep(logs, b"data")
    await log.settle()
    assert not disk.open_now
    with Follower(log, 0) as follower:
        assert await follower.read() == b"data"
        assert disk.open_now
    assert not disk.open_now


async def test_a_log_that_was_only_made_holds_no_descriptor(logs, disk):
    """Whoever makes many need not use them."""
    await logs.create(KEY, Wish(None, None, None, b"first"))
    while disk.open_now:
        await asyncio.sleep(0)


async def test_a_draining_daemon_takes_no_appender(logs):
    """Neither a new log nor a new session."""
    log = await keep(logs, b"data")
    logs.drain()
    with pytest.raises(Draining):
        await logs.enter(KEY, None, None)
    with pytest.raises(Draining):
        await Session(log).__aenter__()


async def test_a_log_begins_as_it_was_wished(logs, opened, directory):
    """Once: who comes second finds it, and adds nothing."""
    wish = Wish("text/plain", None, None, b"first", close=True)
    log, made = await logs.create(KEY, wish)
    assert (made, log.size, log.state) == (True, 5, State.FINISHED)
    assert await logs.create(KEY, wish) == (log, False)
    assert logs.accountant.disk.used == 5
    await logs.aclose()
    await opened()
    assert (directory.find(KEY).size, directory.find(KEY).state) == (5, State.FINISHED)


@pytest.mark.parametrize("call", ["write index", "write data"])
async def test_a_log_that_could_not_begin_owes_nothing(logs, disk, directory, call):
    """Neither a key nor a byte of the ledger."""
    disk.fail = (call, FULL)
    with pytest.raises(DiskFull):
        await logs.create(KEY, Wish(None, None, None, b"first"))
    assert (directory.present(KEY), logs.accountant.disk.used) == (None, 0)
    assert (await logs.create(KEY, Wish(None, None)))[1]


async def test_a_moment_is_the_end(logs, directory):
    """Also of a log that somebody reads."""
    log, _ = await logs.create(KEY, Wish(None, None, time.time() + 1000))
    assert not await logs.ended(log)
    other, _ = await logs.create(Key("other"), Wish(None, None, time.time() - 1))
    with Follower(other, 0) as follower:
        assert await logs.ended(other)
        with pytest.raises(Broken):
            await follower.read()
    assert directory.present(Key("other")) is None


async def test_a_use_begins_its_time_anew(logs, tmp_path):
    """It is the last byte, or the last touch."""
    log, _ = await logs.create(KEY, Wish(None, 100.0))
    os.utime(tmp_path / "logs" / (name_of(KEY) + ".data"), (0, 0))
    await logs.touch(log)
    assert not await logs.ended(log)


async def test_the_last_byte_and_place_are_known(logs, disk):
    """Of what is on its way, too; and after a failure no longer."""
    log, _ = await logs.create(KEY, Wish(None, None))
    await log.submit(b"a\n", order="a")
    assert (log.last_byte, log.last_order) == (b"\n", "a")
    disk.fail = ("write data", FULL)
    with pytest.raises(DiskFull):
        await log.submit(b"b", order="b")
    assert (log.last_byte, log.last_order) == (b"", "a")
