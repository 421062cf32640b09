"""What one relay does, a step at a time: `Intake` fills a file from a socket, `Outflow` empties it.

Rule 1: a step never waits; it moves at most `STEP` bytes and says what it waits for.
Rule 2: a move owns a duplicate of its socket, so that the number stays valid whatever the event
        loop does with its own; `close` is called once, on the worker's thread.
Rule 3: an intake leaves nothing in the pipe between two steps, so one pipe serves a whole worker.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from enum import Enum, auto
from typing import TYPE_CHECKING

from filepipe.errors import Broken, DiskFull, FilepipeError, Stalled, StorageFailed, TooManyFiles

if TYPE_CHECKING:
    from filepipe.relay.worker import Worker

STEP = 1024 * 1024
"""Bytes of one step: the size of the pipe, and small enough to stay in the processor's cache
between the step that writes them and the step that reads them."""


class Next(Enum):
    """What a move waits for."""

    TURN = auto()
    """More can be done at once."""
    READABLE = auto()
    WRITABLE = auto()
    GROWTH = auto()
    """The file's end was reached; the gauge tells when there is more."""
    DONE = auto()


class Gauge:
    """How much of a file can be read, shared by the intake that fills it and its outflows.

    `size` only grows. `followers` are outflows that wait for growth; only the thread of the worker
    that is the gauge's `home` touches them.
    """

    __slots__ = ("broken", "fd", "followers", "home", "size")

    def __init__(self, fd: int, size: int, home: Worker) -> None:
        self.fd = fd
        self.size = size
        self.home = home
        self.broken = False
        self.followers: list[Outflow] = []


class Pipe:
    """The pair of descriptors through which `splice` moves bytes from a socket to a file."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.capacity = _enlarge(self.writing)

    def close(self) -> None:
        """Let go of both ends."""
        os.close(self.reading)
        os.close(self.writing)


def _enlarge(fd: int) -> int:
    """Ask for `STEP` bytes; an ordinary user's share of pipe memory may be used up."""
    try:
        return fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, STEP)
    except OSError:
        return fcntl.fcntl(fd, fcntl.F_GETPIPE_SZ)


class Move:
    """What both directions share. `stall` is how many seconds the peer may move nothing."""

    def __init__(self, sock: int, gauge: Gauge, stall: float) -> None:
        """Raises `TooManyFiles` when there is no descriptor left."""
        try:
            self.sock = os.dup(sock)
        except OSError as error:
            raise TooManyFiles("too many open files, try again later") from error
        self.gauge = gauge
        self.stall = stall
        self.moved = 0
        self.last_progress = time.monotonic()
        self.waits_for = Next.TURN
        self.failure: FilepipeError | None = None

    def step(self, pipe: Pipe) -> Next:
        """Do what can be done now; raises `FilepipeError` when the move is over in failure."""
        raise NotImplementedError

    def stalled(self, now: float) -> bool:
        """Whether the peer has been silent for too long."""
        return (
            self.waits_for in (Next.READABLE, Next.WRITABLE)
            and now - self.last_progress > self.stall
        )

    def begin_turn(self) -> None:
        """From now on it may move; the peer's patience was not tried before."""
        self.waits_for = Next.TURN
        self.last_progress = time.monotonic()

    def progressed(self, size: int) -> None:
        """Remember that `size` bytes moved."""
        self.moved += size
        self.last_progress = time.monotonic()

    def close(self) -> None:
        """Let go of the socket's duplicate."""
        os.close(self.sock)


class Intake(Move):
    """Socket to file: `length` bytes, at the gauge's size."""

    def __init__(self, sock: int, gauge: Gauge, length: int, stall: float) -> None:
        super().__init__(sock, gauge, stall)
        self.length = length

    def step(self, pipe: Pipe) -> Next:
        """Take what the socket has. Raises `Broken` when the peer leaves early, `DiskFull`."""
        want = min(self.length - self.moved, pipe.capacity)
        if want == 0:
            return Next.DONE
        try:
            got = os.splice(self.sock, pipe.writing, want, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return Next.READABLE
        except OSError as error:
            raise Broken("the sender's connection broke") from error
        if got == 0:
            raise Broken("the upload ended before its last byte")
        self._store(pipe, got)
        self.progressed(got)
        return Next.DONE if self.moved == self.length else Next.TURN

    def _store(self, pipe: Pipe, left: int) -> None:
        gauge = self.gauge
        while left:
            try:
                put = os.splice(pipe.reading, gauge.fd, left, offset_dst=gauge.size)
            except OSError as error:
                _empty(pipe)
                if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                    raise DiskFull("disk full, try again later") from error
                raise StorageFailed("the storage failed while writing") from error
            gauge.size += put
            left -= put


def _empty(pipe: Pipe) -> None:
    try:
        while os.read(pipe.reading, STEP):
            pass
    except BlockingIOError:
        pass


class Outflow(Move):
    """File to socket: the bytes from `start` to before `stop`, as they come into being."""

    def __init__(self, sock: int, gauge: Gauge, start: int, stop: int, stall: float) -> None:
        super().__init__(sock, gauge, stall)
        self.offset = start
        self.stop = stop

    def step(self, pipe: Pipe) -> Next:
        """Give what the file has. Raises `Broken` when the upload broke, or the reader left."""
        if self.offset >= self.stop:
            return Next.DONE
        gauge = self.gauge
        ready = min(gauge.size, self.stop) - self.offset
        if gauge.broken:
            raise Broken("the upload broke off")
        if ready <= 0:
            return Next.GROWTH
        try:
            sent = os.sendfile(self.sock, gauge.fd, self.offset, min(ready, STEP))
        except BlockingIOError:
            return Next.WRITABLE
        except OSError as error:
            if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ETIMEDOUT):
                raise Broken("the reader left") from error
            raise StorageFailed("the storage failed while reading") from error
        if sent == 0:
            raise StorageFailed("the storage holds less than was written")
        self.offset += sent
        self.progressed(sent)
        return Next.DONE if self.offset == self.stop else Next.TURN


def stalled_by(move: Move) -> Stalled:
    """The failure of a move whose peer was silent for too long."""
    side = "sent" if isinstance(move, Intake) else "took"
    return Stalled(f"the peer {side} nothing for {move.stall:g} seconds")
