"""The engine of uploads by their offset over a shelf in memory and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath

from filepipe.accountant import Budget
from filepipe.channels.channel import Metadata, Reader
from filepipe.channels.directory import Directory
from filepipe.channels.offset_plan import Wish
from filepipe.channels.offset_uploads import OffsetUploads
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_files import Files
from filepipe.channels.upload_plan import UploadRules
from filepipe.keys import Key
from filepipe.records import uploads as records
from filepipe.records.database import Database
from filepipe.records.uploads import Upload
from tests.channels.memory_shelf import MemoryShelf

RULES = UploadRules(ttl=100.0, complete_wait=5.0, max_size=1000, max_open=9, finishing_at_once=1)


class World:
    """One daemon's uploads; what `database` and `shelf` hold outlives it."""

    def __init__(self, database: Database, shelf: MemoryShelf, rules: UploadRules = RULES) -> None:
        self.shelf = shelf
        self.disk = Budget("disk", 2000)
        self.activity = UploadActivity()
        self.directory = Directory(20)
        self.database = database
        shelves = Shelves({"memory": shelf}, "memory")
        files = Files(database.run, database.free, shelves)
        self.uploads = OffsetUploads(
            database, shelves, files, self.directory, self.disk, rules, self.activity
        )

    @classmethod
    async def open(cls, path: Path, shelf: MemoryShelf, rules: UploadRules = RULES) -> World:
        """A start of the daemon."""
        world = cls(await Database.open(path), shelf, rules)
        world.activity.open = len(await world.database.run(records.handles))
        await world.uploads.chores.recover()
        return world

    async def aclose(self) -> None:
        """A clean stop."""
        await self.uploads.aclose()
        await self.directory.aclose()
        await self.database.aclose()
        assert self.shelf.open_drafts == []

    async def begin(
        self,
        length: int | None = None,
        *,
        key: str | None = None,
        front: str = "tus",
        path: str | None = None,
        notes: dict[str, str] | None = None,
    ) -> Upload:
        """Begin one."""
        return await self.uploads.begin(
            Wish(
                principal="me",
                front=front,
                key=None if key is None else Key(key),
                path=None if path is None else PurePosixPath(path),
                unique=True,
                length=length,
                meta=Metadata(content_type="text/plain"),
                notes=notes or {},
                storage="memory",
            )
        )

    async def append(self, upload: Upload, offset: int, *pieces: bytes) -> Upload:
        """Append and leave."""
        async with self.uploads.appending(upload.id, offset) as appending:
            for piece in pieces:
                await appending.writer.write((piece,))
        return await self.uploads.find(upload.id)

    async def content(self, upload: Upload) -> bytes:
        """What can be read of a finished one."""
        async with self.uploads.reading(upload) as channel:
            with Reader(channel) as reader:
                return b"".join([piece async for piece in read_all(reader)])


async def read_all(reader: Reader) -> AsyncIterator[bytes]:
    """Everything to the end."""
    while piece := await reader.read():
        yield piece


async def follow(world: World, key: str) -> bytes:
    """What a reader gets at a key."""
    channel = world.directory.find(Key(key))
    assert channel is not None
    with Reader(channel) as reader:
        return b"".join([piece async for piece in read_all(reader)])
