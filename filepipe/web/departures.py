"""Sees a peer leave whose connection is not read: its FIN or reset, within the loop's next turn.

A sender waits with his body unread, so the transport is paused and tells nothing. One epoll, which
the event loop watches like any descriptor, tells of the end of the connections alone. Where there
is no epoll, a peer is missed when his body is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import select
import socket
import struct
import termios
from collections.abc import Iterator
from typing import Protocol

from filepipe.errors import TooManyFiles

_LEFT = getattr(select, "EPOLLRDHUP", 0)
_BROKEN = getattr(select, "EPOLLERR", 0)  # a unix socket's FIN is a hang-up

PEEKED = 8 * 1024 * 1024
"""Bytes of unread body that are looked at for its end; more does no kernel hold by default."""

AHEAD = 1024 * 1024
"""Bytes of a body that may be on their way between the kernel and whoever reads it."""


class Tell(Protocol):
    """Hears that a peer has left."""

    def __call__(self, fd: int, *, reset: bool) -> None:
        """`fd` is the socket, ours for as long as it is watched; `reset` if not by a FIN."""


class Departures:
    """Owns the epoll; opened with the first watch, closed by `close`."""

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._told: dict[int, Tell] = {}

    @contextlib.contextmanager
    def watch(self, sock: socket.socket, tell: Tell) -> Iterator[None]:
        """Call `tell` if the peer leaves meanwhile: once for a FIN, once for a reset.

        Raises `TooManyFiles`.
        """
        if not _LEFT:
            yield
            return
        fd = self._register(sock)
        self._told[fd] = tell
        try:
            yield
        finally:
            del self._told[fd]
            assert self._epoll is not None
            self._epoll.unregister(fd)
            os.close(fd)

    def close(self) -> None:
        """Watch nobody any more."""
        if self._epoll is not None:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()

    def _register(self, sock: socket.socket) -> int:
        """Watch a duplicate: the transport may close its own number before we know of it."""
        try:
            if self._epoll is None:
                self._epoll = select.epoll()
                loop = asyncio.get_running_loop()
                loop.add_reader(self._epoll.fileno(), self._look)
            fd = os.dup(sock.fileno())
        except OSError as error:
            raise TooManyFiles("too many open files, try again later") from error
        try:
            self._epoll.register(fd, _LEFT | select.EPOLLONESHOT)
        except OSError as error:
            os.close(fd)
            raise TooManyFiles("too many open files, try again later") from error
        return fd

    def _look(self) -> None:
        assert self._epoll is not None
        for fd, events in self._epoll.poll(0):
            if (tell := self._told.get(fd)) is not None:
                if events == _LEFT:
                    self._epoll.modify(fd, select.EPOLLONESHOT)
                tell(fd, reset=bool(events & _BROKEN))


def may_be_whole(fd: int, missing: int | None, *, secure: bool) -> bool:
    """Whether what is on its way from `fd` can be the rest of a body whose sender is gone.

    `missing` are the bytes that nobody has read yet; None for a chunked body, whose last bytes
    are then looked at (RFC 9112, 7.1), unless they are encrypted.
    """
    unread: int = struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]
    if missing is not None:
        return unread + AHEAD >= missing
    if unread == 0 or unread > PEEKED or secure:
        return True
    sock = socket.socket(fileno=fd)
    try:
        return sock.recv(unread, socket.MSG_PEEK | socket.MSG_DONTWAIT).endswith(b"\r\n\r\n")
    finally:
        sock.detach()
