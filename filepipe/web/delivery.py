"""Whether a receiver's kernel has every byte: our own buffer is empty, and so is the socket's.

Rule: the socket's queue is asked through a duplicate, which outlives the transport: a receiver who
has everything may close at once, and that is no failure.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
import termios

from aiohttp import web

from filepipe.errors import Broken, Stalled, TooManyFiles
from filepipe.web.connection import Connection

CHECKED = 64 * 1024
"""Bytes of a body above which the socket's queue is asked."""

_ALERT = 128
"""Bytes with which TLS answers a peer that ends the connection, and which nobody acknowledges."""

_SOONEST, _LATEST = 0.001, 0.05
"""Seconds between two looks at the queue."""


class Delivery:
    """The last part of sending to one receiver; `with` it."""

    def __init__(self, request: web.BaseRequest, stall: float) -> None:
        self._request = request
        self._stall = stall
        self._fd = -1
        self._flushed = False
        transport = request.transport
        self._encrypted = transport is not None and bool(transport.get_extra_info("sslcontext"))

    def __enter__(self) -> Delivery:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def expect_large(self) -> None:
        """More than `CHECKED` bytes go out. Raises `TooManyFiles`."""
        transport = self._request.transport
        if self._fd >= 0 or transport is None or not hasattr(termios, "TIOCOUTQ"):
            return
        try:
            self._fd = os.dup(transport.get_extra_info("socket").fileno())
        except OSError as error:
            raise TooManyFiles("too many open files, try again later") from error

    def flushed(self) -> None:
        """Nothing of it is in our own buffer any more."""
        self._flushed = True

    async def complete(self) -> None:
        """Return when it is all there. Raises `Broken` or `Stalled`.

        After a cancellation `arrived` tells whether it was.
        """
        transport = self._request.transport
        if transport is None:
            raise Broken("the receiver left")
        # TLS calls a buffer full that has as many bytes as its limit, also none of them
        transport.set_write_buffer_limits(high=1 if self._encrypted else 0)
        try:
            await self._request.writer.drain()
            self._flushed = transport.get_write_buffer_size() == 0
            await self._emptied()
        except asyncio.CancelledError:
            # its end may be heard of in the same turn as that the last byte is out
            self._flushed = self._flushed or not self._request.protocol.writing_paused
            raise
        finally:
            if not transport.is_closing():  # else it has none, and what ended it is the news
                transport.set_write_buffer_limits()

    async def _emptied(self) -> None:
        clock = asyncio.get_running_loop().time
        pause, last, since = _SOONEST, -1, clock()
        while (left := self._queued()) > 0:
            if self._request.transport is None:
                raise Broken("the receiver left")
            if left != last:
                last, since = left, clock()
            elif clock() - since > self._stall:
                raise Stalled(f"the peer took nothing for {self._stall:g} seconds")
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LATEST)
        if self._dropped():
            raise Broken("the receiver left")

    def arrived(self) -> bool:
        """Whether it is all there, as far as can be told now."""
        if not self._flushed or self._queued() > (_ALERT if self._encrypted else 0):
            return False
        return not self._dropped()

    def _dropped(self) -> bool:
        """Whether the peer closed a unix socket with bytes unread: its queue is empty then, too."""
        if self._fd < 0:
            return False
        connection = self._request.protocol
        assert isinstance(connection, Connection)
        sock = socket.socket(fileno=self._fd)
        try:
            return sock.family == socket.AF_UNIX and (
                connection.failure is not None
                or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0
            )
        finally:
            sock.detach()

    def _queued(self) -> int:
        """Bytes that the peer's kernel has not acknowledged."""
        if self._fd < 0:
            return 0
        queued: int = struct.unpack("i", fcntl.ioctl(self._fd, termios.TIOCOUTQ, bytes(4)))[0]
        return queued
