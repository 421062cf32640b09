"""From one socket to several, without a file: a `Source` fills the first pipe, each `Sink` empties.

Rule 1: bytes are taken from the source only while the first pipe is empty. So the slowest sink sets
        the pace, and "nothing there" can only mean the socket, never a full pipe.
Rule 2: a sink gets by tee what the first pipe begins with, and is *ahead* by so much until all the
        others have it too; only then it leaves the first pipe. So no byte is lost or repeated,
        whatever the sizes of the pipes. A sink that is alone empties the first pipe itself.
Rule 3: no sink gets the last bytes before the event loop has agreed.
"""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Callable
from contextlib import ExitStack

from filepipe.errors import Broken, FilepipeError, TooManyFiles
from filepipe.relay.moves import Delivery, Home, Move, Next, Pipe, Shared, waiting
from filepipe.relay.tee import tee


class Passage(Shared):
    """What a source and its sinks share. Only the thread of its `home` touches what changes."""

    def __init__(
        self, sock: int, length: int, count: int, idle: float, stall: float, home: Home
    ) -> None:
        """`length` bytes go from `sock`, which may be silent for `idle` seconds, to `count` sinks.

        Each of them may take nothing for `stall` seconds. Raises `TooManyFiles`.
        """
        super().__init__(home)
        self.length = length
        self.stall = stall
        self.shared = count > 1
        self.awaited = count
        self.sinks: list[Sink] = []
        self.finished = 0
        self.held = 0
        self.flows = False
        self.over = False
        self.agreed = False
        self._ask: Callable[[], object] | None = None
        self._asked = False
        self.source = Source(sock, self, idle)

    # -- on the thread, by order of the event loop

    def open(self, ask: Callable[[], object]) -> None:
        """Bytes may move; `ask` is called when only the last ones are left."""
        self._ask = ask
        self._begin_or_end()

    def excuse(self) -> None:
        """One sink less will come."""
        self.awaited -= 1
        self._begin_or_end()

    def agree(self) -> None:
        """The last bytes may go."""
        self.agreed = True
        for sink in self.sinks:
            self.home.resume(sink)

    # -- on the thread, by its moves

    def join(self, sink: Sink) -> None:
        """A sink has come."""
        self.sinks.append(sink)
        self.excuse()

    def leave(self, sink: Sink) -> None:
        """A sink has all it wanted, or is gone."""
        if self.over:
            return
        if sink in self.sinks:
            self.sinks.remove(sink)
        else:
            self.awaited -= 1
        self.finished += sink.failure is None
        self._advance()
        self._begin_or_end()

    def wants(self) -> bool:
        """Whether bytes should be taken."""
        return self._complete() and self.held == 0 and not self._asked

    def take(self, size: int, wanted: int) -> None:
        """Of `wanted` bytes the first pipe has got `size`."""
        self.held = size
        self.flows = size == wanted
        self.home.count(self)
        if self.source.moved < self.length:
            self._advance()
        else:
            assert self._ask is not None
            self._asked = True
            self._ask()

    def serve(self, sink: Sink) -> None:
        """Let a sink whose pipe is empty have bytes, if there are any. Raises `Broken`."""
        if not self.held or sink.ahead or (self._asked and not self.agreed):
            return
        first = self.source.pipe
        if len(self.sinks) == 1:
            sink.reading, sink.queued = first.reading, self.held
            return
        assert sink.pipe is not None
        try:
            sink.queued = sink.ahead = tee(first.reading, sink.pipe.writing, self.held)
        except OSError as error:
            raise Broken("the system does not copy between pipes") from error
        self._advance()

    def emptied(self, size: int) -> None:
        """The only sink has taken `size` bytes out of the first pipe."""
        self.held -= size
        self._advance()

    def _complete(self) -> bool:
        """Whether all have come: the source's handler, and each sink or word of its absence."""
        return self._ask is not None and self.awaited == 0

    def _begin_or_end(self) -> None:
        """All may have come now, or gone."""
        if not self._complete():
            return
        if self.sinks:
            self.home.resume(self.source)
        else:
            failure = None if self.finished else Broken("every receiver left")
            self.home.end(self.source, failure)

    def _advance(self) -> None:
        """Drop what every sink has, and let those go on that have waited for it."""
        size = min((sink.ahead for sink in self.sinks), default=0)
        self.held -= size
        self.source.drop(size)
        for sink in self.sinks:
            sink.ahead -= size
            if self.held and not sink.ahead:
                self.home.resume(sink)
        if not self.held:
            self.home.resume(self.source)


