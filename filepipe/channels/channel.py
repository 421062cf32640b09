"""A channel: one growing sequence of bytes, one writer, any number of readers at their own offsets.

Rule 1: leaving the writing block with an exception (cancellation too) breaks the channel, leaving
        it without one finishes it. Only a resumable channel has a third way out: its sender was
        lost, or sent a piece, and the readers wait until somebody goes on at its end.
Rule 2: a reader never stalls the writer, nor another reader.
Rule 3: the bytes are let go when the directory has forgotten the channel and nobody reads any more.
Rule 4: after a break a reader gets one more block of what is there, and then the failure, so that
        nobody mistakes a part for the whole.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Self

from filepipe.channels.retention import Retention, Usage
from filepipe.channels.state import Event, State, move
from filepipe.errors import (
    Broken,
    Busy,
    FilepipeError,
    StorageFailed,
    TooLarge,
    Unavailable,
)
from filepipe.keys import Key
from filepipe.storage.interface import Blob, Descriptor, Storage

READ_SIZE = 128 * 1024
"""Bytes of one read: large enough to be cheap, small enough for one per stuck reader."""

_OPEN = (State.CLAIMED, State.WRITING)


class Kind(Enum):
    """What a key is used for; a key has one kind at a time."""

    PIPE = "pipe"
    RENDEZVOUS = "rendezvous"
    QUEUE = "queue"
    LOG = "log"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Resumption:
    """That somebody may go on with a channel whose sender was lost.

    `window` is how many seconds its readers wait for that, None for as long as the channel lives.
    `fatal` are the failures of a sender that break it nevertheless: those that are ours.
    """

    window: float | None
    fatal: tuple[type[FilepipeError], ...] = (StorageFailed, Unavailable, TooLarge)


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the writer said of the bytes; every text is safe to send as a header.

    `length` is the announced size in bytes, None if unknown. `disposition` is Content-Disposition
    as it came, and `labels` are the values of X-Piping.
    """

    length: int | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    filename: str | None = None
    disposition: str | None = None
    labels: tuple[str, ...] = ()


