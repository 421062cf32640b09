"""A log: a channel that outlives the process; readers are cursors over what was acknowledged.

    log.submit(data, at=…)          one record, whole or not at all; a future of the log's end
    async with Session(log) as s:   a writer who stays: `write`, `flush`, and an end that is told
    with Follower(log, 0) as f:     history, then live, to the session's end or the log's
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
from types import TracebackType
from typing import Protocol, TypeVar

from filepipe.accountant import Accountant
from filepipe.channels.channel import (
    READ_SIZE,
    Channel,
    Kind,
    Metadata,
    Reader,
    Writer,
)
from filepipe.channels.retention import Retention
from filepipe.channels.state import Event, State, move
from filepipe.channels.tail import Tail
from filepipe.errors import (
    Broken,
    Draining,
    FilepipeError,
    LogClosed,
    NotAtEnd,
    StorageFailed,
    WriterPresent,
)
from filepipe.journal.files import LogFiles
from filepipe.journal.frames import Mark
from filepipe.keys import Key

T = TypeVar("T")

GROUP = 64
"""Records that are written together at most."""

GROUP_BYTES = 1024 * 1024
"""Bytes that are written together at most, but for a record that is larger alone."""

ROOM = 1024 * 1024
"""Bytes that a session may have on their way to the disk."""


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
    done: asyncio.Future[int]


class Log(Channel):
    """Made and found by `Logs`. `ttl` are the seconds that it lives after its last byte."""

    __slots__ = (
        "_committing", "_files", "_host", "_queue", "_tail", "_waiting", "closing", "damage",
        "last_session", "session", "taken", "ttl",
    )  # fmt: skip

    def __init__(self, key: Key, host: Host) -> None:
        super().__init__(key, Kind.LOG, Retention(after_end=0.0), host.changed, lambda blob: None)
        self._host = host
        self._files: LogFiles | None = None
        self._queue: deque[_Record] = deque()
        self._waiting = 0
        """Bytes of the records that are not acknowledged yet."""
        self._committing: asyncio.Task[None] | None = None
        self._tail = Tail(host.accountant.memory)
        self.closing = False
        self.session: Session | None = None
        self.last_session: Session | None = None
        self.taken = 0
        """Bytes that the ledger has for it: those that came since the start."""
        self.ttl: float | None = None

    def open(self, files: LogFiles) -> None:
        """Let readers in: these are its files."""
        self._files = files
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
    ) -> asyncio.Future[int]:
        """Append a record, at the offset `at` if one is given.

        The future is where the log ends with it, once it is acknowledged, or why it never is:
        `DiskFull`, `StorageFailed`. Raises `LogClosed`, `NotAtEnd`, `OverBudget`, `Broken` once the
        log was deleted, `StorageFailed`.
        """
        self.check()
        if self.state is State.FINISHED or self.closing:
            raise LogClosed(self.tip)
        if self.state is not State.WRITING:
            raise self.failure or Broken("the key was deleted")
        if at is not None and at != self.tip:
            raise NotAtEnd(self.tip, at)
        self._take(len(data))
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._queue.append(_Record(data, close, durable, mark, done))
        self._waiting += len(data)
        self.closing = close
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit())
        return done

    def _take(self, size: int) -> None:
        accountant = self._host.accountant
        accountant.disk.take(size)
        try:
            accountant.memory.take(size)
        except FilepipeError:
            accountant.disk.give(size)
            raise
        self.taken += size

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
        await self._host.run(lambda: files.add(chunks, close=close, durable=durable, marks=marks))

    def _acknowledge(self, group: Sequence[_Record]) -> None:
        end, whole = self.size, b"".join(record.data for record in group)
        self._waiting -= len(whole)
        self._host.accountant.memory.give(len(whole))
        self._host.committed(len(group))
        if self.readers:
            self._tail.add(end, whole)
        self.grew(len(whole))
        self._retag()
        for record in group:
            end += len(record.data)
            if not record.done.done():
                record.done.set_result(end)
        if self.files.closed and self.state is State.WRITING:
            self.finish()

    def _fail(self, group: Sequence[_Record], error: FilepipeError) -> None:
        failed = [*group, *self._queue]
        self._queue.clear()
        size = sum(len(record.data) for record in failed)
        self._waiting -= size
        self._host.accountant.memory.give(size)
        self._host.accountant.disk.give(size)
        self.taken -= size
        self.closing = False
        for session in (self.session, self.last_session):
            if session is not None:
                session.end = min(session.end, self.size)
        for record in failed:
            if not record.done.done():
                record.done.set_exception(error)
                record.done.exception()  # nobody has to ask

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
            found = await self._host.run(lambda: self.files.read(offset, limit))
        return found

    async def descriptor(self) -> int:
        """The file with its bytes, open while somebody reads. Raises `TooManyFiles`."""
        return await self._host.run(self.files.descriptor)


class Session(Writer):
    """A writer who stays: `async with` it. Its end is told to those who follow it.

    Entering raises `WriterPresent`, `LogClosed` and, where `at` is not the log's end, `NotAtEnd`.
    Leaving it without an exception waits for everything to be acknowledged; with one it is *lost*.
    """

    __slots__ = ("_at", "_durable", "_flight", "_flying", "end", "log", "lost", "over")

    def __init__(self, log: Log, *, at: int | None = None, durable: bool = True) -> None:
        super().__init__(log)
        self.log = log
        self.over = False
        self.lost: FilepipeError | None = None
        self.end = log.tip
        self._at = at
        self._durable = durable
        self._flight: deque[tuple[asyncio.Future[int], int]] = deque()
        self._flying = 0

    async def __aenter__(self) -> Session:
        log = self.log
        if log.draining:
            raise Draining("server is shutting down, not accepting new uploads")
        if log.session is not None:
            raise WriterPresent("somebody else is appending to this log")
        log.check()
        if log.state is State.FINISHED or log.closing:
            raise LogClosed(log.tip)
        if self._at is not None and self._at != log.tip:
            raise NotAtEnd(log.tip, self._at)
        self.end = log.tip
        log.session = log.last_session = self
        log.writing = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                await self.flush()
        except BaseException as failure:
            error = failure
            raise
        finally:
            if error is not None:
                self.lost = error if isinstance(error, FilepipeError) else _LOST
            self.over = True
            self.log.session = None
            self.log.writing = False
            self.log.wake()
            self.log.let_go()

    async def write(self, chunks: Sequence[bytes]) -> None:
        """Append the chunks, each a record; returns before they are acknowledged.

        Waits while there is no room. Raises what `Log.submit` raises, and what became of records
        before.
        """
        for chunk in chunks:
            while self._flight and (self._flight[0][0].done() or self._flying + len(chunk) > ROOM):
                await self._land()
            done = self.log.submit(chunk, at=self.end, durable=self._durable)
            self.end += len(chunk)
            self._flight.append((done, len(chunk)))
            self._flying += len(chunk)

    async def close(self) -> None:
        """Append the end of the log. Raises as `write`."""
        done = self.log.submit(b"", at=self.end, close=True, durable=self._durable)
        self._flight.append((done, 0))

    async def flush(self) -> None:
        """Return when everything is acknowledged. Raises why something never will be."""
        while self._flight:
            await self._land()

    async def _land(self) -> None:
        done, size = self._flight[0]
        await asyncio.shield(done)
        self._flight.popleft()
        self._flying -= size

    async def descriptor(self) -> int:
        """Nothing is written to it but by frames."""
        return -1


_LOST = Broken("the appender left before its last byte")


class Follower(Reader):
    """A cursor that stays. It ends with the log, or with the session that it joined.

    `log` is what `channel` is.
    """

    __slots__ = ("_session", "log")

    def __init__(self, log: Log, start: int) -> None:
        super().__init__(log, start)
        self.log = log
        self._session = log.session

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """The next 1 to `limit` bytes, waiting for them; b"" at the clean end.

        Raises `Broken` when the session was lost or the log deleted, `Draining`, `StorageFailed`.
        """
        log = self.log
        while self.offset >= log.size and log.state is State.WRITING:
            if self._is_at_its_end():
                return b""
            if log.draining and log.session is None:
                raise Draining("server is shutting down")
            await log.progress()
            log.check()
        if self._is_at_its_end():
            return b""
        return await super().read(min(limit, self.ready))

    @property
    def ready(self) -> int:
        """How many bytes can be read now."""
        session, end = self._session, self.log.size
        if session is not None and session.over:
            end = min(end, session.end)
        return end - self.offset

    def _is_at_its_end(self) -> bool:
        session = self._session
        if session is None or not session.over or self.offset < session.end:
            return False
        if session.lost is not None:
            raise Broken("the appender was lost") from session.lost
        return True
