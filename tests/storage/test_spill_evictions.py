"""Who gives way when memory runs out."""

import asyncio

import pytest

from filepipe.accountant import Budget
from filepipe.errors import DiskFull
from filepipe.storage.accounted import AccountedStorage
from filepipe.storage.spill import SpillStorage
from filepipe.testing import FailingStorage, FullStorage, SlowStorage, read_all, turns, write
from filepipe_backends.memory import MemoryStorage

THRESHOLD = 1000


async def discard(*blobs):
    for blob in blobs:
        await blob.discard()


async def test_the_largest_finished_blob_gives_way_first(spill, budget):
    """Whoever is done with writing goes before a larger one that still grows."""
    growing = await write(spill, 950)
    small = await write(spill, 300, finish=True)
    large = await write(spill, 900, finish=True)
    await discard(await write(spill, 100, finish=True))
    contents = [await read_all(blob) for blob in (growing, small, large)]
    asker = await write(spill, 900)
    assert [blob.spilled for blob in (growing, small, large, asker)] == [False, False, True, False]
    assert contents == [await read_all(blob) for blob in (growing, small, large)]
    assert budget.used == 950 + 300 + 900
    await discard(growing, small, large, asker)


async def test_else_the_largest_that_is_larger_than_the_asker(spill):
    """Where nobody is finished, the largest writer goes, and its writer writes on."""
    small = await write(spill, 800)
    middle = await write(spill, 900)
    large = await write(spill, 1000)
    asker = await write(spill, 300)
    await asker.append([b"x" * 200])
    assert [blob.spilled for blob in (small, middle, large, asker)] == [False, False, True, False]
    await large.append([b"more"])
    assert (await read_all(large)).endswith(b"more")
    await discard(small, middle, large, asker)


async def test_else_the_asker_goes_itself(spill, budget):
    """The largest of all is the one to move, also when it is the asker."""
    others = [await write(spill, 800) for _ in range(3)]
    asker = await write(spill, 590)
    await asker.append([b"x" * 300])
    assert asker.spilled
    assert not any(blob.spilled for blob in others)
    assert budget.used == 3 * 800
    await discard(*others, asker)


async def test_a_finished_blob_too_small_to_help_stays(spill):
    """Nobody is moved in vain."""
    done = await write(spill, 50, finish=True)
    others = [await write(spill, 980) for _ in range(3)]
    asker = await write(spill, 990)
    assert asker.spilled
    assert not any(blob.spilled for blob in (done, *others))
    await discard(done, *others, asker)


async def test_a_discarded_blob_is_nobody_to_evict(spill):
    """Who asks for room after a discard finds it among the living."""
    gone = await write(spill, 1000, finish=True)
    done = await write(spill, 900, finish=True)
    await gone.discard()
    others = [await write(spill, 990) for _ in range(2)]
    asker = await write(spill, 300)
    assert [blob.spilled for blob in (done, *others, asker)] == [True, False, False, False]
    await discard(done, *others, asker)


async def test_a_failing_eviction_is_not_the_askers_failure(hot):
    """When another cannot move, the asker moves; only its own failure is raised."""
    full = FullStorage(MemoryStorage(""), 600)
    spill = SpillStorage(hot, full, THRESHOLD)
    others = [await write(spill, 990, finish=True) for _ in range(3)]
    asker = await write(spill, 10)
    await asker.append([b"x" * 500])
    assert asker.spilled
    assert not any(blob.spilled for blob in others)
    late = await spill.create()
    with pytest.raises(DiskFull):
        await late.append([b"x" * 500])
    assert late.size == 0
    full.room = 10_000
    more = [await write(spill, 900) for _ in range(3)]
    assert all(blob.spilled for blob in others)  # a refusal of the disk was not the last word
    assert not any(blob.spilled for blob in more)
    await discard(*others, asker, late, *more)


async def test_appends_wait_while_their_blob_is_evicted(spill, cold):
    """A writer whose blob moves for another's sake loses nothing and doubles nothing."""
    victim = await write(spill, 990)
    others = [await write(spill, 960) for _ in range(2)]
    model = await read_all(victim)
    cold.held.add("append")
    asking = asyncio.create_task(write(spill, 500))
    await turns()
    assert cold.waiting == ["append"]
    append = asyncio.create_task(victim.append([b"later"]))
    await turns()
    assert not append.done()
    assert await read_all(victim) == model
    cold.release()
    await append
    assert await read_all(victim) == model + b"later"
    await discard(victim, *others, await asking)