class Channel:
    """The meeting point of a writer and its readers; made by `Directory.claim`."""

    __slots__ = (
        "_blob", "_on_change", "_tip", "_waste", "created", "digests", "ended", "etag",
        "failure", "first_read", "forgotten", "interrupt", "key", "kind", "last_left", "meta",
        "on_whole", "readers", "resumption", "retention", "size", "state", "suspended", "writing",
    )  # fmt: skip

    def __init__(
        self,
        key: Key,
        kind: Kind,
        retention: Retention,
        on_change: Callable[[Channel], None],
        waste: Callable[[Blob], None],
    ) -> None:
        # for the whole life
        self.key = key
        self.kind = kind
        self.retention = retention
        self.resumption: Resumption | None = None
        self.etag = f'"{secrets.token_hex(8)}"'
        self.created = time.monotonic()
        self._on_change = on_change
        self._waste = waste
        # from publishing on
        self.meta = Metadata()
        self._blob: Blob | None = None
        self.digests: dict[str, bytes] = {}
        # moving
        self.state = State.CLAIMED
        self.size = 0
        self.writing = False
        self.suspended: float | None = None
        """When its sender was lost, while nobody goes on."""
        self.interrupt: Callable[[FilepipeError], None] | None = None
        """Set by whoever feeds the writer: called when somebody else ends that, with the reason."""
        self.on_whole: Callable[[], None] | None = None
        """Called when the last announced byte is there, before anybody can read it."""
        self.readers = 0
        self.first_read: float | None = None
        self.last_left: float | None = None
        self.ended: float | None = None
        self.failure: FilepipeError | None = None
        self.forgotten = False
        self._tip: dict[asyncio.Future[None], None] = {}  # in the order of coming

    def __repr__(self) -> str:
        return f"<Channel {self.key!r} {self.state.value} {self.size} bytes {self.readers} readers>"

    @property
    def length(self) -> int | None:
        """The final size in bytes where it is known: finished, or announced."""
        return self.size if self.state is State.FINISHED else self.meta.length

    @property
    def blob(self) -> Blob:
        """Where the bytes are; only for a published channel."""
        assert self._blob is not None, self
        return self._blob

    def usage(self) -> Usage:
        """What its retention looks at."""
        return Usage(self.ended, self.first_read, self.last_left, self.readers)

    def deadline(self) -> float | None:
        """The moment at which it goes unless something happens; None while it may not."""
        if self.ended is not None:
            return self.retention.deadline(self.usage())
        if self.suspended is None or self.resumption is None or self.resumption.window is None:
            return None
        return self.suspended + self.resumption.window

    # -- the writer's side

    async def publish(self, storage: Storage, meta: Metadata) -> None:
        """Make room in `storage` and let readers in. Raises what `Storage.create` raises."""
        blob = await storage.create(meta.length)
        if self.state is not State.CLAIMED:  # deleted meanwhile
            self._waste(blob)
            raise self.failure or Broken("the key was deleted")
        self.house(blob, meta)

    def house(self, blob: Blob, meta: Metadata) -> None:
        """Let readers in to the bytes that are in `blob`, and to those that will be."""
        self._blob = blob
        self.meta = meta
        self.state = move(self.state, Event.PUBLISH)
        self._on_change(self)
        self.wake()

    def grew(self, size: int) -> None:
        """`size` bytes reached the blob; wakes the readers that wait for them."""
        self.size += size
        if self.on_whole is not None and self.size == self.meta.length:
            self.on_whole()
        if self._tip:
            self.wake()

    def finish(self) -> None:
        """Every byte is there."""
        self._end(Event.FINISH)

    def break_off(self, failure: FilepipeError) -> None:
        """The writer is gone; every reader will see `failure`."""
        self.failure = failure
        self._end(Event.BREAK)
        if self.interrupt is not None:
            self.interrupt(failure)

    async def take_over(self) -> None:
        """End whoever writes; returns when they have let go, and the caller may write at once.

        Only for a resumable channel.
        """
        assert self.resumption is not None, self
        while self.writing:
            if self.interrupt is not None:
                self.interrupt(Broken("another sender goes on with the upload"))
            await self.progress()

    def suspend(self) -> None:
        """Nobody writes; the readers wait for who goes on."""
        self.suspended = time.monotonic()
        self.wake()
        self._on_change(self)

    def _end(self, event: Event) -> None:
        self.state = move(self.state, event)
        self.ended = time.monotonic()
        self.wake()
        self._on_change(self)

    def wake(self) -> None:
        """Let everybody who waits for progress look."""
        tip, self._tip = self._tip, {}
        for waiter in tip:
            if not waiter.done():
                waiter.set_result(None)

    async def progress(self) -> None:
        """Return when something has changed: bytes, or the end."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tip[waiter] = None
        try:
            await waiter
        finally:
            self._tip.pop(waiter, None)

    async def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes that are there. Raises `StorageFailed`."""
        return await self.blob.read(offset, limit)

    # -- the end

    def forget(self) -> None:
        """The directory no longer knows the channel; its bytes go with its last user."""
        self.forgotten = True
        self.let_go()

    def let_go(self) -> None:
        """Hand the blob over for discarding if nobody needs it any more."""
        if not self.forgotten or self.readers or self.writing or self.state is State.DISCARDED:
            return
        self.state = move(self.state, Event.DISCARD)
        if self._blob is not None:
            self._waste(self._blob)

    def joined(self) -> None:
        """One more reader. Raises `Broken` when the bytes are gone already."""
        if self.state is State.DISCARDED:
            raise Broken("the key was deleted")
        self.readers += 1
        self._on_change(self)

    def was_read(self) -> None:
        """Somebody asked for the bytes themselves; the retention may look at that."""
        if self.first_read is None:
            self.first_read = time.monotonic()
            self._on_change(self)

    def left(self) -> None:
        """One reader less."""
        self.readers -= 1
        self.last_left = time.monotonic()
        self._on_change(self)
        self.let_go()


