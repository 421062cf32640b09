"""Those who follow a log live: what is new is made ready once, and given to each of them in turn.

Rule 1: who is near the end attends. Whose socket is full is let go until it is empty; who has
        fallen far behind reads at his own pace.
Rule 2: rounds take at most half of the time: the more there are, the more each round brings.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Protocol

from filepipe.errors import FilepipeError

if TYPE_CHECKING:
    from filepipe.channels.follower import Follower
    from filepipe.channels.log import Log

PORTION = 128 * 1024
"""Bytes that are given at once at most: what who stops taking may hold of them."""

REACH = 16 * 1024 * 1024
"""Bytes that one may be behind the foremost who attends."""

ROUND = 512 * 1024
"""Bytes that one of them is given in a round, if it has fallen behind."""

SHORT = 0.001
"""Seconds that a round may take without a pause behind it."""

PAUSE = 0.05
"""Seconds of a pause at most."""

SPAN = 64
"""Attendees that are served before others have their turn at the event loop."""


Shaped = tuple[bytes, int]
"""What is to be sent, and of how many bytes of the log it was made."""


class Attendee(Protocol):
    """One who attends. What is made ready for one of them suits all of the same `form`."""

    follower: Follower
    form: Hashable

    def shape(self, records: Sequence[bytes], *, whole: bool) -> Shaped:
        """Make ready what comes next, or most of it; unless `whole`, the last record is a part."""

    def take(self, shaped: bytes, size: int) -> bool:
        """Send what was made ready of `size` bytes; whether all of it is gone already."""


class Audience:
    """All who attend one log."""

    __slots__ = ("_foremost", "_log", "_reached", "_rounds", "_seats")

    def __init__(self, log: Log) -> None:
        self._log = log
        self._seats: dict[Attendee, asyncio.Future[None]] = {}
        self._rounds: asyncio.Task[None] | None = None
        self._reached = 0
        """Everybody has what is before it."""
        self._foremost = 0
        """Nobody has what is behind it."""

    def admits(self, follower: Follower) -> bool:
        """Whether it may attend."""
        front = self._foremost if self._seats else self._log.size
        return follower.is_live and front - follower.offset <= REACH

    async def attend(self, attendee: Attendee) -> None:
        """Give it what comes; returns when there is something that it has to look at itself.

        Its own slowness, the end, or nothing at all. Raises what reading the log raises.
        """
        if not self.admits(attendee.follower):
            return
        seat: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self._seats:
            self._foremost = attendee.follower.offset
        self._seats[attendee] = seat
        if self._rounds is None:
            self._rounds = asyncio.create_task(self._serve())
        elif attendee.follower.offset < self._log.size:
            self._log.wake()
        try:
            await seat
        finally:
            self._seats.pop(attendee, None)
            if not self._seats and self._rounds is not None:
                self._rounds.cancel()
                self._rounds = None
                self._log.keep(sys.maxsize)

    def _let_go(self, attendee: Attendee, error: FilepipeError | None = None) -> None:
        seat = self._seats.pop(attendee, None)
        if seat is None or seat.done():
            return
        if error is None:
            seat.set_result(None)
        else:
            seat.set_exception(error)

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        log = self._log
        try:
            while True:
                began = loop.time()
                if not await self._round():
                    await log.progress()
                    continue
                took = loop.time() - began
                if took > SHORT and log.size - self._reached < PORTION:
                    await asyncio.sleep(min(took, PAUSE))
        finally:
            if self._rounds is asyncio.current_task():  # it failed; else nobody is there any more
                self._rounds = None
                for attendee in list(self._seats):
                    self._let_go(attendee)

    async def _round(self) -> bool:
        """Give everybody what is new, within bounds; whether there was anything."""
        shaped: dict[tuple[Hashable, int, int], Shaped] = {}
        size = self._reached = self._log.size
        foremost = 0
        for number, attendee in enumerate(list(self._seats), 1):
            if attendee in self._seats:
                if await self._give(attendee, size, shaped):
                    self._reached = min(self._reached, attendee.follower.offset)
                    foremost = max(foremost, attendee.follower.offset)
                else:
                    self._let_go(attendee)
            if shaped and number % SPAN == 0:
                await asyncio.sleep(0)
        self._foremost = foremost or size
        self._log.keep(self._reached)
        return bool(shaped)

    async def _give(
        self,
        attendee: Attendee,
        size: int,
        shaped: dict[tuple[Hashable, int, int], Shaped],
    ) -> bool:
        """Whether it goes on to attend."""
        follower, given = attendee.follower, 0
        while (left := min(size, follower.end) - follower.offset) > 0:
            if not follower.is_served or attendee not in self._seats:
                return False
            if given >= ROUND:
                return True
            key = attendee.form, follower.offset, min(left, PORTION)
            if (ready := shaped.get(key)) is None:
                try:
                    shaped[key] = await self._shape(attendee, key[2], size)
                except FilepipeError as error:
                    self._let_go(attendee, error)
                    return False
                continue  # meanwhile it may have left, or read on its own
            follower.offset += ready[1]
            given += ready[1]
            if not attendee.take(*ready):
                return False
        return follower.is_live

    async def _shape(self, attendee: Attendee, limit: int, stop: int) -> Shaped:
        """What comes next for all that are where it is; at `stop` a record ends."""
        log, start = self._log, attendee.follower.offset
        records = log.recent(start, limit, whole=attendee.follower.by_record)
        if records is not None:
            return attendee.shape(records, whole=True)
        # the tail has it no more; whoever is behind as well reads from the same places on
        limit = min(limit, PORTION - start % PORTION)
        data = await log.read(start, limit)
        return attendee.shape([data], whole=start + len(data) == stop)
