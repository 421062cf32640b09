"""What uploads need for as long as the daemon lives: records, a shelf, the engine, its chores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from filepipe.accountant import Budget
from filepipe.channels.upload_activity import UploadActivity
from filepipe.channels.upload_plan import UploadRules
from filepipe.channels.uploads import Uploads
from filepipe.errors import FilepipeError
from filepipe.logs import get_logger
from filepipe.records.database import Database
from filepipe.records.uploads import Upload
from filepipe.storage.plugins import open_shelf

log = get_logger("filepipe.uploads")

FIRST_SWEEP = 60.0
"""Seconds after the start at which abandoned uploads are looked for."""

SWEEP = 600.0
"""Seconds between two such looks."""


@dataclass(frozen=True, slots=True)
class UploadPlaces:
    """Where uploads are kept: the records' file, a shelf as `scheme:location`, its own folder."""

    database: Path
    shelf: str
    folder: Path


@contextlib.asynccontextmanager
async def open_uploads(
    places: UploadPlaces,
    disk: Budget,
    rules: UploadRules,
    on_end: Callable[[Upload], None],
    activity: UploadActivity,
) -> AsyncIterator[Uploads]:
    """The engine, with what a crash left set right; on leaving, everybody is ended.

    Raises `ConfigError` where the records or the shelf cannot be used.
    """
    database = await Database.open(places.database)
    try:
        shelf = await asyncio.to_thread(open_shelf, places.shelf, places.folder)
        uploads = Uploads(database, shelf, disk, rules, on_end, activity)
        try:
            await uploads.recover()
            sweeping = asyncio.create_task(_sweep(uploads))
            try:
                yield uploads
            finally:
                sweeping.cancel()
                await uploads.aclose()
        finally:
            await shelf.aclose()
    finally:
        await database.aclose()


async def _sweep(uploads: Uploads) -> None:
    """Remove abandoned uploads until cancelled."""
    await asyncio.sleep(FIRST_SWEEP)
    while True:
        try:
            if count := await uploads.expire():
                log.info("abandoned uploads removed", count=count)
        except FilepipeError as error:
            log.warning("abandoned uploads stay", reason=str(error))
        await asyncio.sleep(SWEEP)
