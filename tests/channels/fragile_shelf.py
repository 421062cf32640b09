"""A shelf in memory that forgets in a crash what was not durable, and whose steps fail once."""

from __future__ import annotations

from pathlib import PurePosixPath

from filepipe.errors import FilepipeError, StorageFailed
from tests.channels.memory_shelf import MemoryDraft, MemoryShelf


class FragileDraft(MemoryDraft):
    """What was not synced is lost in a crash, and after a sync that failed nothing goes."""

    failed = False

    async def sync(self) -> None:
        """As it has to be, or the fault."""
        before = bytes(self._bytes)
        await self.step("sync")
        self.shelf.durable[self.handle] = before

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """As it has to be, or the fault."""
        await self.step("publish")
        return await super().publish(name, unique=unique, size=size)

    async def step(self, name: str) -> None:
        """Fail where it is to, and from then on."""
        fault = self.shelf.once.pop(name, None)
        if self.failed or fault is not None:
            self.failed = True
            raise fault or StorageFailed("failed before")

    @property
    def shelf(self) -> FragileShelf:
        """Where it is."""
        assert isinstance(self._shelf, FragileShelf)
        return self._shelf

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """As it has to be, or there is no room, once."""
        if (fault := self.shelf.once.pop("write", None)) is not None:
            raise fault
        assert offset >= len(self.shelf.durable[self.handle]) or self.shelf.restarted
        await super().write(offset, data)


class FragileShelf(MemoryShelf):
    """`durable` is what a crash leaves; `once` are faults that happen one time."""

    def __init__(self) -> None:
        super().__init__()
        self.durable: dict[str, bytes] = {}
        self.once: dict[str, FilepipeError] = {}
        self.restarted = False

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> FragileDraft:
        """As it has to be."""
        assert size is None
        self.unnamed[upload_id] = bytearray()
        self.durable[upload_id] = b""
        return FragileDraft(self, upload_id, None)

    async def reopen(self, handle: str, size: int | None) -> FragileDraft:
        """As it has to be."""
        assert size is None
        assert handle not in self.open_drafts
        if handle not in self.unnamed and handle not in self.published:
            raise StorageFailed("the draft is gone")
        self.restarted = True  # what was durable and not recorded is written again
        return FragileDraft(self, handle, None)

    def crash(self) -> None:
        """Lose what was not durable, but for some of it."""
        self.open_drafts.clear()
        for handle, body in self.unnamed.items():
            kept = self.durable[handle]
            self.unnamed[handle] = bytearray(kept + bytes(255 - b for b in body[len(kept) :]))