class Source(Move):
    """Socket to the first pipe. It is over when the last sink is."""

    verb = "sent"

    def __init__(self, sock: int, passage: Passage, idle: float) -> None:
        super().__init__(sock, passage.home, idle)
        self.passage = passage
        try:
            with ExitStack() as undo:
                undo.callback(os.close, self.sock)
                self.pipe = Pipe()
                undo.callback(self.pipe.close)
                self._nothing = os.open(os.devnull, os.O_WRONLY) if passage.shared else -1
                undo.pop_all()
        except OSError as error:
            raise TooManyFiles("too many open files, try again later") from error

    def step(self, pipe: Pipe) -> Next:
        """Take what the socket has. Raises `Broken` when the sender leaves early."""
        passage = self.passage
        if not passage.wants():
            return Next.OTHERS
        want = min(passage.length - self.moved, self.pipe.capacity)
        if want:
            try:
                got = os.splice(self.sock, self.pipe.writing, want, flags=os.SPLICE_F_NONBLOCK)
            except BlockingIOError:
                return Next.READABLE
            except OSError as error:
                raise Broken("the sender's connection broke") from error
            if got == 0:
                raise Broken("the sender left before its last byte")
            self.progressed(got)
            passage.take(got, want)
        else:
            passage.take(0, 0)
        return Next.OTHERS

    def drop(self, size: int) -> None:
        """Take `size` bytes out of the first pipe, which all sinks have a copy of."""
        while size:
            size -= os.splice(self.pipe.reading, self._nothing, size)

    def left(self, events: int) -> FilepipeError | None:
        """A sender may end its half when the rest is in the socket's buffer already."""
        missing = self.passage.length - self.moved
        if missing == 0:
            return None
        if events & select.EPOLLERR:
            return Broken("the sender's connection broke")
        if waiting(self.sock, termios.FIONREAD) < missing:
            return Broken("the sender left before its last byte")
        return None

    def ended(self) -> None:
        """Nobody gets more than the source had."""
        self.passage.over = True
        for sink in list(self.passage.sinks):
            self.home.end(sink, Broken("the transfer broke off"))

    def close(self) -> None:
        """Let go of the socket's duplicate and the first pipe."""
        super().close()
        self.pipe.close()
        if self._nothing >= 0:
            os.close(self._nothing)


class Sink(Delivery):
    """The first pipe to a socket, by way of a pipe of its own where there are several sinks."""

    def __init__(self, sock: int, passage: Passage) -> None:
        """Raises `TooManyFiles` when there is no descriptor left."""
        super().__init__(sock, passage.home, passage.stall)
        self.passage = passage
        self.pipe: Pipe | None = None
        self.reading = -1
        self.queued = 0
        self.ahead = 0
        if passage.shared:
            try:
                self.pipe = Pipe()
            except OSError as error:
                super().close()
                raise TooManyFiles("too many open files, try again later") from error
            self.reading = self.pipe.reading

    def step(self, pipe: Pipe) -> Next:
        """Give what there is. Raises `Broken` when the receiver left."""
        passage = self.passage
        if not self.queued:
            passage.serve(self)
        if not self.queued:
            over = passage.agreed and self.moved == passage.length
            return Next.DONE if over else Next.OTHERS
        flags = os.SPLICE_F_NONBLOCK
        if passage.flows and self.moved + self.queued < passage.length:
            flags |= os.SPLICE_F_MORE  # fewer, fuller packets
        try:
            sent = os.splice(self.reading, self.sock, self.queued, flags=flags)
        except BlockingIOError:
            return Next.WRITABLE
        except OSError as error:
            raise Broken("the receiver left") from error
        self.queued -= sent
        self.progressed(sent)
        if self.reading == passage.source.pipe.reading:
            passage.emptied(sent)
        if self.moved == passage.length:
            return Next.DONE  # at once: a receiver that has everything may close
        return Next.WRITABLE if self.queued else Next.TURN

    def begun(self) -> None:
        """It counts among those who have come."""
        if self.passage.over:
            self.home.end(self, Broken("the transfer broke off"))
        else:
            self.passage.join(self)

    def left(self, events: int) -> FilepipeError | None:
        """A receiver that closes its sending half is gone, as it is for the event loop."""
        return Broken("the receiver left")

    def ended(self) -> None:
        """The others go on."""
        self.passage.leave(self)

    def close(self) -> None:
        """Let go of the socket's duplicate and the pipe."""
        super().close()
        if self.pipe is not None:
            self.pipe.close()
