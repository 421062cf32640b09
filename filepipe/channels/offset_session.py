"""One upload that grows by its offset, while the daemon has to do with it: its bytes, its turns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from filepipe.channels.channel import Channel, Kind, Metadata, Resumption, Writer
from filepipe.channels.offset_plan import (
    ends_by_itself,
    is_whole,
    meta_of,
    offset_of,
)
from filepipe.channels.opened import Opened, Retired
from filepipe.channels.retention import Retention
from filepipe.channels.state import State
from filepipe.channels.turns import Turns
from filepipe.channels.upload_blob import Room, UploadBlob
from filepipe.errors import FilepipeError
from filepipe.records.uploads import Upload
from filepipe.storage.interface import Blob, Draft, Kept

SYNC_AFTER = 5.0
"""Seconds after which what came is made durable, also while more comes."""

RESUMABLE = Resumption(window=None, fatal=())
"""The engine decides what breaks an upload's channel."""


class OffsetSession:
    """One upload; `channel` is what its readers see, `live` whether they see it growing."""

    def __init__(
        self, upload: Upload, draft: Opened[Draft], room: Room, channel: Channel, *, live: bool
    ) -> None:
        self.id = upload.id
        self._upload = upload
        self.turns = Turns()
        self.recorded = offset_of(upload)
        self.blob = UploadBlob(draft, room, self.recorded)
        self.channel = channel
        self.live = live
        self.finishing: asyncio.Task[None] | None = None
        self.failure: FilepipeError | None = None
        """Why it is not used any more."""
        self.recording = asyncio.Lock()
        if live:
            channel.resumption = RESUMABLE
            channel.house(self.blob, meta_of(upload))
            channel.grew(self.recorded)
            channel.suspend()

    def intake(self, *, staged: bool) -> Channel:
        """Where the bytes of an append go: to the readers, or where nobody reads them yet."""
        if self.live and not staged:
            return self.channel
        blob = self.blob
        if staged:
            blob = UploadBlob(blob.draft, blob.room, blob.written)
        channel = Channel(self.channel.key, Kind.UPLOAD, Retention(0.0), _ignore, _ignore_blob)
        channel.resumption = RESUMABLE
        channel.house(blob, Metadata())
        channel.grew(blob.size)
        return channel

    @property
    def upload(self) -> Upload:
        """The record, as far as this session knows."""
        return replace(self._upload, offset=self.recorded, total_size=self.blob.room.total)

    @property
    def ends_here(self) -> bool:
        """Whether its last byte is recorded, and that completes it."""
        return is_whole(self.upload) and ends_by_itself(self._upload)

    def catch_up(self) -> None:
        """Show the readers what has come another way than through their channel."""
        if self.channel.state is State.WRITING and self.blob.written > self.channel.size:
            self.channel.grew(self.blob.written - self.channel.size)

    def learn_length(self, length: int) -> None:
        """Everybody who comes now is told how long it is."""
        self.blob.room.total = length
        self.channel.meta = replace(self.channel.meta, length=length)

    def become(self, kept: Opened[Kept], upload: Upload) -> None:
        """It is complete: its readers are at the finished object from now on."""
        self.blob.become(kept)
        channel = self.channel
        if channel.state is State.CLAIMED:
            channel.house(self.blob, meta_of(upload))
        if channel.state is State.WRITING:
            self.catch_up()
            channel.finish()


class Appending:
    """One append under way: `writer` takes the bytes."""

    def __init__(self, session: OffsetSession, channel: Channel, *, staged: bool) -> None:
        self.writer = Writer(channel, last=False)
        self.staged = staged
        self._session = session
        self._start = channel.size

    @property
    def blob(self) -> UploadBlob:
        """Where the bytes go."""
        blob = self.writer.channel.blob
        assert isinstance(blob, UploadBlob)
        return blob

    @property
    def offset(self) -> int:
        """The end of what has come, in bytes from the beginning of the upload."""
        return self.blob.size

    @property
    def recorded(self) -> int:
        """How much of the upload is safe, in bytes from its beginning."""
        return self._session.recorded

    async def hashed(self) -> None:
        """Return once the hashing that was given has every byte. Raises as `Draft.write` does."""
        await self.blob.flush()

    async def commit(self) -> None:
        """Keep what was staged. Raises as `Draft.write` does."""
        await self.blob.flush()
        staged = self.blob.written - self._session.blob.written
        assert self.staged
        self._session.blob.grow(staged)
        self._session.catch_up()


@contextlib.asynccontextmanager
async def keeping_pace(
    session: OffsetSession, secure: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Have what comes inside made durable now and then, beside its coming."""

    async def pace() -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SYNC_AFTER):
                    await session.blob.much.wait()
            try:
                await secure()
            except FilepipeError as error:
                session.turns.end(error)
                return

    task = asyncio.create_task(pace())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def show(channel: Channel, upload: Upload, kept: Opened[Kept]) -> None:
    """Let readers in to a finished object, which is opened when one comes."""
    size = offset_of(upload)
    blob = UploadBlob(Opened(_no_draft), Room(None, None), size)
    blob.become(kept)
    channel.house(blob, meta_of(upload))
    channel.grew(size)
    channel.finish()


async def _no_draft() -> Draft:
    raise Retired


def _ignore_blob(blob: Blob) -> None:
    """It is the session's."""


def _ignore(channel: Channel) -> None:
    """Nobody reads it."""
