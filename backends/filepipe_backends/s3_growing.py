"""A draft of unknown length: written in order to files here, which become parts one after another.

Part n is the bytes of segment n; segments grow with their number, so that 10,000 of them hold
5 TiB. A segment that is full is a part at the server once `sync` has returned. Its file goes with
the next `sync`: until then the caller may go on from an earlier end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from filepipe.errors import StorageFailed, Unavailable
from filepipe_backends import s3_segments as segments
from filepipe_backends.s3_bucket import ATTEMPTS
from filepipe_backends.s3_drafts import Draft
from filepipe_backends.s3_names import GONE
from filepipe_backends.s3_notes import Note
from filepipe_backends.s3_room import Room
from filepipe_backends.s3_segments import Segment, segment_at, segments_of

AT_ONCE = 4
"""Segments that are sent at the same time."""

PIECE = 256 * 1024
"""Bytes of a file that are read at once."""


class GrowingDraft(Draft):
    """A draft that ends where it was written to last."""

    def __init__(self, room: Room, handle: str, note: Note, *, anew: bool) -> None:
        super().__init__(room, handle, note)
        self._end = note.end
        self._settled = anew
        """Whether the caller has said where it goes on."""
        self._sent: set[int] = set()
        """Segments that are parts already, and have a file still."""

    @property
    def length(self) -> int:
        """As far as it was written."""
        return self._end

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write at the end, or again from a durable one."""
        if offset != self._end or not self._settled or self.note.sealed or self.note.path:
            async with self.turn:
                await self._go_on(offset)
        view = memoryview(data).cast("B")
        await self.room.run(segments.store, self.room.notes, self.handle, offset, view)
        self._end = offset + len(view)

    async def sync(self) -> None:
        """Send what is full, and make the rest durable here."""
        async with self.turn:
            if not self._settled or self.note.path is not None:
                return
            notes, end, before = self.room.notes, self._end, self._sent.copy()
            await self._send((part for part in segments_of(end) if part.end <= end), end)
            await self.room.run(segments.flush, notes, self.handle, segment_at(end).number)
            self.note.end = end
            await self.keep()
            for number in before & self._sent:
                await self.room.run(notes.segment(self.handle, number).unlink, missing_ok=True)
            self._sent -= before

    async def read(self, offset: int, limit: int) -> bytes:
        """Read from the files here, else from the whole."""
        found = segment_at(offset)
        count = min(limit, self._end - offset, found.end - offset)
        if count > 0 and (self._settled or found.end > self._end):
            path = self.room.notes.segment(self.handle, found.number)
            data = await self.room.run(segments.fetch, path, offset - found.start, count)
            if data:
                return data
        return await super().read(offset, limit)

    async def bring(self, size: int) -> list[int]:
        """Send the rest, of which the last segment need not be full."""
        note = self.note
        if sum(note.sealed) == size:
            return note.sealed
        parts = segments_of(size)
        sizes = [min(part.end, size) - part.start for part in parts]
        made = note.upload is not None and await self.room.has(note.key, note.mark, size)
        if made:  # by an earlier try, of which we did not hear the end
            return sizes
        await self._go_on(size)
        await self._send(parts, size)
        return sizes

    async def _go_on(self, offset: int) -> None:
        """What is at or behind `offset` counts no more; what is before it is here or sent."""
        if self.note.path is not None:
            raise StorageFailed("the storage failed: the draft has its name already")
        if self.note.sealed:
            await self.unseal()
        notes, settled = self.room.notes, self._settled
        await self.room.run(segments.cut, notes, self.handle, offset, settled=settled)
        last = segment_at(offset).number
        self._sent = {number for number in self._sent if number < last}
        self._settled, self._end = True, offset

    async def _send(self, parts: Iterable[Segment], end: int) -> None:
        """Make parts of those that have a file here and are none yet; bytes from `end` on wait."""
        here = set(await self.room.run(self.room.notes.segments, self.handle)) - self._sent
        due = [part for part in parts if part.number in here]
        if not due:
            return
        upload = await self.begin()
        gate = asyncio.Semaphore(AT_ONCE)

        async def send(part: Segment) -> None:
            async with gate:
                await self._send_one(part, min(part.end, end) - part.start, upload)
            if part.end <= end:
                self._sent.add(part.number)

        await asyncio.gather(*map(send, due))

    async def _send_one(self, part: Segment, size: int, upload: str) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self.put(upload, part.number + 1, size, self._bytes_of(part, size))
            except Unavailable:
                if attempt == ATTEMPTS:
                    raise
            else:
                return

    async def _bytes_of(self, part: Segment, size: int) -> AsyncIterator[bytes]:
        path = self.room.notes.segment(self.handle, part.number)
        position = 0
        while position < size:
            count = min(PIECE, size - position)
            piece = await self.room.run(segments.fetch, path, position, count)
            if not piece:
                raise StorageFailed(GONE)
            yield piece
            position += len(piece)
