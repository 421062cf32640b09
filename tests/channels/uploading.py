"""The engine of uploads over a shelf in memory and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from filepipe.accountant import Budget
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_plan import UploadRules, Wanted
from filepipe.channels.uploads import Uploads
from filepipe.chunks import plan
from filepipe.records.database import Database
from filepipe.records.uploads import Part, Upload
from tests.channels.memory_shelf import MemoryShelf

PART = 10
RULES = UploadRules(ttl=100.0, complete_wait=5.0, max_size=1000, max_open=3, finishing_at_once=1)


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    """A body in two pieces."""
    yield body[: len(body) // 2]
    yield body[len(body) // 2 :]


class World:
    """One daemon's uploads; what `database` and `shelf` hold outlives it."""

    def __init__(self, database: Database, shelf: MemoryShelf, rules: UploadRules = RULES) -> None:
        self.shelf = shelf
        self.disk = Budget("disk", 2000)
        self.activity = UploadActivity()
        self.ended: list[Upload] = []
        self.database = database
        shelves = Shelves({"memory": shelf}, "memory")
        self.uploads = Uploads(
            database, shelves, self.disk, rules, self.ended.append, self.activity
        )

    @classmethod
    async def open(cls, path: Path, shelf: MemoryShelf, rules: UploadRules = RULES) -> World:
        """A start of the daemon."""
        world = cls(await Database.open(path), shelf, rules)
        await world.uploads.recover()
        await world.uploads.tidy()
        return world

    async def aclose(self) -> None:
        """A clean stop."""
        await self.uploads.aclose()
        await self.database.aclose()
        assert self.shelf.open_drafts == []

    async def begin(
        self, body: bytes, name: str = "name", checksum: str | None = None, *, unique: bool = True
    ) -> Upload:
        """Begin an upload for these bytes."""
        wanted = Wanted(
            PurePosixPath(name),
            plan(len(body), PART, balanced=True),
            "memory",
            unique,
            checksum,
            None,
        )
        return await self.uploads.begin("me", wanted)

    async def put(self, upload: Upload, number: int, data: bytes) -> tuple[Part, int]:
        """Send a part."""
        upload = await self.uploads.find(upload.id)
        return await self.uploads.put_part(upload, number, pieces(data))

    async def put_all(self, upload: Upload, body: bytes) -> None:
        """Send every part."""
        for number in range(upload.total_parts):
            await self.put(upload, number, part_of(upload, body, number))


def part_of(upload: Upload, body: bytes, number: int) -> bytes:
    """The bytes of one part."""
    return body[number * upload.chunk_size : (number + 1) * upload.chunk_size]
