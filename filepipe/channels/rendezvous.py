"""A rendezvous: one sender and exactly n receivers, live; nothing is kept.

Rule 1: it gathers until all seats are taken; who leaves before that frees his seat.
Rule 2: then it is closed: it starts with those who are there, and goes on while one of them is.
Rule 3: its key is free before a receiver can have the last byte.
Rule 4: it is over when its channel has ended and nobody sits any more; that is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum
from types import TracebackType
from typing import Protocol

from filepipe.channels.channel import READ_SIZE, Channel, Kind, Metadata, Reader
from filepipe.channels.retention import Retention
from filepipe.channels.state import Event, State
from filepipe.channels.window import Window, Windows
from filepipe.errors import Broken, Draining, Gone
from filepipe.keys import Key
from filepipe.storage.interface import Blob


class Happening(Enum):
    """What a sender may want to hear."""

    CONNECTED = "connected"
    ABORTED = "aborted"
    SENT = "sent"
    """Every byte of the body was taken from him."""


class Host(Protocol):
    """Who keeps the keys of rendezvous."""

    def changed(self, channel: Channel) -> None:
        """It was published or ended; a reader came or left."""

    def waste(self, blob: Blob) -> None:
        """Nobody needs the bytes any more."""


class Rendezvous(Channel):
    """A channel with a given number of seats; `on_over` is called once, at the end."""

    __slots__ = (
        "_on_over", "aborted", "closed", "deserted", "number", "on_absent", "on_happening",
        "received", "seats", "touched",
    )  # fmt: skip

    def __init__(
        self,
        key: Key,
        kind: Kind,
        number: int,
        host: Host,
        on_over: Callable[[Rendezvous], None],
    ) -> None:
        super().__init__(key, kind, Retention(after_end=0.0), host.changed, host.waste)
        self.number = number
        self.seats: list[Seat] = []
        self.closed = False
        self.received = 0
        self.aborted = 0
        self.touched = False
        """Whether a receiver may have been sent a byte of the body."""
        self.deserted = False
        """Whether everybody left, none with everything, while the sender was there."""
        self.on_happening: Callable[[Happening], None] | None = None
        self.on_absent: Callable[[Seat], None] | None = None
        """Called when one who sat down leaves before he began to read."""
        self._on_over: Callable[[Rendezvous], None] | None = on_over

    def __repr__(self) -> str:
        return f"<Rendezvous {self.key!r} {self.state.value} {len(self.seats)} of {self.number}>"

    @property
    def open(self) -> bool:
        """Whether bytes may still come."""
        return self.state in (State.CLAIMED, State.WRITING)

    # -- the receivers' side

    def sit(self, guest: object) -> Seat:
        """Let `guest` have a free seat; the last one closes the rendezvous."""
        assert not self.closed, self
        seat = Seat(self, guest)
        self.seats.append(seat)
        self.closed = len(self.seats) == self.number
        self._tell(Happening.CONNECTED)
        self.wake()
        return seat

    def stand_up(self, seat: Seat, *, received: bool) -> None:
        """The seat's owner has everything, or leaves."""
        self.seats.remove(seat)
        if received:
            self.received += 1
        elif self.closed:
            self._abort(seat)
        if seat.reader is not None:
            seat.reader.window.leave(seat.reader)
            self.left()
        if self.closed and not self.seats and not self.received:
            self.deserted = self.failure is None
            if self.open:
                self.break_off(Broken("every receiver left"))
        self.wake()
        self._look()

    def touch(self) -> None:
        """From now on a receiver may have a byte."""
        if not self.touched:
            self.touched = True
            self.wake()

    def _abort(self, seat: Seat) -> None:
        self.aborted += 1
        self._tell(Happening.ABORTED)
        if self.on_absent is not None and not seat.began:
            self.on_absent(seat)

    def _tell(self, happening: Happening) -> None:
        if self.on_happening is not None:
            self.on_happening(happening)

    # -- the sender's side

    async def gathered(self) -> None:
        """Return when everybody is there. Raises why there will be no transfer."""
        while not self.closed:
            self._check()
            await self.progress()
        self._check()

    def _check(self) -> None:
        if self.failure is not None:
            raise self.failure

    async def start(self, windows: Windows, meta: Metadata) -> None:
        """Let those who sit read. Raises `OverBudget`, and what broke the channel."""
        self._check()
        await self.publish(windows, meta)
        window = self.blob
        assert isinstance(window, Window)
        for seat in self.seats:
            seat.reader = Receiver(self, window)
            self.joined()

    async def tried(self) -> None:
        """Return when a byte may have been sent. Raises why none will be."""
        while not self.touched:
            self._check()
            await self.progress()

    async def settled(self) -> None:
        """Return when nobody sits any more."""
        while self.seats:
            await self.progress()

    def _end(self, event: Event) -> None:
        super()._end(event)
        if event is Event.FINISH:
            self._tell(Happening.SENT)
        self._look()

    def _look(self) -> None:
        if not self.open and not self.seats and self._on_over is not None:
            tell, self._on_over = self._on_over, None
            tell(self)


class Receiver(Reader):
    """Reads a window; what it was given before is taken when it asks for more."""

    __slots__ = ("window",)

    def __init__(self, channel: Channel, window: Window) -> None:
        super().__init__(channel)
        self.window = window
        window.enter(self)

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """As `Reader.read`."""
        self.window.took(self, self.offset)
        return await super().read(limit)


class Seat:
    """A receiver's place: `with` it; leaving without `received` is an abort."""

    __slots__ = ("began", "guest", "reader", "rendezvous", "taken")

    def __init__(self, rendezvous: Rendezvous, guest: object) -> None:
        self.rendezvous = rendezvous
        self.guest = guest
        self.taken = True
        self.began = False
        self.reader: Receiver | None = None

    def __enter__(self) -> Seat:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leave()

    async def gathered(self, seconds: float) -> bool:
        """Whether everybody is there within `seconds`; if not, the seat is left.

        Raises `Draining` or `Gone`.
        """
        rendezvous = self.rendezvous
        try:
            async with asyncio.timeout(seconds):
                while not rendezvous.closed and rendezvous.failure is None:
                    await rendezvous.progress()
        except TimeoutError:
            pass
        except BaseException:
            self.leave()
            raise
        if not rendezvous.closed:
            self.leave()
            if isinstance(rendezvous.failure, Draining | Gone):
                raise rendezvous.failure
        return rendezvous.closed

    async def started(self) -> Receiver:
        """The way to the bytes, when they come. Raises `Broken`, `Draining` or `Gone`."""
        rendezvous = self.rendezvous
        while self.reader is None:
            if rendezvous.state is not State.CLAIMED:
                raise _told(rendezvous)
            await rendezvous.progress()
        if rendezvous.failure is not None:
            raise _told(rendezvous)
        return self.reader

    def received(self) -> None:
        """Every byte has reached the receiver."""
        if self.taken:
            self.taken = False
            self.rendezvous.stand_up(self, received=True)

    def leave(self) -> None:
        """The receiver goes, if he has not gone yet."""
        if self.taken:
            self.taken = False
            self.rendezvous.stand_up(self, received=False)


def _told(rendezvous: Rendezvous) -> Exception:
    """Why a receiver gets nothing; a sender's own fault is not his."""
    failure = rendezvous.failure
    if isinstance(failure, Draining | Gone):
        return failure
    broken = Broken("the sender did not deliver")
    broken.__cause__ = failure
    return broken
