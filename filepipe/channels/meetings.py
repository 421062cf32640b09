"""Rendezvous under keys: who offers, who takes, and which of them belong together.

Decided without an await, so that a sender and a receiver that come at the same moment meet.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from filepipe.channels.channel import Channel, Kind, Metadata
from filepipe.channels.directory import Directory
from filepipe.channels.rendezvous import Rendezvous, Seat
from filepipe.errors import Broken, Conflict, InTransfer, SeatsTaken, SenderPresent, WrongNumber
from filepipe.keys import Key


class Meetings:
    """Every rendezvous that is not over, beside the directory that owns the keys."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._rendezvous: dict[Rendezvous, None] = {}

    def __iter__(self) -> Iterator[Rendezvous]:
        return iter(list(self._rendezvous))

    def busy(self) -> int:
        """How many transfers are under way."""
        return sum(rendezvous.closed for rendezvous in self._rendezvous)

    def cut(self) -> None:
        """End every transfer."""
        for rendezvous in self:
            if rendezvous.open:
                rendezvous.break_off(Broken("the daemon stopped"))

    # -- senders

    def offer(self, key: Key, number: int, meta: Metadata) -> Rendezvous:
        """Take the key for a sender, and seat those who wait for one.

        Raises `InTransfer`, `SenderPresent`, `Conflict`, `WrongNumber`, `Draining`, `TooManyKeys`.
        """
        self._check_free(key)
        stated = self._stated(key)
        if stated and stated[0] != number:
            raise WrongNumber(stated[0], number)
        directory = self._directory
        rendezvous = Rendezvous(key, Kind.RENDEZVOUS, number, directory, self._over)
        directory.enter(rendezvous)
        rendezvous.meta = meta
        rendezvous.on_whole = lambda: directory.forget(rendezvous)
        self._rendezvous[rendezvous] = None
        for waiter in directory.room.at(key):
            if waiter.guest is not None and not rendezvous.closed:
                waiter.give(rendezvous.sit(waiter.guest))
        if not rendezvous.closed:
            directory.room.wake(key)
        return rendezvous

    def _check_free(self, key: Key) -> None:
        present = self._directory.present(key)
        if isinstance(present, Rendezvous):
            if present.closed:
                raise InTransfer("a transfer is under way on this key")
            raise SenderPresent("another sender waits on this key")
        if present is not None:
            raise Conflict("key already exists")

    def _over(self, rendezvous: Rendezvous) -> None:
        self._rendezvous.pop(rendezvous, None)

    # -- receivers

    async def take(
        self,
        guest: object,
        key: Key,
        seconds: float,
        number: int | None = None,
        *,
        strict: bool = False,
    ) -> Channel | Seat | None:
        """A seat among all that there are to be, or the pipe that is there.

        At the latest after `seconds`; None if not enough have come. A sender who leaves before
        takes nobody with him. `guest` is what the sender's side gets to see of the receiver;
        `number` is how many receivers the caller states that there are. A `strict` one does not
        queue behind a transfer, nor behind as many receivers as there are to be. Raises
        `WrongNumber`, `InTransfer`, `SeatsTaken`, `Draining`, `TooManyKeys`.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = self._meet(guest, key, number, strict=strict)
            left = max(0.0, deadline - time.monotonic())
            if found is None and left:
                self._check_others(key, number, strict=strict)
                place = await self._directory.room.wait(key, left, guest, number)
                if place is None:
                    continue
                assert isinstance(place, Seat)
                found, left = place, max(0.0, deadline - time.monotonic())
            if not isinstance(found, Seat) or await found.gathered(left):
                return found
            if time.monotonic() >= deadline:
                return None

    def _meet(
        self, guest: object, key: Key, number: int | None, *, strict: bool
    ) -> Channel | Seat | None:
        present = self._directory.present(key)
        if not isinstance(present, Rendezvous):
            return self._directory.find(key)
        if present.closed:
            if strict:
                raise InTransfer("a transfer is under way on this key")
            return None
        if number is not None and number != present.number:
            raise WrongNumber(present.number, number)
        return present.sit(guest)

    def _check_others(self, key: Key, number: int | None, *, strict: bool) -> None:
        stated = self._stated(key)
        if number is None or not stated:
            return
        if stated[0] != number:
            raise WrongNumber(stated[0], number)
        if strict and len(stated) >= number:
            raise SeatsTaken("as many receivers as were asked for wait already")

    def _stated(self, key: Key) -> list[int]:
        """What those who wait say of the number of receivers."""
        waiters = self._directory.room.at(key)
        return [waiter.number for waiter in waiters if waiter.number is not None]
