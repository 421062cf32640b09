"""Hot until a blob grows too large or memory runs out, then cold."""

import asyncio
import os

import pytest

from filepipe.accountant import Budget
from filepipe.errors import DiskFull, OverBudget, StorageFailed
from filepipe.storage.accounted import AccountedStorage
from filepipe.storage.spill import SpillStorage
from filepipe.storage.writebehind import WriteBehindStorage
from filepipe.testing import (
    FailingStorage,
    FullStorage,
    SlowStorage,
    StorageSuite,
    read_all,
    turns,
    write,
)
from filepipe_backends.file import FileStorage
from filepipe_backends.memory import MemoryStorage

THRESHOLD = 1000


async def discard(*blobs):
    for blob in blobs:
        await blob.discard()


class TestSpill(StorageSuite):
    """The suite over two slow storages and a small threshold."""

    @pytest.fixture
    async def storage(self):
        storage = SpillStorage(
            SlowStorage(MemoryStorage("")), SlowStorage(MemoryStorage("")), THRESHOLD
        )
        yield storage
        await storage.aclose()


class TestWholeStack(StorageSuite):
    """The suite over the storages as the daemon stacks them; the ledger is empty at the end."""

    memory_limit = 8 * 1024 * 1024

    @pytest.fixture
    async def storage(self, tmp_path):
        memory_budget, disk = Budget("memory", self.memory_limit), Budget("disk", None)
        files = AccountedStorage(FileStorage(str(tmp_path)), disk, reserve=True)
        storage = SpillStorage(
            AccountedStorage(MemoryStorage(""), memory_budget),
            WriteBehindStorage(files, memory_budget),
            256 * 1024,
        )
        yield storage
        assert (memory_budget.used, disk.used) == (0, 0)
        await storage.aclose()


class TestWholeStackWithLittleMemory(TestWholeStack):
    """The same where the memory is always full."""

    memory_limit = 20_000


async def test_small_stays_hot(spill, cold):
    """A blob up to the threshold never sees the cold storage."""
    cold.held.add("create")
    blob = await write(spill, 400, 600, finish=True)
    assert not blob.spilled
    assert await blob.descriptor() == -1
    await blob.discard()


async def test_what_is_known_to_be_large_is_cold_at_once(spill, budget):
    """An announced size above the threshold never passes through the hot storage."""
    blob = await spill.create(THRESHOLD + 1)
    assert blob.spilled
    await blob.append([b"x" * 10])
    assert budget.peak == 0
    exact = await spill.create(THRESHOLD)
    assert not exact.spilled
    await discard(blob, exact)


async def test_growing_over_the_threshold_moves(spill, budget):
    """The move takes the whole content along and frees the memory."""
    blob = await spill.create()
    await blob.append([b"a" * 900])
    await blob.append([b"b" * 101])
    assert blob.spilled
    assert (budget.used, blob.size) == (0, 1001)
    await blob.append([b"c"])
    await blob.finish()
    assert await read_all(blob) == b"a" * 900 + b"b" * 101 + b"c"
    await blob.discard()


async def test_expected_is_passed_on_to_the_move(hot):
    """The cold storage learns what is known about the size."""
    seen = []

    class Asking(SlowStorage):
        async def create(self, expected=None):
            seen.append(expected)
            return await super().create(expected)

    spill = SpillStorage(hot, Asking(MemoryStorage("")), THRESHOLD)
    blob = await spill.create(700)
    await blob.append([bytes(THRESHOLD + 1)])
    assert seen == [700]
    await blob.discard()


async def test_a_reader_goes_on_across_the_move(spill, cold, budget):
    """A reader reads hot bytes during the move and cold ones after it."""
    blob = await spill.create()
    await blob.append([b"a" * 900])
    cold.held.add("append")
    append = asyncio.create_task(blob.append([b"b" * 900]))
    await turns()
    assert cold.waiting == ["append"]
    assert not blob.spilled
    assert await read_all(blob) == b"a" * 900
    cold.release()
    await append
    assert blob.spilled
    assert await read_all(blob) == b"a" * 900 + b"b" * 900
    await blob.discard()


async def test_the_hot_blob_stays_while_it_is_read(cold):
    """A read that began before the move gets its bytes; then the hot blob goes."""
    slow = SlowStorage(MemoryStorage(""))
    spill = SpillStorage(slow, cold, THRESHOLD)
    blob = await write(spill, 900)
    model = await read_all(blob)
    slow.held |= {"read"}
    read = asyncio.create_task(blob.read(0, 900))
    await turns()
    slow.held -= {"read"}
    append = asyncio.create_task(blob.append([b"x" * 900]))
    await turns()
    assert blob.spilled
    assert not append.done()
    assert await read_all(blob) == model
    slow.release()
    assert await read == model
    await append
    await blob.discard()
    await spill.aclose()


