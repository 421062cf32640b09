"""Shelves by name."""

from __future__ import annotations

import dataclasses

import pytest

from filepipe.channels.shelves import Shelves
from filepipe.errors import StorageFailed, Unavailable
from filepipe.storage.interface import Traits
from tests.channels.memory_shelf import MemoryShelf


def test_one_that_is_not_open() -> None:
    """It is named to whoever asks for it."""
    shelf = MemoryShelf()
    shelves = Shelves({"memory": shelf}, "memory")
    assert shelves.of(shelves.default) is shelf
    with pytest.raises(Unavailable, match="the storage disk is not set up here"):
        shelves.of("disk")


async def test_tidying(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not kept goes; a shelf that cannot be reached hinders no other."""
    shelf, ill, stiff = MemoryShelf(), MemoryShelf(), MemoryShelf()
    for upload_id in ("a", "b", "c"):
        await (await shelf.begin(upload_id, 1)).close()
    await (await stiff.begin("d", 1)).close()

    async def fail(*handle: str) -> list[str]:
        raise StorageFailed("away")

    monkeypatch.setattr(ill, "drafts", fail)
    monkeypatch.setattr(stiff, "drop", fail)
    shelves = Shelves({"ill": ill, "stiff": stiff, "memory": shelf}, "memory")
    orphans = await shelves.orphans({"b"})
    assert orphans == [("stiff", "d"), ("memory", "a"), ("memory", "c")]
    await shelves.drop(orphans)
    assert await shelf.drafts() == ["b"]


class Remote(MemoryShelf):
    """One whose bytes are elsewhere."""

    @property
    def traits(self) -> Traits:
        """As far away."""
        return dataclasses.replace(super().traits, local_disk=False)


def test_what_takes_room_here() -> None:
    """Only what is on the local disk, and nothing of a shelf that is not open."""
    shelves = Shelves({"memory": MemoryShelf(), "remote": Remote()}, "memory")
    names = ("memory", "remote", "disk")
    assert [shelves.on_local_disk(name) for name in names] == [True, False, False]
