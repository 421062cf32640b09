"""Answer before the disk does, within a window."""

import asyncio
import os

import pytest

from filepipe.accountant import Budget
from filepipe.errors import DiskFull, StorageFailed
from filepipe.storage.accounted import AccountedStorage
from filepipe.storage.writebehind import BATCH, WriteBehindStorage
from filepipe.testing import FailingStorage, FullStorage, SlowStorage, StorageSuite, read_all, turns
from filepipe_backends.file import FileStorage
from filepipe_backends.memory import MemoryStorage

KIB = 1024
WINDOW = 1024 * KIB


@pytest.fixture
def memory():
    """A budget of which nothing may be left taken."""
    budget = Budget("memory", 8 * WINDOW)
    yield budget
    assert budget.used == 0


@pytest.fixture
def slow():
    return SlowStorage(MemoryStorage(""))


class TestWriteBehindFile(StorageSuite):
    """The suite over files."""

    @pytest.fixture
    async def storage(self, tmp_path, memory):
        storage = WriteBehindStorage(FileStorage(str(tmp_path)), memory)
        yield storage
        await storage.aclose()


class TestWriteBehindAccountedFile(StorageSuite):
    """The suite over files that are paid for; both budgets are empty at the end."""

    @pytest.fixture
    async def storage(self, tmp_path, memory):
        disk = Budget("disk", None)
        inner = AccountedStorage(FileStorage(str(tmp_path)), disk, reserve=True)
        storage = WriteBehindStorage(inner, memory)
        yield storage
        assert disk.used == 0
        await storage.aclose()


class TestSlowWriteBehind(StorageSuite):
    """The suite over a storage that gives way in each call, with a window below one batch."""

    @pytest.fixture
    async def storage(self, slow, memory):
        return WriteBehindStorage(slow, memory, 10 * KIB)


class TestWriteBehindWithoutMemory(StorageSuite):
    """The suite where the budget refuses almost everything."""

    @pytest.fixture
    async def storage(self, slow):
        memory = Budget("memory", 1000)
        yield WriteBehindStorage(slow, memory)
        assert memory.used == 0


async def test_a_small_body_waits_in_memory(slow, memory):
    """Below a batch nothing is written; the window is read, and paid for."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([b"x" * 1000, b"y" * 1000])
    await turns()
    assert slow.waiting == []
    assert memory.used == blob.size == 2000
    assert await read_all(blob) == b"x" * 1000 + b"y" * 1000
    slow.release()
    await blob.finish()
    assert memory.used == 0
    assert await read_all(blob) == b"x" * 1000 + b"y" * 1000
    await blob.discard()


async def test_a_live_reader_never_waits_for_the_disk(slow, memory):
    """While a write hangs, the writer goes on and the reader gets every byte."""
    slow.held |= {"append", "read"}
    blob = await WriteBehindStorage(slow, memory).create()
    model = b""
    for _ in range(12):
        chunk = os.urandom(64 * KIB)
        await blob.append([chunk])
        model += chunk
        await turns()
        assert await read_all(blob) == model
    assert slow.waiting == ["append"]
    slow.release()
    await blob.finish()
    assert await read_all(blob) == model
    await blob.discard()


async def test_a_full_window_makes_the_writer_wait(slow, memory):
    """No more than the window is held, whatever the writer does."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    for _ in range(4):
        await blob.append([bytes(BATCH)])
    assert memory.used == WINDOW
    waiting = asyncio.create_task(blob.append([b"x"]))
    await turns()
    assert not waiting.done()
    assert memory.used == WINDOW
    slow.release()
    await waiting
    assert blob.size == WINDOW + 1
    await blob.finish()
    assert await read_all(blob) == bytes(WINDOW) + b"x"
    await blob.discard()


async def test_a_waiting_writer_goes_on_with_the_first_room(slow, memory):
    """One write that ends makes room; the writer does not wait for the next one."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    for _ in range(4):
        await blob.append([bytes(BATCH)])
    waiting = asyncio.create_task(blob.append([b"x"]))
    await turns()
    slow.release()
    slow.held.add("append")
    await waiting
    assert slow.waiting == ["append"]
    assert memory.used == WINDOW - BATCH + 1
    slow.release()
    await turns()
    assert memory.used == 1  # the rest was written without anybody asking
    await blob.discard()


async def test_small_chunks_behind_a_write_that_runs(slow, memory):
    """What comes while a write runs is not joined to what that write carries."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([b"a" * BATCH, b"bbb"])
    await turns()
    assert slow.waiting == ["append"]
    await blob.append([b"ccc"])
    slow.release()
    await blob.finish()
    assert await read_all(blob) == b"a" * BATCH + b"bbb" + b"ccc"
    await blob.discard()


async def test_an_append_beyond_the_window_is_written_at_once(slow, memory):
    """A huge chunk is not held; what was in the window goes before it."""
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([b"first"])
    await blob.append([bytes(2 * WINDOW)])
    assert memory.used == 0
    assert memory.peak == 5
    assert await read_all(blob) == b"first" + bytes(2 * WINDOW)
    await blob.discard()


async def test_without_memory_bytes_are_written_at_once(slow):
    """A budget that refuses costs speed, not the append."""
    memory = Budget("memory", 100)
    memory.take(50)
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([b"x" * 50])
    assert memory.used == 100
    await blob.append([b"y"])
    assert memory.used == 50
    await blob.append([b"z" * 50])
    assert await read_all(blob) == b"x" * 50 + b"y" + b"z" * 50
    await blob.discard()
    assert memory.used == 50


