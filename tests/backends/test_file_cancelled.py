"""Cancelled calls on files: a thread may still be at it when nobody waits any more."""

import asyncio
import os
import sys
import threading

import pytest

from filepipe.testing import read_all
from filepipe_backends import file
from filepipe_backends.file import FileStorage


@pytest.fixture
async def storage(tmp_path):
    storage = FileStorage(str(tmp_path / "spill"))
    yield storage
    await storage.aclose()


class Held:
    """A system call whose first `times` callers wait in their threads until `go` is set."""

    def __init__(self, monkeypatch, name, times=1):
        self.call = getattr(os, name)
        self.left = threading.Semaphore(times)
        self.go = threading.Event()
        self.entered = threading.Event()
        monkeypatch.setattr(os, name, self)

    def __call__(self, *args):
        if self.left.acquire(blocking=False):
            self.entered.set()
            assert self.go.wait(30)
        return self.call(*args)

    async def reached(self):
        await asyncio.to_thread(self.entered.wait, 30)


async def cancel(task):
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()


def is_open(fd):
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


async def test_discard_waits_for_a_cancelled_write(storage, monkeypatch):
    """The descriptor stays open while a thread may still write to it."""
    blob = await storage.create()
    fd = await blob.descriptor()
    held = Held(monkeypatch, "pwritev")
    append = asyncio.create_task(blob.append([b"x"]))
    await held.reached()
    await cancel(append)
    discard = asyncio.create_task(blob.discard())
    done, _ = await asyncio.wait({discard}, timeout=0.05)
    assert not done
    assert is_open(fd)
    held.go.set()
    await discard
    assert not is_open(fd)


async def test_discard_waits_for_a_cancelled_read(storage, monkeypatch):
    """The descriptor stays open while a thread may still read from it."""
    blob = await storage.create()
    await blob.append([b"x"])
    fd = await blob.descriptor()
    held = Held(monkeypatch, "pread")
    read = asyncio.create_task(blob.read(0, 1))
    await held.reached()
    await cancel(read)
    discard = asyncio.create_task(blob.discard())
    done, _ = await asyncio.wait({discard}, timeout=0.05)
    assert not done
    assert is_open(fd)
    held.go.set()
    await discard
    assert not is_open(fd)


async def test_discard_waits_for_all_cancelled_calls(storage, monkeypatch):
    """A read that was cancelled first is not forgotten for one that was cancelled later."""
    blob = await storage.create()
    await blob.append([b"x"])
    fd = await blob.descriptor()
    holds = []
    for _ in range(2):
        holds.append(Held(monkeypatch, "pread"))
        read = asyncio.create_task(blob.read(0, 1))
        await holds[-1].reached()
        await cancel(read)
    holds[1].go.set()
    discard = asyncio.create_task(blob.discard())
    done, _ = await asyncio.wait({discard}, timeout=0.05)
    assert not done
    assert is_open(fd)
    holds[0].go.set()
    await discard
    assert not is_open(fd)


async def test_a_cancelled_discard_closes_all_the_same(storage, monkeypatch):
    """Whoever gives up waiting for a busy pool does not leak the descriptor."""
    blobs = [await storage.create() for _ in range(file.THREADS + 1)]
    fd = await blobs[-1].descriptor()
    held = Held(monkeypatch, "pwritev", file.THREADS)
    appends = [asyncio.create_task(blob.append([b"x"])) for blob in blobs[:-1]]
    await held.reached()
    discard = asyncio.create_task(blobs[-1].discard())
    await asyncio.sleep(0)
    await cancel(discard)
    held.go.set()
    await asyncio.gather(*appends)
    await asyncio.gather(*(blob.discard() for blob in blobs[:-1]))
    await storage.aclose()
    assert not is_open(fd)


async def test_an_append_after_a_cancelled_one(storage, monkeypatch):
    """The write of a cancelled append is over before the next one begins."""
    blob = await storage.create()
    held = Held(monkeypatch, "pwritev")
    append = asyncio.create_task(blob.append([b"cancelled"]))
    await held.reached()
    await cancel(append)
    after = asyncio.create_task(blob.append([b"after"]))
    done, _ = await asyncio.wait({after}, timeout=0.05)
    assert not done
    held.go.set()
    await after
    assert await read_all(blob) == b"after"
    await blob.discard()


async def test_the_descriptor_after_a_cancelled_append(storage, monkeypatch):
    """Nobody gets the descriptor while a cancelled write of ours may still use it."""
    blob = await storage.create()
    held = Held(monkeypatch, "pwritev")
    append = asyncio.create_task(blob.append([b"cancelled"]))
    await held.reached()
    await cancel(append)
    descriptor = asyncio.create_task(blob.descriptor())
    done, _ = await asyncio.wait({descriptor}, timeout=0.05)
    assert not done
    held.go.set()
    assert is_open(await descriptor)
    await blob.discard()


async def test_a_cancelled_create_leaves_no_descriptor(storage, monkeypatch):
    """A file that is opened for nobody is closed."""
    if sys.platform != "linux":
        pytest.skip("open descriptors are listed by /proc, on Linux only")
    await (await storage.create()).discard()
    before = sorted(os.listdir("/proc/self/fd"))
    held = Held(monkeypatch, "open")
    create = asyncio.create_task(storage.create())
    await held.reached()
    await cancel(create)
    held.go.set()
    await storage.aclose()
    monkeypatch.undo()
    assert sorted(os.listdir("/proc/self/fd")) == before


async def test_a_call_that_is_cancelled_in_the_queue_never_runs(storage, monkeypatch):
    """Behind busy threads a cancelled append is taken back whole."""
    blobs = [await storage.create() for _ in range(file.THREADS + 1)]
    held = Held(monkeypatch, "pwritev", file.THREADS)
    appends = [asyncio.create_task(blob.append([b"x"])) for blob in blobs]
    await held.reached()
    await cancel(appends.pop())
    held.go.set()
    await asyncio.gather(*appends)
    assert os.fstat(await blobs[-1].descriptor()).st_size == 0
    for blob in blobs:
        await blob.discard()
