"""A storage that watches its caller, a directory, and channels in each phase of their life."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from filepipe.accountant import Accountant
from filepipe.channels.channel import Channel, Kind, Metadata, Writer
from filepipe.channels.directory import Directory
from filepipe.channels.log import Log
from filepipe.channels.logs import Logs
from filepipe.channels.retention import Retention
from filepipe.keys import Key
from filepipe.testing import SlowStorage
from filepipe_backends.memory import MemoryStorage
from tests.channels.dutiful import Dutiful
from tests.channels.logging import HeldDisk
from tests.clock import Clock


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time that retentions and waits go by."""
    clock = Clock(asyncio.get_running_loop())
    monkeypatch.setattr("filepipe.channels.channel.time", clock)
    monkeypatch.setattr("filepipe.channels.directory.time", clock)
    return clock


@pytest.fixture
def slow() -> SlowStorage:
    """The storage below `storage`, whose calls can be held."""
    return SlowStorage(MemoryStorage(""))


@pytest.fixture
async def storage(slow: SlowStorage) -> AsyncIterator[Dutiful]:
    """A storage that checks what its caller owes it."""
    storage = Dutiful(slow)
    yield storage
    slow.release()
    await storage.aclose()


@pytest.fixture
async def directory() -> AsyncIterator[Directory]:
    """A directory of at most three keys; at the end nothing of it is left running."""
    directory = Directory(3)
    yield directory
    await directory.aclose()
    assert len(directory) == 0
    assert directory.waiting == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.fixture
def claim(directory: Directory) -> Callable[..., Channel]:
    """Claim a key in `directory`."""

    def claim(key: str = "key", after_end: float = 60.0, first_read: float | None = None):
        return directory.claim(Key(key), Kind.PIPE, Retention(after_end, first_read))

    return claim


@pytest.fixture
def write(claim: Callable[..., Channel], storage: Dutiful):
    """Make a finished channel that holds `data`."""

    async def write(data: bytes = b"data", key: str = "key", **retention: float) -> Channel:
        channel = claim(key, **retention)
        async with Writer(channel) as writer:
            await channel.publish(storage, Metadata())
            await writer.write([data])
        return channel

    return write


# -- logs


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
    return await logs.enter(Key("build/log"), "text/plain", None)
