"""Every byte is paid for, and given back."""

import asyncio
import os

import pytest

from filepipe.accountant import Budget
from filepipe.errors import DiskFull, OverBudget, StorageFailed
from filepipe.storage.accounted import AccountedStorage
from filepipe.testing import FailingStorage, FullStorage, SlowStorage, StorageSuite, read_all
from filepipe_backends.file import FileStorage
from filepipe_backends.memory import MemoryStorage


@pytest.fixture
def budget():
    return Budget("disk", 10_000)


@pytest.fixture
async def files(tmp_path):
    storage = FileStorage(str(tmp_path))
    yield storage
    await storage.aclose()


class TestAccounted(StorageSuite):
    """The suite over memory; nothing is taken after the last discard."""

    @pytest.fixture
    async def storage(self):
        budget = Budget("memory", None)
        storage = AccountedStorage(MemoryStorage(""), budget)
        yield storage
        assert budget.used == 0
        await storage.aclose()


class TestAccountedFile(StorageSuite):
    """The suite over files, with reservations."""

    @pytest.fixture
    async def storage(self, tmp_path):
        budget = Budget("disk", None)
        storage = AccountedStorage(FileStorage(str(tmp_path)), budget, reserve=True)
        yield storage
        assert budget.used == 0
        await storage.aclose()


async def test_bytes_are_taken_and_given_back(budget):
    """The budget follows the size, and is empty after discard."""
    storage = AccountedStorage(MemoryStorage(""), budget)
    blob = await storage.create(5000)
    assert budget.used == 0
    await blob.append([b"x" * 100, b"y" * 50])
    assert budget.used == 150
    await blob.finish()
    assert budget.used == 150
    await blob.discard()
    assert budget.used == 0


async def test_an_append_over_the_budget_changes_nothing(budget):
    """What does not fit is refused whole, before the inner blob hears of it."""
    storage = AccountedStorage(MemoryStorage(""), budget)
    blob = await storage.create()
    await blob.append([b"x" * 9000])
    with pytest.raises(OverBudget) as caught:
        await blob.append([b"y" * 500, b"z" * 501])
    assert caught.value.budget == "disk"
    assert (budget.used, blob.size) == (9000, 9000)
    await blob.append([b"y" * 1000])
    await blob.discard()
    assert budget.used == 0


async def test_a_reservation_is_drawn_on_first(budget):
    """With `reserve` the expected size is taken at once, and more only when it is used up."""
    storage = AccountedStorage(MemoryStorage(""), budget, reserve=True)
    blob = await storage.create(1000)
    assert budget.used == 1000
    await blob.append([b"x" * 900])
    assert budget.used == 1000
    await blob.append([b"x" * 300])
    assert budget.used == 1200
    await blob.discard()
    assert budget.used == 0


async def test_a_reservation_that_does_not_fit(budget):
    """A body that is announced too large is refused before a blob is made."""
    storage = AccountedStorage(FailingStorage(MemoryStorage(""), "create"), budget, reserve=True)
    with pytest.raises(OverBudget):
        await storage.create(10_001)
    assert budget.used == 0


async def test_a_failed_create_gives_the_reservation_back(budget):
    """An inner storage that cannot make a blob costs nothing."""
    storage = AccountedStorage(FailingStorage(MemoryStorage(""), "create"), budget, reserve=True)
    with pytest.raises(StorageFailed):
        await storage.create(1000)
    assert budget.used == 0


async def test_a_cancelled_create_gives_the_reservation_back(budget):
    """A caller that leaves while the blob is made costs nothing."""
    slow = SlowStorage(MemoryStorage(""))
    slow.held.add("create")
    create = asyncio.create_task(AccountedStorage(slow, budget, reserve=True).create(1000))
    await asyncio.sleep(0)
    assert budget.used == 1000
    create.cancel()
    await asyncio.wait({create})
    assert budget.used == 0


async def test_a_failed_append_gives_back_what_it_took(budget):
    """Only what it took: the reservation stays until discard."""
    full = FullStorage(MemoryStorage(""), 500)
    storage = AccountedStorage(full, budget, reserve=True)
    blob = await storage.create(300)
    await blob.append([b"x" * 400])
    assert budget.used == 400
    with pytest.raises(DiskFull):
        await blob.append([b"y" * 200])
    assert (budget.used, blob.size) == (400, 400)
    await blob.discard()
    assert budget.used == 0


async def test_a_cancelled_append_is_paid_for_until_the_next(budget):
    """Bytes that a thread may still be writing count; the next append draws on them."""
    slow = SlowStorage(MemoryStorage(""))
    storage = AccountedStorage(slow, budget)
    blob = await storage.create()
    slow.held.add("append")
    append = asyncio.create_task(blob.append([b"x" * 200]))
    await asyncio.sleep(0)
    append.cancel()
    await asyncio.wait({append})
    assert (budget.used, blob.size) == (200, 0)
    slow.release()
    await blob.append([b"y" * 150])
    assert (budget.used, blob.size) == (200, 150)
    await blob.discard()
    assert budget.used == 0


async def test_grow_draws_on_the_reservation_then_takes(files, budget):
    """What the kernel wrote is paid for like an append."""
    storage = AccountedStorage(files, budget, reserve=True)
    blob = await storage.create(1000)
    fd = await blob.descriptor()
    os.pwrite(fd, b"x" * 1500, 0)
    blob.grow(1000)
    assert (budget.used, blob.size) == (1000, 1000)
    blob.grow(500)
    assert (budget.used, blob.size) == (1500, 1500)
    assert await read_all(blob) == b"x" * 1500
    await blob.discard()
    assert budget.used == 0


async def test_grow_over_the_budget(files, budget):
    """Bytes that nobody pays for do not count."""
    blob = await AccountedStorage(files, budget).create()
    os.pwrite(await blob.descriptor(), b"x" * 10_001, 0)
    with pytest.raises(OverBudget):
        blob.grow(10_001)
    assert (budget.used, blob.size) == (0, 0)
    await blob.append([b"instead"])
    assert await read_all(blob) == b"instead"
    await blob.discard()


async def test_no_descriptor_in_memory(budget):
    """A blob without a file behind it says -1."""
    blob = await AccountedStorage(MemoryStorage(""), budget).create()
    assert await blob.descriptor() == -1
    await blob.discard()
