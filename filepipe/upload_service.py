"""What uploads need for as long as the daemon lives: records, a shelf, the engine, its chores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from filepipe.accountant import Budget
from filepipe.channels.directory import Directory
from filepipe.channels.offset_uploads import OffsetUploads
from filepipe.channels.shelves import Shelves
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_plan import UploadRules
from filepipe.channels.uploads import Uploads
from filepipe.errors import ConfigError, FilepipeError
from filepipe.logs import get_logger
from filepipe.records import uploads as records
from filepipe.records.database import Database
from filepipe.records.uploads import Upload
from filepipe.storage.interface import Shelf
from filepipe.storage.plugins import open_shelf

log = get_logger("filepipe.uploads")

FIRST_SWEEP = 60.0
"""Seconds after the start at which abandoned uploads are looked for."""

SWEEP = 600.0
"""Seconds between two such looks."""

RESTING = 60.0
"""Seconds after which what nobody uses holds no descriptor any more; twice that at most."""


@dataclass(frozen=True, slots=True)
class ShelfPlace:
    """A shelf as `scheme:location`, which may hold a secret, and a folder of its own."""

    url: str
    folder: Path


@dataclass(frozen=True, slots=True)
class UploadPlaces:
    """Where uploads are kept: the records' file, and the shelves by name.

    Those of `needed` are opened, and where records name others, these too.
    """

    database: Path
    shelves: Mapping[str, ShelfPlace]
    default: str
    needed: Collection[str]


@dataclass(frozen=True, slots=True)
class UploadEngines:
    """The uploads whose parts come in any order, and those that grow by their offset."""

    parts: Uploads
    offsets: OffsetUploads

    async def recover(self) -> None:
        """Set right what a crash has left."""
        await self.parts.recover()
        await self.offsets.chores.recover()

    async def expire(self) -> int:
        """Remove what nobody goes on with; how many uploads that were."""
        return await self.parts.expire() + await self.offsets.chores.expire()

    async def aclose(self) -> None:
        """End everybody."""
        await self.offsets.aclose()
        await self.parts.aclose()


@contextlib.asynccontextmanager
async def open_uploads(
    places: UploadPlaces,
    disk: Budget,
    rules: UploadRules,
    on_end: Callable[[Upload], None],
    activity: UploadActivity,
    directory: Directory,
) -> AsyncIterator[UploadEngines]:
    """The engines, with what a crash left set right; on leaving, everybody is ended.

    Raises `ConfigError` where the records or a needed shelf cannot be used.
    """
    async with contextlib.AsyncExitStack() as life:
        database = await Database.open(places.database)
        life.push_async_callback(database.aclose)
        shelves = await _shelves(places, database, life)
        parts = Uploads(database, shelves, disk, rules, on_end, activity)
        offsets = OffsetUploads(database, shelves, parts.files, directory, disk, rules, activity)
        uploads = UploadEngines(parts, offsets)
        await uploads.recover()
        life.push_async_callback(uploads.aclose)
        for chore in (parts.tidy(), _sweep(uploads), _rest(parts)):
            life.callback(asyncio.create_task(chore).cancel)
        yield uploads


async def _shelves(
    places: UploadPlaces, database: Database, life: contextlib.AsyncExitStack
) -> Shelves:
    """Open the shelves, each to be closed at the end of `life`."""
    known = await database.run(records.storages)
    opened: dict[str, Shelf] = {}
    for name, place in places.shelves.items():
        if name not in places.needed and name not in known:
            continue
        try:
            shelf = await asyncio.to_thread(open_shelf, place.url, place.folder)
        except ConfigError as error:
            if name in places.needed:
                raise
            log.warning("uploads cannot be reached", storage=name, reason=str(error))
        else:
            opened[name] = shelf
            life.push_async_callback(shelf.aclose)
    return Shelves(opened, places.default)


async def _sweep(uploads: UploadEngines) -> None:
    """Remove abandoned uploads until cancelled."""
    await asyncio.sleep(FIRST_SWEEP)
    while True:
        try:
            if count := await uploads.expire():
                log.info("abandoned uploads removed", count=count)
        except FilepipeError as error:
            log.warning("abandoned uploads stay", reason=str(error))
        await asyncio.sleep(SWEEP)


async def _rest(parts: Uploads) -> None:
    """Close what nobody uses until cancelled; it is opened again when somebody comes."""
    while True:
        await asyncio.sleep(RESTING)
        await parts.rest(RESTING)
