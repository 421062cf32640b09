"""What an upload needs while somebody is at it: its draft, its writers, its readers."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath

from filepipe.channels.channel import Channel, Kind, Metadata
from filepipe.channels.one_by_one import ToTheEnd
from filepipe.channels.part_senders import PartSenders
from filepipe.channels.retention import Retention
from filepipe.channels.upload_bodies import Hashed, gathered, measured
from filepipe.channels.upload_placing import Placed, Placing, hashed_behind
from filepipe.chunks import Plan
from filepipe.errors import BadRequest, Broken, FilepipeError, StorageFailed
from filepipe.keys import Key
from filepipe.storage.interface import Blob, Draft, FileDraft, Kept, PartDraft

READ_SIZE = 1024 * 1024
"""Bytes of one read while a whole is verified."""


class Session:
    """One upload, from its first request on; `stored` are the parts that are here already.

    Its `channel` has the bytes that are here without a gap, from the first one on. `jobs` does
    what has to be done when nobody waits for it.
    """

    def __init__(
        self, upload_id: str, plan: Plan, draft: Draft, stored: Iterable[int], jobs: ToTheEnd
    ) -> None:
        self.id = upload_id
        self.draft = draft
        self.percent = 0
        """How far the finishing is."""
        self.finishing: asyncio.Task[None] | None = None
        self._plan = plan
        self._stored = set(stored)
        self._whole = 0
        """How many parts are here without a gap."""
        self._advance()
        self._senders = PartSenders()
        self._channel: Channel | None = None
        self._jobs = jobs
        self._users = 0
        self.left = time.monotonic()
        """When the last one left, by the monotonic clock."""

    # -- who is here

    @contextlib.contextmanager
    def used(self) -> Iterator[None]:
        """Whoever is inside needs the draft open."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            self.left = time.monotonic()

    def unused_since(self, moment: float) -> bool:
        """Whether nobody has been here since a moment of the monotonic clock."""
        return not self._users and self.finishing is None and self.left <= moment

    @property
    def receiving(self) -> bool:
        """Whether somebody sends a part."""
        return bool(self._senders)

    # -- who writes

    def writing(
        self, number: int, body: AsyncIterable[bytes]
    ) -> contextlib.AbstractAsyncContextManager[AsyncIterable[bytes]]:
        """Be the only one who sends part `number`. Raises `Busy`, and why it was ended."""
        return self._senders.sending(number, body)

    async def dismiss(self, failure: FilepipeError) -> None:
        """End everybody who writes or reads along; return when the writers have let go."""
        self._senders.end(failure)
        self._cut_readers(failure)
        await self._senders.wait()

    async def stop(self, failure: FilepipeError) -> None:
        """End the finishing too; the next start goes on with it."""
        await self.dismiss(failure)
        if self.finishing is not None:
            self.finishing.cancel()
            await asyncio.wait({self.finishing})

    async def store(self, number: int, body: AsyncIterable[bytes]) -> str:
        """Write part `number`, durably; its SHA-256 as hex.

        Raises `BadRequest` where the body is not of its size.
        """
        placed = await self._place(number, body)
        if placed is not None:
            return placed
        size = self._plan.size_of(number)
        pieces = gathered(measured(body, size))
        if isinstance(self.draft, PartDraft):
            hashed = Hashed(pieces)
            await self.draft.store(number, size, aiter(hashed))
            return await hashed.hexdigest()
        digest = hashlib.sha256()
        position = self._plan.offset_of(number)
        async for piece in pieces:
            hashing = asyncio.to_thread(digest.update, piece)
            await asyncio.gather(self.draft.write(position, piece), hashing)
            position += len(piece)
        await self.draft.sync()
        return digest.hexdigest()

    async def _place(self, number: int, body: AsyncIterable[bytes]) -> str | None:
        size, offset = self._plan.size_of(number), self._plan.offset_of(number)
        draft = self.draft
        if not (isinstance(draft, FileDraft) and isinstance(body, Placing)):
            return None
        if not body.can_place(size):
            return None
        placed = Placed(draft, await draft.descriptor(), offset, offset + size)
        return await hashed_behind(placed, body)

    async def verify(self, checksum: str | None) -> None:
        """Compare the whole with its checksum, if there is one. Raises `BadRequest`."""
        if checksum is None:
            return
        digest = hashlib.sha256()
        offset = 0
        while offset < self._plan.total_size:
            piece = await self.draft.read(offset, READ_SIZE)
            if not piece:
                raise StorageFailed("the storage failed: a draft is shorter than it was")
            await asyncio.to_thread(digest.update, piece)
            offset += len(piece)
            self.percent = 95 * offset // self._plan.total_size
        if digest.hexdigest() != checksum:
            raise BadRequest("the content does not have the SHA-256 that was announced")

    async def publish(self, path: PurePosixPath, *, unique: bool) -> str:
        """Give the whole its name, as `Draft.publish` does."""
        return await self.draft.publish(path, unique=unique, size=self._plan.total_size)

    # -- who reads along

    @property
    def reach(self) -> int:
        """Bytes that are here without a gap, from the first one on."""
        return min(self._whole * self._plan.chunk_size, self._plan.total_size)

    def has(self, number: int) -> bool:
        """Whether part `number` is here."""
        return number in self._stored

    def recorded(self, number: int) -> None:
        """Part `number` is here for good."""
        before = self.reach
        self._stored.add(number)
        self._advance()
        if self._channel is not None and self.reach > before:
            self._channel.grew(self.reach - before)

    def forgotten(self, number: int) -> None:
        """It has to come again, perhaps with other content."""
        self._stored.discard(number)
        if number < self._whole:
            self._whole = number
            self._cut_readers(Broken("a part is sent anew"))

    def _advance(self) -> None:
        while self._whole in self._stored:
            self._whole += 1

    async def live(self, meta: Metadata) -> Channel:
        """What can be read already, and what will be."""
        if self._channel is None:
            channel = self._channel = Channel(
                Key(self.id), Kind.UPLOAD, Retention(0.0), _ignore, self._close
            )
            await channel.publish(Given(_Arriving(self)), meta)
            channel.grew(self.reach)
        return self._channel

    def end(self) -> None:
        """The upload is recorded as complete; its draft goes when nobody reads it any more."""
        channel, self._channel = self._channel, None
        if channel is None:
            self._close()
            return
        channel.finish()
        channel.forget()

    def _cut_readers(self, failure: FilepipeError) -> None:
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.break_off(failure)

    def _close(self, blob: Blob | None = None) -> None:
        self._jobs.start(self.draft.discard())


