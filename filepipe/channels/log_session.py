"""A writer of a log who stays: what he sends is appended as it comes, and his end is told."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from types import TracebackType

from filepipe.channels.channel import Writer
from filepipe.channels.log import Log
from filepipe.channels.state import State
from filepipe.errors import Broken, Draining, FilepipeError, LogClosed, NotAtEnd, WriterPresent

ROOM = 1024 * 1024
"""Bytes that a session may have on their way to the disk."""

_LOST = Broken("the appender left before its last byte")


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
            while self._flight and not self._has_room(len(chunk)):
                await self._land()
            done = self.log.submit(chunk, at=self.end, durable=self._durable)
            self.end += len(chunk)
            self._flight.append((done, len(chunk)))
            self._flying += len(chunk)

    def _has_room(self, size: int) -> bool:
        if self._flight[0][0].done():
            return False  # what became of it is to be looked at
        return self._flying + size <= ROOM and self.log.affords(size)

    async def close(self) -> None:
        """Append the end of the log. Raises as `write`."""
        done = self.log.submit(b"", at=self.end, close=True, durable=self._durable)
        self._flight.append((done, 0))

    async def flush(self) -> None:
        """Return when everything is acknowledged. Raises why something never will be."""
        while self._flight:
            await self._land()

    async def decided(self) -> None:
        """Return when it is known of everything that was written whether it is kept."""
        if self._flight:
            await asyncio.wait([done for done, _ in self._flight])

    async def _land(self) -> None:
        done, size = self._flight[0]
        await asyncio.shield(done)
        self._flight.popleft()
        self._flying -= size

    async def descriptor(self) -> int:
        """Nothing is written to it but by frames."""
        return -1