@pytest.mark.parametrize("call", ["finish", "descriptor"])
async def test_other_calls_of_the_writer_wait_too(spill, cold, call):
    """`finish` and `descriptor` see the blob where the eviction leaves it."""
    victim = await write(spill, 990)
    others = [await write(spill, 960) for _ in range(2)]
    cold.held.add("append")
    asking = asyncio.create_task(write(spill, 500))
    await turns()
    waiting = asyncio.create_task(getattr(victim, call)())
    await turns()
    assert not waiting.done()
    cold.release()
    assert await waiting in (None, -1)
    assert victim.spilled
    await discard(victim, *others, await asking)


async def test_a_blob_in_the_middle_of_an_append_is_not_evicted(cold):
    """Its bytes would be missed by the copy; somebody else goes."""
    slow = SlowStorage(MemoryStorage(""))
    budget = Budget("memory", 3 * THRESHOLD)
    spill = SpillStorage(AccountedStorage(slow, budget), cold, THRESHOLD)
    busy = await write(spill, 990)
    other = await write(spill, 900)
    slow.held.add("append")
    append = asyncio.create_task(busy.append([b"x" * 10]))
    await turns()
    slow.held.clear()
    asker = await write(spill, 700)
    last = await write(spill, 500)
    assert [blob.spilled for blob in (busy, other, asker, last)] == [False, True, False, False]
    slow.release()
    await append
    assert (await read_all(busy)).endswith(b"x" * 10)
    await discard(busy, other, asker, last)
    assert budget.used == 0


async def test_many_askers_evict_no_more_than_needed(spill, cold):
    """Whoever waited for another's eviction looks for room before asking for one more."""
    done = [await write(spill, 1000, finish=True) for _ in range(3)]
    askers = await asyncio.gather(*(write(spill, 100) for _ in range(10)))
    assert sum(blob.spilled for blob in done) == 1
    assert not any(blob.spilled for blob in askers)
    await discard(*done, *askers)


async def test_discard_during_an_eviction(spill, cold, budget):
    """A blob that is let go while it moves leaves nothing on either side."""
    victim = await write(spill, 990, finish=True)
    others = [await write(spill, 960) for _ in range(2)]
    cold.held.add("append")
    asking = asyncio.create_task(write(spill, 500))
    await turns()
    discarding = asyncio.create_task(victim.discard())
    await turns()
    assert not discarding.done()
    cold.release()
    await discarding
    await discard(*others, await asking)


async def test_a_blob_that_moves_already_is_not_asked_again(spill, cold):
    """When an asker left in the middle of an eviction, the next one asks somebody else."""
    moving = await write(spill, 990, finish=True)
    next_one = await write(spill, 960, finish=True)
    other = await write(spill, 950)
    asker = await spill.create()
    cold.held.add("append")
    append = asyncio.create_task(asker.append([b"x" * 500]))
    await turns()
    append.cancel()
    await asyncio.wait({append})
    append = asyncio.create_task(asker.append([b"x" * 500]))
    await turns()
    assert cold.waiting == ["append", "append"]
    cold.release()
    await append
    blobs = moving, next_one, other, asker
    assert [blob.spilled for blob in blobs] == [True, True, False, False]
    await discard(*blobs)


async def test_an_asker_that_leaves_during_an_eviction(spill, cold):
    """The lock is free again, and the victim moves all the same."""
    victim = await write(spill, 990, finish=True)
    others = [await write(spill, 960) for _ in range(2)]
    asker = await spill.create()
    cold.held.add("append")
    append = asyncio.create_task(asker.append([b"x" * 500]))
    await turns()
    append.cancel()
    await asyncio.wait({append})
    assert asker.size == 0
    cold.release()
    await turns()
    assert victim.spilled
    await asker.append([b"y" * 500])
    assert not asker.spilled
    await discard(victim, *others, asker)


async def test_a_finished_blob_is_finished_on_the_disk(hot):
    """A blob that was promised whole is moved only when the cold storage holds it whole."""
    broken = FailingStorage(MemoryStorage(""), "finish")
    spill = SpillStorage(hot, broken, THRESHOLD)
    done = await write(spill, 990, finish=True)
    others = [await write(spill, 960) for _ in range(2)]
    asker = await write(spill, 500)
    assert not done.spilled
    assert asker.spilled
    await discard(done, *others, asker)
