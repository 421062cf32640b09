"""The files of finished uploads: each is read or removed only while it is that of its upload."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable

from filepipe.channels.channel import Channel, Metadata
from filepipe.channels.one_by_one import OneByOne
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_session import Whole, whole
from filepipe.channels.upload_steps import Run
from filepipe.errors import NotFound
from filepipe.records import uploads as records
from filepipe.records.uploads import Upload
from filepipe.storage.interface import Addressed, Kept

Forget = Callable[[sqlite3.Connection, str], object]
"""Makes a record go."""


class Files:
    """The names that uploads have got; nobody replaces what is in `turn`.

    `run` does one transaction, `free` one after which there is room on the disk.
    """

    def __init__(self, run: Run, free: Run, shelves: Shelves) -> None:
        self._run = run
        self._free = free
        self._shelves = shelves
        self._names = OneByOne()

    def turn(self, path: str) -> contextlib.AbstractAsyncContextManager[None]:
        """Nobody else replaces, opens or removes what is at `path`."""
        return self._names.turn(path)

    @contextlib.asynccontextmanager
    async def reading(self, upload: Upload, meta: Metadata) -> AsyncIterator[Channel]:
        """The content. Raises `NotFound` when it is not there any more, or another one."""
        kept = await self.open(upload)
        try:
            yield await whole(upload.id, Whole(kept), meta)
        finally:
            await kept.close()

    async def open(self, upload: Upload) -> Kept:
        """The file. Raises `NotFound` when it is not there any more, or another one."""
        async with self.turn(upload.final_path or ""):
            kept = await self._shelves.of(upload.storage).open(await self._path(upload))
        if kept.size != upload.total_size:
            await kept.close()
            raise NotFound("somebody has changed the file")
        return kept

    async def _path(self, upload: Upload) -> str:
        path = await self._run(lambda conn: records.final_path(conn, upload.id))
        if path is None:
            raise NotFound("a later upload of the same name has replaced this one")
        return path

    async def address(self, upload: Upload) -> str | None:
        """Where else it can be read, if its shelf has such a place. Raises `NotFound`."""
        shelf = self._shelves.of(upload.storage)
        if not isinstance(shelf, Addressed):
            return None
        return await shelf.address(await self._path(upload), upload.filename)

    async def remove(self, upload: Upload, forget: Forget = records.delete) -> None:
        """The file, unless it is that of another one by now, and then its record."""
        async with self.turn(upload.final_path or ""):
            path = await self._run(lambda conn: records.final_path(conn, upload.id))
            if path is not None:
                await self._shelves.of(upload.storage).remove(path)
            await self._free(lambda conn: forget(conn, upload.id))