class Writer:
    """The writing half: `async with` it; see rule 1. `last` False: what it writes is a piece.

    Entering raises `Busy` where somebody writes already.
    """

    __slots__ = ("_last", "channel")

    def __init__(self, channel: Channel, *, last: bool = True) -> None:
        self.channel = channel
        self._last = last

    async def __aenter__(self) -> Writer:
        if self.channel.writing:
            raise Busy("somebody else is sending this, try again later")
        self.channel.writing = True
        self.channel.suspended = None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        channel = self.channel
        try:
            if error is None and self._last:
                await self._finish()
            elif error is not None and channel.state in _OPEN and not self._may_go_on(error):
                channel.break_off(_reason(error))
        finally:
            channel.writing = False
            if channel.state is State.WRITING:
                channel.suspend()
            elif channel.resumption is not None:
                channel.wake()  # whoever wanted to take over
            channel.let_go()

    def _may_go_on(self, error: BaseException) -> bool:
        resumption = self.channel.resumption
        return (
            resumption is not None
            and self.channel.state is State.WRITING
            and not isinstance(error, resumption.fatal)
        )

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Add the chunks. Raises what `Blob.append` raises, `Broken` once the key was deleted."""
        channel = self.channel
        await channel.blob.append(chunks)
        if channel.state is not State.WRITING:
            raise channel.failure or Broken("the key was deleted")
        channel.grew(sum(map(len, chunks)))

    async def descriptor(self) -> int:
        """The file behind the bytes, all of them written out; -1 if there is none."""
        blob = self.channel.blob
        return await blob.descriptor() if isinstance(blob, Descriptor) else -1

    def grew(self, size: int) -> None:
        """The kernel wrote `size` bytes through the descriptor."""
        blob = self.channel.blob
        assert isinstance(blob, Descriptor)
        blob.grow(size)
        self.channel.grew(size)

    async def _finish(self) -> None:
        channel = self.channel
        try:
            await channel.blob.finish()
        except BaseException as error:
            if channel.state in _OPEN and not self._may_go_on(error):
                channel.break_off(_reason(error))
            raise
        if channel.state is not State.WRITING:
            raise channel.failure or Broken("the key was deleted")
        channel.finish()


def _reason(error: BaseException) -> FilepipeError:
    if isinstance(error, FilepipeError):
        return error
    return Broken("the upload ended before its last byte")


class Reader:
    """A reading half: a cursor over `[start, stop)`; `with` it. `stop` None means to the end."""

    __slots__ = ("_last_block", "channel", "offset", "stop")

    def __init__(self, channel: Channel, start: int = 0, stop: int | None = None) -> None:
        self.channel = channel
        self.offset = start
        self.stop = stop
        self._last_block = False

    def __enter__(self) -> Self:
        self.channel.joined()
        return self

    def __exit__(self, *exc: object) -> None:
        self.channel.left()

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """The next 1 to `limit` bytes, waiting for them; b"" at the clean end.

        Raises `Broken` when there will be no more.
        """
        channel = self.channel
        if self.stop is not None:
            limit = min(limit, self.stop - self.offset)
            if limit <= 0:
                return b""
        while self.offset >= channel.size and channel.state is not State.BROKEN:
            if channel.state is State.FINISHED:
                return b""
            await channel.progress()
        if self._last_block or self.offset >= channel.size:
            raise Broken("the upload broke off") from channel.failure
        data = await channel.read(self.offset, limit)
        self.offset += len(data)
        # also the block that was under way when the upload broke is the last one
        self._last_block = channel.state is State.BROKEN
        return data
