"""A log: a channel that outlives the process; readers are cursors over what was acknowledged.

    log.submit(data, at=…)          one record, whole or not at all; a future of the log's end
    Session, in `log_session`       a writer who stays: `write`, `flush`, and an end that is told
    Follower, in `follower`         history, then live, to the session's end or the log's
    log.size, log.tip               what was acknowledged; that and what is on its way
    log.finish()                    is what a record with `close` leads to: state FINISHED

Rule 1: whoever appends waits for nobody who reads. Records that wait are written together.
Rule 2: nobody reads a byte that is not acknowledged, and none that is acknowledged is taken back.
Rule 3: when a write fails, every record that waits behind it fails with it: there is no gap.
Rule 4: one session at a time; beside it nothing is appended.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Protocol, TypeVar

from filepipe.accountant import Accountant
from filepipe.channels.audience import Audience
from filepipe.channels.channel import (
    Channel,
    Kind,
    Metadata,
)
from filepipe.channels.producers import Producers
from filepipe.channels.retention import Retention
from filepipe.channels.state import Event, State, move
from filepipe.channels.tail import Tail
from filepipe.errors import (
    Broken,
    FilepipeError,
    LogClosed,
    NotAtEnd,
    StorageFailed,
    Unavailable,
)
from filepipe.journal.files import LogFiles
from filepipe.journal.frames import Mark
from filepipe.keys import Key

if TYPE_CHECKING:
    from filepipe.channels.log_session import Session

T = TypeVar("T")

GROUP = 64
"""Records that are written together at most."""

GROUP_BYTES = 1024 * 1024
"""Bytes that are written together at most, but for a record that is larger alone."""


class Host(Protocol):
    """Who keeps the logs."""

    draining: bool
    accountant: Accountant

    def changed(self, channel: Channel) -> None:
        """It was published or ended; a reader came or left."""

    def committed(self, records: int) -> None:
        """So many records were written together."""

    async def run(self, function: Callable[[], T]) -> T:
        """Call on a thread what may wait for a disk."""


@dataclass(eq=False, slots=True)
class _Record:
    data: bytes
    close: bool
    durable: bool
    mark: Mark | None
    order: str | None
    done: asyncio.Future[int]
    paid: int = 0
    """Bytes of memory that the ledger has for it."""


class Log(Channel):
    """Made and found by `Logs`. `ttl` are the seconds that it lives after its last byte."""

    __slots__ = (
        "_committing", "_files", "_host", "_producers", "_proving", "_queue", "_tail", "_waiting",
        "audience", "closing", "last_byte", "last_order", "last_session", "session", "taken", "ttl",
    )  # fmt: skip

    def __init__(self, key: Key, host: Host) -> None:
        super().__init__(key, Kind.LOG, Retention(after_end=0.0), host.changed, lambda blob: None)
        self._host = host
        self._files: LogFiles | None = None
        self._producers = Producers({})
        self._queue: deque[_Record] = deque()
        self._waiting = 0
        """Bytes of the records that are not acknowledged yet."""
        self._committing: asyncio.Task[None] | None = None
        self._proving: asyncio.Task[None] | None = None
        self._tail = Tail(host.accountant.memory)
        self.audience = Audience(self)
        self.closing = False
        self.session: Session | None = None
        self.last_session: Session | None = None
        self.taken = 0
        """Bytes that the ledger has for it: those that came since the start."""
        self.ttl: float | None = None
        self.last_byte = b""
        """What stands before its tip, if that is known."""
        self.last_order: str | None = None
        """The place in the order of its writers that was given last."""

    def open(self, files: LogFiles) -> None:
        """Let readers in: these are its files."""
        self._files = files
        self._producers = Producers(files.marks)
        self.last_order = files.order
        birth = files.birth
        self.ttl = birth.ttl
        self.meta = Metadata(content_type=birth.content_type)
        self.state = move(self.state, Event.PUBLISH)
        self.size = files.size
        self._retag()
        if files.closed:
            self.finish()

    @property
    def files(self) -> LogFiles:
        """Its files; only for a log that is open."""
        assert self._files is not None, self
        return self._files

    @property
    def length(self) -> int:
        """What there is now: a look at a log is a look at that."""
        return self.size

    @property
    def tip(self) -> int:
        """Where the next record will begin."""
        return self.size + self._waiting

    @property
    def idle(self) -> bool:
        """Whether nobody reads it or appends to it."""
        return not (self.readers or self.session or self._queue or self._committing)

    @property
    def draining(self) -> bool:
        """Whether the daemon is going down."""
        return self._host.draining

    def check(self) -> None:
        """Raise `StorageFailed` for a damaged log."""
        if self._files is not None and self._files.damage is not None:
            raise StorageFailed(f"the log is not served: {self._files.damage}")

    # -- appending

    def submit(
        self,
        data: bytes,
        *,
        at: int | None = None,
        close: bool = False,
        durable: bool = True,
        mark: Mark | None = None,
        order: str | None = None,
    ) -> asyncio.Future[int]:
        """Append a record, at the offset `at` if one is given; once only if it has a `mark`.

        `order`, its place in the order of the writers, is kept with it.

        The future is where the log ends with it, once it is acknowledged, or why it never is:
        `DiskFull`, `StorageFailed`. Raises `LogClosed`, `NotAtEnd`, `OverBudget`, `Broken` once the
        log was deleted, `StorageFailed`, and what `Producers.is_new` raises.
        """
        self.check()
        if self.state is not State.FINISHED and self.state is not State.WRITING:
            raise self.failure or Broken("the key was deleted")
        if mark is not None and not self._producers.is_new(mark):
            return self.now()
        if self.state is State.FINISHED or self.closing:
            raise LogClosed(self.tip)
        if at is not None and at != self.tip:
            raise NotAtEnd(self.tip, at)
        self._host.accountant.disk.take(len(data))
        self.taken += len(data)
        if mark is not None:
            self._producers.admit(mark)
        self.last_order = self.last_order if order is None else order
        return self._enqueue(_Record(data, close, durable, mark, order, _future()))

    def is_new(self, mark: Mark) -> bool:
        """Whether the record was not submitted before. Raises what `Producers.is_new` raises."""
        return self._producers.is_new(mark)

    def affords(self, size: int) -> bool:
        """Whether memory has room for `size` bytes beside what is on its way."""
        return self._host.accountant.memory.fits(size)

    def now(self) -> asyncio.Future[int]:
        """Where the log ends once all that is on its way is acknowledged."""
        if self._queue or self._committing is not None:
            return self._enqueue(_Record(b"", False, True, None, None, _future()))
        done = _future()
        done.set_result(self.size)
        return done

    def _enqueue(self, record: _Record) -> asyncio.Future[int]:
        size = len(record.data)
        # a full memory refuses no log: what its caller holds is bounded, and goes in a moment
        record.paid = size if self.affords(size) else 0
        self._host.accountant.memory.take(record.paid)
        self._queue.append(record)
        self._waiting += size
        self.last_byte = record.data[-1:] or self.last_byte
        self.closing = self.closing or record.close
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return record.done

    async def _commit(self) -> None:
        """Write what waits, together, until nothing does."""
        try:
            while self._queue:
                group = self._next_group()
                try:
                    await self._write(group)
                except FilepipeError as error:
                    self._fail(group, error)
                else:
                    self._acknowledge(group)
        except BaseException:
            self._fail(group, StorageFailed("the storage failed"))
            raise
        finally:
            self._committing = None
            self.wake()
            self._host.changed(self)

    def _next_group(self) -> list[_Record]:
        group = [self._queue.popleft()]
        size = len(group[0].data)
        while self._queue and len(group) < GROUP:
            size += len(self._queue[0].data)
            if size > GROUP_BYTES:
                break
            group.append(self._queue.popleft())
        return group

    async def _write(self, group: Sequence[_Record]) -> None:
        files = self.files
        chunks = [record.data for record in group]
        close = any(record.close for record in group)
        durable = any(record.durable for record in group)
        marks = [record.mark for record in group if record.mark is not None]
        orders = [record.order for record in group if record.order is not None]
        order = orders[-1] if orders else None
        await self._host.run(
            lambda: files.add(chunks, close=close, durable=durable, marks=marks, order=order)
        )

    def _acknowledge(self, group: Sequence[_Record]) -> None:
        start, whole = self.size, b"".join(record.data for record in group)
        ends = list(accumulate((len(record.data) for record in group), initial=start))[1:]
        self._waiting -= len(whole)
        self._host.accountant.memory.give(sum(record.paid for record in group))
        self._host.committed(len(group))
        if self.readers:
            self._tail.add(start, whole, ends)
        self.grew(len(whole))
        self._retag()
        for record, end in zip(group, ends, strict=True):
            if not record.done.done():
                record.done.set_result(end)
        if self.files.closed and self.state is State.WRITING:
            self.finish()

    def _fail(self, group: Sequence[_Record], error: FilepipeError) -> None:
        failed = [*group, *self._queue]
        self._queue.clear()
        size = sum(len(record.data) for record in failed)
        self._waiting -= size
        self._host.accountant.memory.give(sum(record.paid for record in failed))
        self._host.accountant.disk.give(size)
        self.taken -= size
        self.closing = False
        self._producers = Producers(self.files.marks)
        self.last_byte, self.last_order = b"", self.files.order
        for session in (self.session, self.last_session):
            if session is not None:
                session.end = min(session.end, self.size)
        for record in failed:
            if not record.done.done():
                record.done.set_exception(error)
                record.done.exception()  # nobody has to ask
        if self.session is not None and self.interrupt is not None:
            self.interrupt(error)  # its sender may wait for an answer before it says more

    async def settle(self) -> None:
        """Return when nothing is being written."""
        if self._committing is not None:
            await asyncio.wait({self._committing})

    def _retag(self) -> None:
        closed = "c" if self.files.closed else ""
        self.etag = f'"{self.files.birth.tag}-{self.size:x}{closed}"'

    # -- reading

    def joined(self) -> None:
        """One more reader. Raises `StorageFailed` for a damaged log."""
        self.check()
        super().joined()
        if self._files is not None:
            self._files.stay()

    def left(self) -> None:
        """One reader less."""
        super().left()
        if not self.readers:
            self._tail.clear()

    async def read(self, offset: int, limit: int) -> bytes:
        """Between 1 and `limit` bytes that were acknowledged. Raises `StorageFailed`."""
        found = self._tail.read(offset, limit)
        if found is None:
            limit = min(limit, self.size - offset)
            await self.prove(offset, offset + limit)
            found = await self.glance(offset, limit)
        return found

    async def glance(self, offset: int, limit: int) -> bytes:
        """The same for who gives them to nobody: they may turn out to be damaged."""
        return await self._host.run(lambda: self.files.read(offset, limit))

    async def prove(self, start: int, stop: int) -> None:
        """Return when these bytes are known to be what was written; a restart leaves that open.

        Raises `StorageFailed`.
        """
        while not self.files.is_proven(start, stop):
            self.check()
            if self._proving is None:
                self._proving = asyncio.create_task(self._prove(start, stop))
                self._proving.add_done_callback(_look_at)
            await asyncio.shield(self._proving)
        self.check()

    async def _prove(self, start: int, stop: int) -> None:
        try:
            await self._host.run(lambda: self.files.prove(start, stop))
        finally:
            self._proving = None
        if self.files.damage is not None:
            self.wake()

    def end_of_record(self, offset: int) -> int | None:
        """Where the record ends that has the byte at `offset`, None if nobody remembers."""
        return self._tail.end_of_record(offset)

    def recent(self, offset: int, limit: int, *, whole: bool) -> list[bytes] | None:
        """See `Tail.portion`."""
        return self._tail.portion(offset, limit, whole=whole)

    def keep(self, offset: int) -> None:
        """Somebody will soon ask for what is recent, from `offset` on."""
        self._tail.needed = offset

    async def descriptor(self) -> int:
        """The file with its bytes, open while somebody reads.

        Raises `TooManyFiles`, and `Unavailable` until all of them are compared after a start.
        """
        if not self.files.is_proven(0, self.size):
            raise Unavailable("the log is being checked, try again later")
        return await self._host.run(self.files.descriptor)


def _look_at(task: asyncio.Task[None]) -> None:
    if not task.cancelled():
        task.exception()  # nobody has to ask


def _future() -> asyncio.Future[int]:
    return asyncio.get_running_loop().create_future()