async def test_small_chunks_do_not_pile_up(memory):
    """The inner storage gets few large chunks for many small ones."""
    chunks = []

    class Counting(SlowStorage):
        async def create(self, expected=None):
            blob = await super().create(expected)
            append = blob.append

            async def count(batch):
                chunks.extend(map(len, batch))
                await append(batch)

            blob.append = count
            return blob

    blob = await WriteBehindStorage(Counting(MemoryStorage("")), memory).create()
    for index in range(BATCH // 64):
        await blob.append([bytes([index % 256]) * 64])
    await blob.finish()
    assert sum(chunks) == BATCH
    assert len(chunks) == BATCH // (16 * KIB)
    assert await read_all(blob) == b"".join(bytes([i % 256]) * 64 for i in range(BATCH // 64))
    await blob.discard()


@pytest.mark.parametrize("call", ["append", "finish", "descriptor"])
async def test_a_failed_write_is_told_by_the_next_call(memory, call):
    """A blob stays failed; what it accepted is readable and paid for until discard."""
    full = FullStorage(MemoryStorage(""), BATCH)
    blob = await WriteBehindStorage(full, memory).create()
    await blob.append([b"a" * BATCH])
    await turns()
    await blob.append([b"b" * BATCH])
    await turns()
    full.room = 100 * WINDOW
    for _ in range(2):
        with pytest.raises(DiskFull):
            await (blob.append([b"c"]) if call == "append" else getattr(blob, call)())
    assert blob.size == 2 * BATCH
    assert memory.used == BATCH
    assert await read_all(blob) == b"a" * BATCH + b"b" * BATCH
    await blob.discard()


async def test_finish_tells_that_its_own_write_failed(memory):
    """What never reached the disk is no success."""
    blob = await WriteBehindStorage(FullStorage(MemoryStorage("")), memory).create()
    await blob.append([b"small"])
    with pytest.raises(DiskFull):
        await blob.finish()
    await blob.discard()


async def test_a_write_through_that_failed_may_be_tried_again(memory):
    """Nothing was accepted, so nothing is lost and the blob lives on."""
    full = FullStorage(MemoryStorage(""), WINDOW)
    blob = await WriteBehindStorage(full, memory).create()
    with pytest.raises(DiskFull):
        await blob.append([bytes(2 * WINDOW)])
    assert blob.size == 0
    full.room = 2 * WINDOW
    await blob.append([bytes(2 * WINDOW)])
    await blob.finish()
    assert await read_all(blob) == bytes(2 * WINDOW)
    await blob.discard()


async def test_a_write_that_is_cut_off_is_a_failure(slow, memory):
    """When a stopping loop cancels the task, nobody takes its bytes for written."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    before = asyncio.all_tasks()
    await blob.append([bytes(BATCH)])
    (flush,) = asyncio.all_tasks() - before
    flush.cancel()
    with pytest.raises(StorageFailed, match="cut off"):
        await blob.finish()
    assert await read_all(blob) == bytes(BATCH)
    await blob.discard()


async def test_discard_stops_a_write_that_hangs(slow, memory):
    """Window and task are gone after discard, also when the disk does not answer."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([bytes(BATCH)])
    await turns()
    assert slow.waiting == ["append"]
    await blob.discard()
    assert slow.waiting == []
    assert memory.used == 0


async def test_a_cancelled_discard_goes_on(slow, memory):
    """Who gives up waiting for the end leaks nothing."""
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([b"x" * 1000])
    slow.held.add("discard")
    discard = asyncio.create_task(blob.discard())
    await turns()
    discard.cancel()
    await asyncio.wait({discard})
    assert memory.used == 1000
    slow.release()
    await turns()
    assert memory.used == 0


async def test_a_cancelled_append_that_waited_for_room(slow, memory):
    """A writer that leaves while the window is full has added nothing."""
    slow.held.add("append")
    blob = await WriteBehindStorage(slow, memory).create()
    await blob.append([bytes(WINDOW)])
    append = asyncio.create_task(blob.append([b"x"]))
    await turns()
    append.cancel()
    await asyncio.wait({append})
    slow.release()
    await blob.append([b"y"])
    await blob.finish()
    assert await read_all(blob) == bytes(WINDOW) + b"y"
    await blob.discard()


async def test_the_descriptor_comes_after_the_window(tmp_path, memory):
    """The kernel sees everything that was appended, and its own bytes count."""
    storage = WriteBehindStorage(FileStorage(str(tmp_path)), memory)
    blob = await storage.create()
    await blob.append([b"window"])
    fd = await blob.descriptor()
    assert memory.used == 0
    assert os.pread(fd, 100, 0) == b"window"
    os.pwrite(fd, b" kernel", 6)
    blob.grow(7)
    await blob.append([b" window"])
    assert await read_all(blob) == b"window kernel window"
    await blob.discard()
    await storage.aclose()


async def test_no_descriptor_in_memory(memory):
    """An inner blob without a file has no descriptor."""
    blob = await WriteBehindStorage(MemoryStorage(""), memory).create()
    assert await blob.descriptor() == -1
    await blob.discard()


async def test_a_failing_create_is_passed_on(memory):
    """A blob that cannot be made costs nothing."""
    with pytest.raises(StorageFailed):
        await WriteBehindStorage(FailingStorage(MemoryStorage(""), "create"), memory).create()