class Given:
    """A storage that makes one blob, which is there already."""

    def __init__(self, blob: Blob) -> None:
        self._blob = blob

    async def create(self, expected: int | None = None) -> Blob:
        """The blob."""
        return self._blob

    async def aclose(self) -> None:
        """There is nothing to let go of."""


class _Arriving:
    """The bytes of a draft that can be read already, as a blob."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def size(self) -> int:
        return self._session.reach

    async def append(self, chunks: Sequence[bytes]) -> None:
        raise AssertionError("parts are written by their senders")

    async def read(self, offset: int, limit: int) -> bytes:
        return await self._session.draft.read(offset, min(limit, self.size - offset))

    async def finish(self) -> None:
        pass

    async def discard(self) -> None:
        pass


class Whole:
    """A finished object as a blob; whoever opened it closes it."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    @property
    def size(self) -> int:
        """All of it."""
        return self._kept.size

    async def append(self, chunks: Sequence[bytes]) -> None:
        """It is finished."""
        raise AssertionError("a finished object does not grow")

    async def read(self, offset: int, limit: int) -> bytes:
        """As `Kept.read`."""
        return await self._kept.read(offset, limit)

    async def finish(self) -> None:
        """It is."""

    async def discard(self) -> None:
        """It stays."""

    async def descriptor(self) -> int:
        """For the kernel to read from."""
        return await self._kept.descriptor()

    def grow(self, size: int) -> None:
        """It does not."""


async def whole(upload_id: str, blob: Whole, meta: Metadata) -> Channel:
    """A finished object as a channel."""
    channel = Channel(Key(upload_id), Kind.UPLOAD, Retention(0.0), _ignore, _ignore_blob)
    channel.etag = f'"{upload_id}"'  # each reader has another channel, and all the same bytes
    await channel.publish(Given(blob), meta)
    channel.grew(blob.size)
    channel.finish()
    return channel


def _ignore_blob(blob: Blob) -> None:
    """Whoever opened it closes it."""


def _ignore(channel: Channel) -> None:
    """Nobody finds it by a key, so nobody has to be told."""
