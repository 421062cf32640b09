"""Who waits under which key for a writer, in the order of coming.

Rule: whoever waits is entered once and taken out again in a `finally`; a place that was given to
somebody who has left meanwhile is handed back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from filepipe.errors import Draining, TooManyKeys
from filepipe.keys import Key


class Place(Protocol):
    """What a waiter may be given: a seat at a rendezvous."""

    def leave(self) -> None:
        """Nobody will use it."""


@dataclass(eq=False, slots=True)
class Waiter:
    """One who waits.

    `guest` is what a host gets to see of him; one without is only told that there is something to
    look at. `number` is how many receivers he states that there will be, None for any.
    """

    guest: object | None
    number: int | None
    given: asyncio.Future[Place | None] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    def give(self, place: Place | None) -> None:
        """Let him go on, with a place or only to look again."""
        if not self.given.done():
            self.given.set_result(place)


class WaitingRoom:
    """Everybody who waits; `most` bounds their number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiters: dict[Key, list[Waiter]] = {}
        self._count = 0
        self.closed = False

    def __len__(self) -> int:
        return self._count

    def keys(self) -> dict[Key, int]:
        """How many wait under each key."""
        return {key: len(waiters) for key, waiters in self._waiters.items()}

    def at(self, key: Key) -> Iterator[Waiter]:
        """Those who wait under `key` and have not been told yet, the first one first."""
        return (waiter for waiter in list(self._waiters.get(key, ())) if not waiter.given.done())

    def wake(self, key: Key) -> None:
        """There is something to look at under `key`."""
        for waiter in self.at(key):
            waiter.give(None)

    def close(self) -> None:
        """Nobody waits any more."""
        self.closed = True
        for key in list(self._waiters):
            self.wake(key)

    async def wait(
        self, key: Key, seconds: float, guest: object | None = None, number: int | None = None
    ) -> Place | None:
        """Wait once, for at most `seconds`; None says to look again.

        Raises `Draining` and `TooManyKeys` when it may not.
        """
        if self.closed:
            raise Draining("server is shutting down")
        if self._count >= self._most:
            raise TooManyKeys("too many waiting readers, try again later")
        waiter = Waiter(guest, number)
        timer = asyncio.get_running_loop().call_later(seconds, waiter.give, None)
        waiters = self._waiters.setdefault(key, [])
        waiters.append(waiter)
        self._count += 1
        try:
            return await waiter.given
        except BaseException:
            if waiter.given.done() and not waiter.given.cancelled():
                place = waiter.given.result()
                if place is not None:
                    place.leave()
            raise
        finally:
            timer.cancel()
            waiters.remove(waiter)
            self._count -= 1
            if not waiters and self._waiters.get(key) is waiters:
                del self._waiters[key]
