"""Blobs in memory."""

import os
import tracemalloc

import pytest

from filepipe.errors import ConfigError
from filepipe.testing import StorageSuite, read_all
from filepipe_backends.memory import FULL, WHOLE, MemoryStorage


@pytest.fixture
async def storage():
    storage = MemoryStorage("")
    yield storage
    await storage.aclose()


class TestMemory(StorageSuite):
    """The suite that every storage passes."""


async def test_a_large_chunk_is_kept_without_a_copy(storage):
    """What a reader gets is the very object that the writer gave."""
    blob = await storage.create()
    chunk = os.urandom(WHOLE)
    await blob.append([b"small", chunk, b"small"])
    assert await blob.read(5, WHOLE) is chunk
    assert await blob.read(5, 10 * WHOLE) is chunk
    await blob.discard()


async def test_a_small_finished_object_is_read_without_a_copy(storage):
    """All readers of a finished small object share one piece."""
    blob = await storage.create()
    await blob.append([b"x" * 1024])
    await blob.finish()
    assert await blob.read(0, 65536) is await blob.read(0, 65536)
    await blob.discard()


async def test_single_bytes_cost_little(storage):
    """A writer of single bytes takes about as much memory as it wrote."""
    blob = await storage.create()
    count = 200_000
    tracemalloc.start()
    try:
        for index in range(count):
            await blob.append([b"%c" % (index % 256)])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1.5 * count
    assert await read_all(blob) == bytes(index % 256 for index in range(count))
    await blob.discard()


async def test_small_chunks_are_read_in_full_pieces(storage):
    """Chunks of 1 KiB come back as pieces of 64 KiB, so that a late reader needs few reads."""
    blob = await storage.create()
    for _ in range(256):
        await blob.append([b"x" * 1024])
    assert len(await blob.read(0, 1024 * 1024)) == FULL
    await blob.discard()


async def test_discard_lets_go(storage):
    """A discarded blob holds no bytes."""
    blob = await storage.create()
    await blob.append([b"small", b"x" * WHOLE, b"small"])
    await blob.discard()
    assert blob.size == 0
    assert await blob.read(0, 10) == b""


def test_a_location_is_refused():
    """`memory:/somewhere` is a mistake, not a wish."""
    with pytest.raises(ConfigError, match="has no location"):
        MemoryStorage("/somewhere")
