"""Connections that follow a log live: they take what was made ready once for all of their form."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from typing import Protocol

from aiohttp import web

from filepipe.channels.audience import Shaped
from filepipe.channels.follower import Follower
from filepipe.logs import get_logger
from filepipe.web.exchange import EXCHANGE
from filepipe.web.stall import Watch

log = get_logger("filepipe.follower")


class Shape(Protocol):
    """See `Attendee.shape`."""

    def __call__(self, records: Sequence[bytes], *, whole: bool) -> Shaped:
        """Make ready what comes next."""


class Seat:
    """One connection among the audience of its log, whatever `shape` makes of the bytes.

    `count` is told how many bytes of the log went. After `silence` seconds without any `sign` is
    sent.
    """

    def __init__(
        self,
        request: web.BaseRequest,
        follower: Follower,
        form: Hashable,
        shape: Shape,
        count: Callable[[int], None],
        *,
        silence: float | None = None,
        sign: bytes = b"",
    ) -> None:
        self.follower = follower
        self.form = form
        self.shape = shape
        self._request = request
        self._transport = request.transport
        self._count = count
        self._silence = silence
        self._sign = sign
        self._loop = asyncio.get_running_loop()
        self._sent = self._loop.time()

    def take(self, shaped: bytes, size: int) -> bool:
        """Write it to the socket; whether the socket took all of it."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        transport.write(shaped)
        self._sent = self._loop.time()
        self._count(size)
        return not transport.get_write_buffer_size()

    async def attend(self, stall: Watch) -> None:
        """Take what is live, in turn with others, until the follower has to look itself.

        Nothing waits to be written then. Raises `ConnectionError`, and what becomes of `stall`.
        """
        transport = self._transport
        if transport is None or transport.get_extra_info("sslcontext") is not None:
            return
        # what is not taken at once is to be noticed, and to be gone before more is written
        transport.set_write_buffer_limits(high=0)
        await self._drain(stall)
        audience = self.follower.log.audience
        while audience.admits(self.follower):
            if not await self._is_silent():
                await self._drain(stall)
            elif not transport.is_closing():
                transport.write(self._sign)
                self._sent = self._loop.time()

    async def _is_silent(self) -> bool:
        """Attend; whether that ended because there was nothing for too long."""
        until = None if self._silence is None else self._sent + self._silence
        try:
            async with asyncio.timeout_at(until):
                await self.follower.log.audience.attend(self)
        except TimeoutError:
            return True
        return False

    async def _drain(self, stall: Watch) -> None:
        stall.begin()
        await self._request.writer.drain()
        if self._request.transport is None:
            raise ConnectionResetError("the follower left")
        stall.end()


def note_cut(request: web.BaseRequest, follower: Follower) -> None:
    """Say in the log up to where a follower was sent anything who takes nothing."""
    log.info(
        "a follower took nothing and was cut",
        request_id=request[EXCHANGE].id,
        offset=follower.offset,
    )


def chunked(records: Sequence[bytes], *, whole: bool) -> Shaped:
    """One chunk of a chunked body."""
    data, size = plain(records, whole=whole)
    return b"%x\r\n%b\r\n" % (size, data), size


def plain(records: Sequence[bytes], *, whole: bool) -> Shaped:
    """Bytes of a body that ends with the connection."""
    data = records[0] if len(records) == 1 else b"".join(records)
    return data, len(data)


def http_seat(
    request: web.BaseRequest, follower: Follower, count: Callable[[web.BaseRequest, int], None]
) -> Seat:
    """For who is sent a body that grows, whose head is out."""
    shape = chunked if request.version >= (1, 1) else plain
    return Seat(request, follower, shape, shape, partial(count, request))
