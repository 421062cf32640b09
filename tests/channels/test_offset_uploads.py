"""The engine of uploads by their offset: what it promises, one by one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.channels.memory_shelf import MemoryShelf
from tests.channels.offsetting import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A daemon, stopped at the end."""
    opened = await World.open(tmp_path / "uploads.db", MemoryShelf())
    yield opened
    await opened.aclose()


async def test_it_grows_and_ends(world: World) -> None:
    """Piece by piece; with the last byte it is complete by itself."""
    upload = await world.begin(10, path="a/b")
    assert (await world.append(upload, 0, b"0123")).offset == 4
    await world.append(upload, 4, b"456", b"789")
    done = await world.uploads.complete(upload.id)
    assert (done.status, done.offset, done.final_path) == ("complete", 10, "a/b")
    assert world.shelf.named == {"a/b": b"0123456789"}
    assert await world.content(upload) == b"0123456789"
    assert (world.disk.used, world.activity.open, world.activity.busy) == (0, 0, 0)
