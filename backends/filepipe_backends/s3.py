"""Objects in a bucket of S3, or of a server that speaks it: parts are sent on while they come.

Nothing of a part is staged here. What is known of a draft is in a small file in the daemon's own
folder; its parts are an upload in parts at the server, and become an object in one step.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, quote, unquote

from filepipe.errors import ConfigError, FilepipeError, NotFound, StorageFailed
from filepipe.storage.interface import Traits
from filepipe_backends.s3_bucket import Bucket, Place
from filepipe_backends.s3_drafts import Draft, PartsDraft, new_mark, opened
from filepipe_backends.s3_growing import GrowingDraft
from filepipe_backends.s3_names import GONE, Names
from filepipe_backends.s3_notes import Note, Notes
from filepipe_backends.s3_objects import S3Object
from filepipe_backends.s3_room import Room

THREADS = 4
"""Enough for small files."""

TRAITS = Traits(
    live=False, smallest_part=5 * 1024 * 1024, largest_part=5 * 1024**3, local_disk=False
)


class S3Shelf:
    """Keeps objects in a bucket: `BUCKET/PREFIX?region=…&endpoint=…`, options as in `Place`."""

    def __init__(self, location: str, folder: Path) -> None:
        path, _, query = location.partition("?")
        bucket, _, prefix = map(unquote, path.partition("/"))
        options = {name: values[0] for name, values in parse_qs(query).items()}
        if not bucket:
            raise ConfigError("uploads in S3 need a bucket, as in s3:uploads")
        if ("account" in options) != ("secret" in options):
            raise ConfigError("an account at S3 needs both its name and its secret")
        self._links = options.get("downloads") == "redirect"
        try:
            notes = Notes(folder)
        except OSError as error:
            raise ConfigError(f"{folder} cannot be used: {error.strerror}") from error
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="filepipe-s3")
        place = Place(
            bucket,
            options.get("region", "us-east-1"),
            options.get("endpoint"),
            options.get("addressing", "auto"),
            options.get("checksums", "when_required"),
            options.get("account"),
            options.get("secret"),
        )
        self._room = Room(Bucket(place), Names(prefix), notes, self._pool)
        self._claiming = asyncio.Lock()

    @property
    def traits(self) -> Traits:
        """The server's limits; only wholes can be read."""
        return TRAITS

    async def begin(
        self, upload_id: str, size: int | None, name: PurePosixPath | None = None
    ) -> Draft:
        """Begin an upload, for the name itself where that is free."""
        room = self._room
        own = room.names.draft(upload_id)
        async with self._claiming:
            if await room.run(room.notes.read, upload_id) is not None:
                raise StorageFailed("the storage failed: there is such a draft already")
            claimed = await room.run(room.notes.claimed)
            free = None
            if name is not None and str(name) not in claimed and await self._is_free(str(name)):
                free = str(name)
            note = Note(own if free is None else room.names.key(free), size, free)
            note.mark = new_mark(upload_id)
            await room.run(room.notes.write, upload_id, note)
        draft = self._draft(upload_id, note, anew=True)
        try:
            if size:
                await draft.begin()
        except BaseException:
            await draft.discard()
            raise
        await room.tidy()
        return draft

    async def _is_free(self, path: str) -> bool:
        try:
            return await self._room.bucket.look(self._room.names.key(path)) is None
        except NotFound:  # it cannot be had; publishing says so
            return False

    def _draft(self, handle: str, note: Note, *, anew: bool) -> Draft:
        if note.size is None:
            return GrowingDraft(self._room, handle, note, anew=anew)
        return PartsDraft(self._room, handle, note)

    async def reopen(self, handle: str, size: int | None) -> Draft:
        """Find a draft again by its note."""
        room = self._room
        room.names.draft(handle)
        note = await room.run(room.notes.read, handle)
        if note is None or note.size != size:
            raise StorageFailed(GONE)
        return self._draft(handle, note, anew=False)

    async def drafts(self) -> list[str]:
        """The drafts that have a note."""
        return await self._room.run(self._room.notes.handles)

    async def drop(self, handle: str) -> None:
        """Remove what a draft left, there and here."""
        try:
            self._room.names.draft(handle)
        except StorageFailed:
            return
        note = await self._room.run(self._room.notes.read, handle)
        if note is not None:
            await self._room.drop(handle, note)

    async def open(self, path: str) -> S3Object:
        """Look for an object, to read it."""
        return await opened(self._room, path)

    async def remove(self, path: str) -> None:
        """Remove an object."""
        try:
            key = self._room.names.key(path)
        except NotFound:
            return
        await self._room.bucket.remove(key)

    async def address(self, path: str, filename: str) -> str | None:
        """A signed URL of the object, if readers are to be sent there."""
        if not self._links:
            return None
        disposition = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        return await self._room.bucket.link(self._room.names.key(path), disposition)

    async def check(self) -> str | None:
        """Ask the server for one name of the bucket."""
        try:
            await self._room.bucket.check()
        except FilepipeError as error:
            return str(error)
        return None

    async def aclose(self) -> None:
        """Close connections and threads."""
        await self._room.bucket.aclose()
        await asyncio.to_thread(self._pool.shutdown)
