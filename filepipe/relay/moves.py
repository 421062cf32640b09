"""What one relay does, a step at a time: `Intake` fills a file from a socket, `Outflow` empties it.

Rule 1: a step never waits; it moves at most `STEP` bytes and says what it waits for.
Rule 2: a move owns a duplicate of its socket, so that the number stays valid whatever the event
        loop does with its own; `close` is called once, on the worker's thread.
Rule 3: an intake leaves nothing in the pipe between two steps, so one pipe serves a whole worker.
"""

from __future__ import annotations

import array
import errno
import fcntl
import os
import termios
import time
from collections.abc import Callable
from enum import Enum, auto
from typing import Protocol

from filepipe.errors import Broken, DiskFull, FilepipeError, Stalled, StorageFailed, TooManyFiles

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
    OTHERS = auto()
    """The other moves of a passage must do something first."""
    DONE = auto()


class Home(Protocol):
    """The thread that moves live on, as they and the event loop see it."""

    load: int

    def submit(self, move: Move) -> None:
        """From any thread: take over `move`."""

    def cancel(self, move: Move) -> None:
        """From any thread: end `move` early."""

    def abandon(self, gauge: Gauge) -> None:
        """From any thread: nothing more will fill `gauge`."""

    def post(self, task: Callable[[], None]) -> None:
        """From any thread: run `task` on this one."""

    def resume(self, move: Move) -> None:
        """On the thread: `move` may step again, if it waits for others."""

    def end(self, move: Move, failure: FilepipeError | None) -> None:
        """On the thread: `move` is over."""

    def count(self, what: Shared) -> None:
        """On the thread: the event loop should hear, some time soon, that bytes moved."""


class Shared:
    """What several moves have in common; they live on one thread, its `home`."""

    __slots__ = ("home",)

    def __init__(self, home: Home) -> None:
        self.home = home


class Gauge(Shared):
    """How much of a file can be read, shared by the intake that fills it and its outflows.

    `size` only grows. `followers` are outflows that wait for growth; only the thread of the worker
    that is the gauge's `home` touches them.
    """

    __slots__ = ("broken", "fd", "followers", "size")

    def __init__(self, fd: int, size: int, home: Home) -> None:
        super().__init__(home)
        self.fd = fd
        self.size = size
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
    """What all directions share. `stall` is how many seconds the peer may move nothing."""

    verb = "took"
    """What the peer did, or did not do, with its bytes."""

    def __init__(self, sock: int, home: Home, stall: float) -> None:
        """Raises `TooManyFiles` when there is no descriptor left."""
        try:
            self.sock = os.dup(sock)
        except OSError as error:
            raise TooManyFiles("too many open files, try again later") from error
        self.home = home
        self.stall = stall
        self.moved = 0
        self.last_progress = time.monotonic()
        self.waits_for = Next.TURN
        self.watched = 0
        self.failure: FilepipeError | None = None

    def step(self, pipe: Pipe) -> Next:
        """Do what can be done now; raises `FilepipeError` when the move is over in failure."""
        raise NotImplementedError

    def begun(self) -> None:
        """The thread has taken it over."""

    def left(self, events: int) -> FilepipeError | None:
        """What it means that epoll says the peer has left; None: the next step finds out."""
        return None

    def ended(self) -> None:
        """It is over, for the reason in `failure`, and has let go of its descriptors."""

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

    verb = "sent"

    def __init__(self, sock: int, gauge: Gauge, length: int, stall: float) -> None:
        super().__init__(sock, gauge.home, stall)
        self.gauge = gauge
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


class Delivery(Move):
    """What gives bytes to its peer. A socket is writable only when much of its buffer is free.

    So a peer that is slow is told from one that takes nothing by what is left in the buffer.
    """

    _unsent = 0

    def stalled(self, now: float) -> bool:
        """Whether the peer has taken nothing for too long; to be asked about once a second."""
        if self.waits_for is Next.WRITABLE:
            unsent = waiting(self.sock, termios.TIOCOUTQ)
            if unsent < self._unsent:
                self.last_progress = now
            self._unsent = unsent
        return super().stalled(now)


def waiting(sock: int, queue: int) -> int:
    """How many bytes are in a socket's buffer: `FIONREAD` came in, `TIOCOUTQ` must go out."""
    size = array.array("i", [0])
    fcntl.ioctl(sock, queue, size)
    return size[0]


class Outflow(Delivery):
    """File to socket: the bytes from `start` to before `stop`, as they come into being."""

    def __init__(self, sock: int, gauge: Gauge, start: int, stop: int, stall: float) -> None:
        super().__init__(sock, gauge.home, stall)
        self.gauge = gauge
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

    def left(self, events: int) -> FilepipeError | None:
        """A reader that closes its sending half is gone, as it is for aiohttp."""
        return Broken("the reader left")

    def ended(self) -> None:
        """Nobody needs to wake it any more."""
        if self in self.gauge.followers:
            self.gauge.followers.remove(self)


def stalled_by(move: Move) -> Stalled:
    """The failure of a move whose peer was silent for too long."""
    return Stalled(f"the peer {move.verb} nothing for {move.stall:g} seconds")
