"""Drafts in a bucket: an upload in parts, which becomes an object in one step.

A draft that knows its name from the beginning, which is free, makes that object itself, at once.
Any other makes an object in the folder of drafts first, which can be read and verified; the server
copies it to the name that it gets.

Rule 1: every upload has a mark of its own, which its objects bear. An answer that was lost is
        found out by looking: an object with our mark and of the right size is ours.
Rule 2: what is noted here is noted before it is done at the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import PurePosixPath

from filepipe.errors import Conflict, FilepipeError, NotFound, StorageFailed
from filepipe_backends.s3_bucket import Taken
from filepipe_backends.s3_copies import copy
from filepipe_backends.s3_names import GONE
from filepipe_backends.s3_notes import Note
from filepipe_backends.s3_objects import S3Object
from filepipe_backends.s3_room import Room

OTHER = "the storage failed: it does not have what was stored"


def new_mark(handle: str) -> str:
    """What the objects of one upload bear, and no other."""
    return f"{handle}.{secrets.token_hex(8)}"


class Draft:
    """What all drafts have; `bring` sees to it that their bytes are parts at the server."""

    def __init__(self, room: Room, handle: str, note: Note) -> None:
        self.handle = handle
        self.room = room
        self.note = note
        self.turn = asyncio.Lock()
        self._object: S3Object | None = None

    async def bring(self, size: int) -> list[int]:
        """The sizes of the parts of which the first `size` bytes are made, which are stored."""
        raise NotImplementedError

    @property
    def length(self) -> int:
        """How long the whole is."""
        raise NotImplementedError

    async def keep(self) -> None:
        """Note what is known."""
        await self.room.run(self.room.notes.write, self.handle, self.note)

    async def begin(self) -> str:
        """The upload that takes the parts, begun if there is none."""
        note = self.note
        if note.upload is None:
            note.mark = new_mark(self.handle)
            await self.keep()
            note.upload = await self.room.bucket.begin(note.key, note.mark)
            await self.room.run(self.room.notes.begin_parts, self.handle)
            await self.keep()
        return note.upload

    async def put(self, upload: str, number: int, size: int, body: AsyncIterator[bytes]) -> None:
        """Store a part and note it; `number` counts from 1."""
        part = await self.room.bucket.put_part(self.note.key, upload, number, size, body)
        await self.room.run(self.room.notes.add_part, self.handle, part)

    # -- reading

    async def read(self, offset: int, limit: int) -> bytes:
        """Read from the whole, which is made for that, if it has no name that would be seen."""
        if offset >= self.length:
            return b""
        if self._object is None:
            async with self.turn:
                self._object = await self._whole()
        return await self._object.read(offset, min(limit, self.length - offset))

    async def _whole(self) -> S3Object:
        note = self.note
        if note.path is not None:
            key = self.room.names.key(note.path)
        elif note.name is not None:
            raise StorageFailed("the storage failed: a draft with a name cannot be read yet")
        else:
            await self._seal(self.length)
            key = note.key
        stored = await self.room.bucket.look(key)
        if stored is None:
            raise StorageFailed(GONE)
        return S3Object(self.room.bucket, key, stored)

    # -- becoming an object

    async def publish(self, name: PurePosixPath, *, unique: bool, size: int) -> str:
        """Give the draft its name; the path that it got."""
        async with self.turn:
            note = self.note
            if note.path is None:
                if note.name is not None and str(name) == note.name:
                    path = note.name
                    await self._at_once(size, unique=unique)
                else:
                    path = await self._placed(name, size, unique=unique)
                note.path = path
                await self.keep()
            return note.path or ""

    async def _at_once(self, size: int, *, unique: bool) -> None:
        note, bucket = self.note, self.room.bucket
        sizes = await self.bring(size)
        try:
            if sizes:
                await self._complete(sizes, free=unique)
                return
            await self._proven(
                lambda: bucket.put_empty(note.key, note.mark, free=unique), note.key, 0
            )
        except Taken:
            raise Conflict("another object has taken the name meanwhile") from None

    async def _placed(self, name: PurePosixPath, size: int, *, unique: bool) -> str:
        """Copy the whole to the first name that is free; an earlier try may have done so."""
        note, room = self.note, self.room
        paths = room.names.candidates(name, self.handle, unique=unique)
        first = next(paths)
        if note.name is not None:
            raise Conflict("the draft was begun for another name")
        await self._seal(size)
        if note.target is not None and await self._is_at(note.target, size):
            return note.target
        claimed = await room.run(room.notes.claimed) if unique else set()
        for path in (first, *paths):
            if path in claimed:
                continue
            if unique and await room.bucket.look(room.names.key(path)) is not None:
                continue
            if await self._put(path, size, free=unique):
                return path
        raise Conflict("every name like this one is taken")

    async def _is_at(self, path: str, size: int) -> bool:
        return await self.room.has(self.room.names.key(path), self.note.mark, size)

    async def _put(self, path: str, size: int, *, free: bool) -> bool:
        """Copy the whole there; False where somebody was faster."""
        self.note.target = path
        await self.keep()

        async def put() -> None:
            key = self.room.names.key(path)
            if size:
                await copy(self, key, size, free=free)
            else:
                await self.room.bucket.put_empty(key, self.note.mark, free=free)

        try:
            await self._proven(put, self.room.names.key(path), size)
        except Taken:
            return False
        return True

    async def _seal(self, size: int) -> None:
        """Make the whole, under the key of the draft."""
        note = self.note
        if sum(note.sealed) != size:
            sizes = await self.bring(size)
            await self._complete(sizes, free=False)
            note.sealed = sizes
        await self.keep()

    async def unseal(self, without: int | None = None) -> None:
        """Take the whole apart again, as its parts may change; part `without` does change."""
        note, bucket = self.note, self.room.bucket
        sizes, note.upload, note.target = note.sealed, None, None
        await self.close()
        upload = await self.begin()
        start = 0
        for number, size in enumerate(sizes, 1):
            if number != without:
                span = (start, start + size)
                part = await bucket.copy_part(note.key, span, note.key, upload, number)
                await self.room.run(self.room.notes.add_part, self.handle, part)
            start += size
        note.sealed = []
        await self.keep()

    async def _complete(self, sizes: list[int], *, free: bool) -> None:
        note, bucket = self.note, self.room.bucket
        upload = await self.begin()
        # our own list: a server may list the older of two parts of one number
        parts = await self.room.run(self.room.notes.parts, self.handle)
        wanted = [parts[number] for number in range(1, len(sizes) + 1) if number in parts]
        if [part.size for part in wanted] != sizes:
            raise StorageFailed(OTHER)
        await self._proven(
            lambda: bucket.complete(note.key, upload, wanted, free=free), note.key, sum(sizes)
        )

    async def _proven(self, work: Callable[[], Awaitable[None]], key: str, size: int) -> None:
        """Do it, and see that it is done, whatever the server says."""
        try:
            await work()
        except (FilepipeError, Taken):
            if not await self.room.has(key, self.note.mark, size):
                raise
        else:
            if not await self.room.has(key, self.note.mark, size):
                raise StorageFailed(OTHER)

    # -- the end

    async def discard(self) -> None:
        """Remove what has no name; what cannot be removed now is when the next one begins."""
        await self.close()
        try:
            await self.room.drop(self.handle, self.note)
        except FilepipeError:
            self.note.given_up = self.room.leftovers = True
            with contextlib.suppress(FilepipeError):
                await self.keep()

    async def close(self) -> None:
        """Let go of what is being read."""
        if self._object is not None:
            await self._object.close()
            self._object = None


class PartsDraft(Draft):
    """A draft whose parts are streams, stored one by one."""

    def __init__(self, room: Room, handle: str, note: Note) -> None:
        super().__init__(room, handle, note)
        self._sizes: dict[int, int] = {}

    @property
    def length(self) -> int:
        """As it was announced."""
        return self.note.size or 0

    async def store(self, number: int, size: int, body: AsyncIterator[bytes]) -> None:
        """Send a part on while it comes."""
        note = self.note
        if note.path is not None:
            raise StorageFailed("the storage failed: the draft has its name already")
        async with self.turn:
            if note.sealed:
                await self.unseal(number + 1)
            upload = await self.begin()
        await self.put(upload, number + 1, size, body)

    async def sync(self) -> None:
        """Parts are durable when they are stored."""

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """There are only whole parts here."""
        raise StorageFailed("the storage failed: it takes whole parts only")

    async def bring(self, size: int) -> list[int]:
        """All are there already."""
        note = self.note
        if size != note.size:
            raise StorageFailed(OTHER)
        if not size or sum(note.sealed) == size:
            return note.sealed
        parts = await self.room.run(self.room.notes.parts, self.handle)
        sizes = [part.size for part in parts.values()]
        if sum(sizes) != size or sorted(parts) != list(range(1, len(parts) + 1)):
            raise StorageFailed(OTHER)
        return sizes


async def opened(room: Room, path: str) -> S3Object:
    """The object at a path. Raises `NotFound`."""
    key = room.names.key(path)
    stored = await room.bucket.look(key)
    if stored is None:
        raise NotFound("the object is gone")
    return S3Object(room.bucket, key, stored)
