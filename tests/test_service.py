"""What requests share: the storages as they are stacked, the ledger, the counters, the close."""

import asyncio
import contextlib
import os
import threading

import pytest

from filepipe.channels.channel import Kind, Metadata, Writer
from filepipe.channels.retention import Retention
from filepipe.errors import ConfigError, Draining, OverBudget
from filepipe.keys import Key
from filepipe.service import Service, Spilling, Statistics, watch_loop_lag
from filepipe.testing import read_all
from tests.clock import Clock

KIB = 1024


@pytest.fixture
def spilling(tmp_path):
    """Bodies above 64 KiB go to disk; memory for a MiB, disk for four."""
    return Spilling(f"file:{tmp_path}/spill", 64 * KIB, 1024 * KIB, 4096 * KIB)


@pytest.fixture
async def service(spilling):
    """A service that holds nothing any more once it is closed."""
    service = Service(spilling, 50)
    yield service
    await service.aclose()
    accountant = service.accountant
    assert (accountant.memory.used, accountant.disk.used) == (0, 0)


async def store(service, size, length=None, key="key"):
    """Upload `size` bytes, of which `length` were announced."""
    channel = service.directory.claim(Key(key), Kind.PIPE, Retention(60.0))
    async with Writer(channel) as writer:
        await channel.publish(service.storage, Metadata(length=length))
        await writer.write([os.urandom(size)])
    return channel


async def test_a_small_body_stays_in_memory(service):
    """Below the threshold nothing is written to disk."""
    channel = await store(service, 64 * KIB)
    assert len(await read_all(channel.blob)) == 64 * KIB
    assert service.accountant.memory.used == 64 * KIB
    assert service.accountant.disk.used == 0


@pytest.mark.parametrize("length", [None, 65 * KIB], ids=["unknown", "announced"])
async def test_a_large_body_goes_to_disk(service, length):
    """Above the threshold memory holds nothing of it once it is written."""
    channel = await store(service, 65 * KIB, length)
    assert len(await read_all(channel.blob)) == 65 * KIB
    assert service.accountant.memory.used == 0
    assert service.accountant.disk.used == 65 * KIB


async def test_an_announced_length_is_reserved(service):
    """The room that a sender asked for is its own from the start, and more is refused at once."""
    directory = service.directory
    channel = directory.claim(Key("key"), Kind.PIPE, Retention(60.0))
    async with Writer(channel):
        await channel.publish(service.storage, Metadata(length=3000 * KIB))
        assert service.accountant.disk.used == 3000 * KIB
        with pytest.raises(OverBudget, match="disk quota exceeded"):
            await store(service, 1, 2000 * KIB, "other")
        assert service.accountant.disk.used == 3000 * KIB
    directory.delete(channel)


async def test_memory_that_is_full_makes_room(service):
    """Bodies go to disk when all of them no longer fit into memory, and stay whole."""
    channels = [await store(service, 60 * KIB, key=str(n)) for n in range(40)]
    assert service.accountant.memory.used <= 1024 * KIB
    assert service.accountant.disk.used > 0
    held = service.accountant.memory.used + service.accountant.disk.used
    assert held == sum(channel.size for channel in channels) == 40 * 60 * KIB


async def test_channels_are_counted_by_kind(service):
    """For the metrics and /state: keys, and pairs of a queue, which are found by no key."""
    assert service.kinds() == {}
    await store(service, 1)
    service.meetings.offer(Key("met"), 2, Metadata())
    with service.queues.offer(Key("line"), Metadata()):
        seat = await service.queues.take(None, Key("line"), 1.0)
        await store(service, 1, key="other")
        assert service.kinds() == {"pipe": 2, "rendezvous": 1, "queue": 1}
        assert {channel.key for channel in service.channels()} == {"key", "met", "line", "other"}
        seat.rendezvous.break_off(Draining("over"))
        seat.leave()
    assert service.kinds() == {"pipe": 2, "rendezvous": 1}


async def test_closing_cuts_and_ends_the_threads(spilling):
    """After the close nothing is taken, nothing is held, and no thread of ours runs."""
    before = set(threading.enumerate())
    service = Service(spilling, 10)
    await store(service, 65 * KIB)
    assert set(threading.enumerate()) - before
    await service.aclose()
    assert service.accountant.disk.used == 0
    with pytest.raises(Draining):
        await store(service, 1)
    left = [thread.name for thread in set(threading.enumerate()) - before]
    assert not [name for name in left if name.startswith("filepipe")]
    assert os.listdir(spilling.storage.removeprefix("file:")) == []


def test_a_storage_that_does_not_exist():
    """A wrong setting is named before anything is served."""
    with pytest.raises(ConfigError, match="'floppy:a' is of no known kind"):
        Service(Spilling("floppy:a", 1, None, None), 10)


async def test_the_lag_of_the_loop():
    """The last delay, and the worst one ever."""
    clock = Clock(asyncio.get_running_loop())
    statistics = Statistics()
    task = asyncio.create_task(watch_loop_lag(statistics, every=1.0))
    await clock.advance(1.0)
    assert (statistics.loop_lag, statistics.loop_lag_worst) == (0.0, 0.0)
    await clock.advance(3.5)
    assert statistics.loop_lag == pytest.approx(2.5)
    await clock.advance(1.0)
    assert statistics.loop_lag == pytest.approx(0.0)
    assert statistics.loop_lag_worst == pytest.approx(2.5)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
