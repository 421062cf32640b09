"""What the drafts of a bucket share, and how what is left of one is removed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from filepipe.errors import FilepipeError
from filepipe.storage.system_calls import translated
from filepipe_backends.s3_bucket import Bucket
from filepipe_backends.s3_names import Names
from filepipe_backends.s3_notes import Note, Notes

P = ParamSpec("P")
T = TypeVar("T")


class Room:
    """What drafts share: the bucket, its names, the notes, and threads for the notes."""

    def __init__(
        self, bucket: Bucket, names: Names, notes: Notes, pool: ThreadPoolExecutor
    ) -> None:
        self.bucket = bucket
        self.names = names
        self.notes = notes
        self._pool = pool
        self.leftovers = False
        """Whether there may be drafts that were given up, and could not be removed."""

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what may block on a thread; its OSError comes back translated."""
        call = asyncio.wrap_future(self._pool.submit(function, *args, **kwargs))
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            # what comes next must not find it half done; it is a matter of a moment
            await asyncio.wait({call})
            raise
        try:
            return call.result()
        except OSError as error:
            raise translated(error) from error

    async def has(self, key: str, mark: str, size: int) -> bool:
        """Whether the object is there that bears this mark."""
        found = await self.bucket.look(key)
        return found is not None and found.owner == mark and found.size == size

    async def drop(self, handle: str, note: Note) -> None:
        """Remove what there is of a draft; an object that has its name stays."""
        own = self.names.draft(handle)
        if note.name is None:
            for upload in await self.bucket.begun(own):
                await self.bucket.abort(own, upload)
            await self.bucket.remove(own)
        elif note.path is None:
            uploads = [note.upload] if note.upload else await self.bucket.begun(note.key)
            others = await self.run(self.notes.all)
            del others[handle]
            for upload in {*uploads} - {other.upload for other in others.values()}:
                await self.bucket.abort(note.key, upload)
        if note.copying is not None:
            await self.bucket.abort(*note.copying)
        await self.run(self.notes.drop, handle)

    async def tidy(self) -> None:
        """Remove what could not be removed before, as far as that can be done now."""
        if not self.leftovers:
            return
        self.leftovers = False
        for handle, note in (await self.run(self.notes.all)).items():
            if note.given_up:
                try:
                    await self.drop(handle, note)
                except FilepipeError:
                    self.leftovers = True
                    return