async def test_a_failing_move_leaves_the_blob_as_it_was(hot, budget):
    """The append that asked for it raises; content, place and ledger stay, and the next may do."""
    full = FullStorage(MemoryStorage(""), 500)
    spill = SpillStorage(hot, full, THRESHOLD)
    blob = await spill.create()
    await blob.append([b"a" * 900])
    with pytest.raises(DiskFull):
        await blob.append([b"b" * 900])
    assert not blob.spilled
    assert (budget.used, blob.size, full.room) == (900, 900, 500)
    assert await read_all(blob) == b"a" * 900
    await blob.append([b"c" * 100])
    full.room = 10_000
    await blob.append([b"d" * 100])
    assert await read_all(blob) == b"a" * 900 + b"c" * 100 + b"d" * 100
    await blob.discard()
    assert full.room == 10_000


@pytest.mark.parametrize("failing", ["create", "append"])
async def test_a_broken_cold_storage_is_told(hot, failing):
    """Whatever fails in the move is raised by the append that asked."""
    broken = FailingStorage(MemoryStorage(""), failing)
    spill = SpillStorage(hot, broken, THRESHOLD)
    blob = await write(spill, 900)
    with pytest.raises(StorageFailed):
        await blob.append([b"b" * 900])
    assert not blob.spilled
    await blob.discard()


@pytest.mark.parametrize("whose", ["discard", "append"])
async def test_a_cancelled_caller_does_not_stop_a_move(hot, cold, budget, whose):
    """The move ends by itself, and so does the discard that waited for it."""
    disk = Budget("disk", None)
    spill = SpillStorage(hot, AccountedStorage(cold, disk), THRESHOLD)
    blob = await write(spill, 900)
    cold.held.add("append")
    append = asyncio.create_task(blob.append([b"x" * 900]))
    await turns()
    append.cancel()
    await asyncio.wait({append})
    assert append.cancelled()
    if whose == "append":
        again = asyncio.create_task(blob.append([b"again"]))
        await turns()
        cold.release()
        await again
        assert (blob.spilled, blob.size) == (True, 905)
        await blob.discard()
    else:
        discarding = asyncio.create_task(blob.discard())
        await turns()
        discarding.cancel()
        await asyncio.wait({discarding})
        cold.release()
    await spill.aclose()
    assert (budget.used, disk.used) == (0, 0)


async def test_a_hot_storage_that_fails_otherwise(cold):
    """Only a lack of budget makes a blob go cold; a failure is a failure."""
    spill = SpillStorage(FailingStorage(MemoryStorage(""), "append"), cold, THRESHOLD)
    blob = await spill.create()
    with pytest.raises(StorageFailed):
        await blob.append([b"x"])
    assert (blob.spilled, blob.size) == (False, 0)
    await blob.discard()


async def test_a_cold_budget_that_is_used_up_is_told(hot):
    """Over the disk's quota the sentence names the disk."""
    disk = Budget("disk", 1500)
    spill = SpillStorage(hot, AccountedStorage(MemoryStorage(""), disk, reserve=True), THRESHOLD)
    with pytest.raises(OverBudget, match="disk quota exceeded"):
        await spill.create(1501)
    blob = await spill.create()
    with pytest.raises(OverBudget, match="disk quota exceeded"):
        await blob.append([bytes(1501)])
    await blob.discard()
    assert disk.used == 0


async def test_the_descriptor_of_a_cold_blob(hot, tmp_path):
    """A cold blob passes its file on, and counts what the kernel wrote."""
    spill = SpillStorage(hot, FileStorage(str(tmp_path)), THRESHOLD)
    blob = await spill.create(5000)
    fd = await blob.descriptor()
    os.pwrite(fd, b"kernel", 0)
    blob.grow(6)
    await blob.append([b" append"])
    assert blob.size == 13
    assert await read_all(blob) == b"kernel append"
    await blob.discard()
    await spill.aclose()


async def test_aclose_closes_both(hot, tmp_path):
    """Both storages are closed, the second one too."""
    closed = []

    class Closing(SlowStorage):
        async def aclose(self):
            closed.append(self)

    storages = Closing(MemoryStorage("")), Closing(MemoryStorage(""))
    await SpillStorage(*storages, THRESHOLD).aclose()
    assert closed == list(storages)
