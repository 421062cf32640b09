"""Queues: under each key a line of producers and a line of consumers, handed over pair by pair.

Rule 1: both lines are served in the order of coming, and one pair at a time.
Rule 2: a message of which no byte was sent to its consumer, who left, goes to the next one: its
        producer stands first in the line again.
Rule 3: a line that nobody stands in is not there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from filepipe.channels.channel import Channel, Kind, Metadata
from filepipe.channels.rendezvous import Rendezvous, Seat
from filepipe.errors import Broken, Conflict, Draining, FilepipeError, Gone, TooManyKeys
from filepipe.keys import Key
from filepipe.storage.interface import Blob

_Given = TypeVar("_Given")


class Offer:
    """A producer's place in the line: `with` it, and ask for a pair until one has worked.

    Leaving it ends a pair that is still under way.
    """

    def __init__(
        self, meta: Metadata, leave: Callable[[Offer, BaseException | None], None]
    ) -> None:
        self.meta = meta
        self.paired: asyncio.Future[Rendezvous] = asyncio.get_running_loop().create_future()
        self._leave = leave

    def __enter__(self) -> Offer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._leave(self, error)

    async def pair(self, seconds: float | None = None) -> Rendezvous | None:
        """The rendezvous with the next consumer; None after `seconds`, if they are given.

        When a pair ended `unbegun`, ask again. Raises `Draining` or `Gone`.
        """
        return await _within(self.paired, seconds)


def unbegun(rendezvous: Rendezvous) -> bool:
    """Whether the consumer left before it could have a byte: another one gets the message."""
    return rendezvous.deserted and not rendezvous.touched


class _Line:
    """Those who wait under one key."""

    __slots__ = ("consumers", "producers", "running")

    def __init__(self) -> None:
        self.producers: deque[Offer] = deque()
        self.consumers: deque[tuple[object, asyncio.Future[Seat]]] = deque()
        self.running: tuple[Rendezvous, Offer] | None = None

    def __len__(self) -> int:
        return len(self.producers) + len(self.consumers)


class Queues:
    """Every line; `most` bounds those who wait in all of them together.

    `is_taken` tells of a key that is in use otherwise.
    """

    def __init__(
        self, most: int, waste: Callable[[Blob], None], is_taken: Callable[[Key], bool]
    ) -> None:
        self.redelivered = 0
        self.waste = waste
        self._most = most
        self._is_taken = is_taken
        self._lines: dict[Key, _Line] = {}
        self._waiting = 0
        self._draining = False

    def __iter__(self) -> Iterator[Rendezvous]:
        running = [line.running for line in self._lines.values()]
        return iter([pair[0] for pair in running if pair is not None])

    def waiting(self) -> dict[Key, tuple[int, int]]:
        """How many producers and consumers wait under each key; keys without any are left out."""
        return {
            key: (len(line.producers), len(line.consumers))
            for key, line in self._lines.items()
            if line
        }

    def occupied(self) -> list[Key]:
        """Every key under which somebody waits or a pair is under way."""
        return list(self._lines)

    def is_written(self, key: Key) -> bool:
        """Whether a producer is there, waiting or at work."""
        line = self._lines.get(key)
        return line is not None and (bool(line.producers) or line.running is not None)

    def busy(self) -> int:
        """How many pairs are under way."""
        return sum(1 for _ in self)

    # -- producers

    def offer(self, key: Key, meta: Metadata) -> Offer:
        """Stand in the line of producers. Raises `Conflict`, `Draining` or `TooManyKeys`."""
        if self._is_taken(key):
            raise Conflict("key already exists")
        line = self._enter(key)
        offer = Offer(meta, lambda offer, error: self._withdraw(key, offer, error))
        line.producers.append(offer)
        self._match(key, line)
        return offer

    def first(self, key: Key) -> Offer | None:
        """The producer that the next consumer will meet, if one waits."""
        line = self._lines.get(key)
        producers = () if line is None else line.producers
        return next((offer for offer in producers if not offer.paired.done()), None)

    def _withdraw(self, key: Key, offer: Offer, error: BaseException | None) -> None:
        line = self._lines.get(key)
        if line is None:
            return
        if offer in line.producers:
            line.producers.remove(offer)
            self._waiting -= 1
            self._tidy(key, line)
        elif line.running is not None and line.running[1] is offer and line.running[0].open:
            failure = error if isinstance(error, FilepipeError) else Broken("the sender left")
            line.running[0].break_off(failure)

    # -- consumers

    async def take(self, guest: object, key: Key, seconds: float | None) -> Seat | None:
        """A seat opposite the next producer; None after `seconds`, if they are given.

        `guest` is what the producer's side gets to see of the consumer. Raises `Draining`, `Gone`
        or `TooManyKeys`.
        """
        line = self._enter(key)
        waiter: asyncio.Future[Seat] = asyncio.get_running_loop().create_future()
        consumer = (guest, waiter)
        line.consumers.append(consumer)
        self._match(key, line)
        try:
            return await _within(waiter, seconds)
        except BaseException:
            if _is_given(waiter):
                waiter.result().leave()
            raise
        finally:
            if consumer in line.consumers:
                line.consumers.remove(consumer)
                self._waiting -= 1
                self._tidy(key, line)

    # -- pairs

    def _enter(self, key: Key) -> _Line:
        if self._draining:
            raise Draining("server is shutting down")
        if self._waiting >= self._most:
            raise TooManyKeys("too many waiting requests, try again later")
        self._waiting += 1
        return self._lines.setdefault(key, _Line())

    def _match(self, key: Key, line: _Line) -> None:
        self._purge(line)
        if line.running is None and line.producers and line.consumers:
            offer, (guest, waiter) = line.producers.popleft(), line.consumers.popleft()
            self._waiting -= 2
            rendezvous = Rendezvous(key, Kind.QUEUE, 1, self, self._over)
            line.running = (rendezvous, offer)
            waiter.set_result(rendezvous.sit(guest))
            offer.paired.set_result(rendezvous)

    def _purge(self, line: _Line) -> None:
        """Forget those at the head of a line who are being cancelled just now."""
        while line.producers and line.producers[0].paired.done():
            line.producers.popleft()
            self._waiting -= 1
        while line.consumers and line.consumers[0][1].done():
            line.consumers.popleft()
            self._waiting -= 1

    def _over(self, rendezvous: Rendezvous) -> None:
        line = self._lines[rendezvous.key]
        assert line.running is not None
        offer = line.running[1]
        line.running = None
        if unbegun(rendezvous):
            self._put_back(line, offer)
        self._match(rendezvous.key, line)
        self._tidy(rendezvous.key, line)

    def _put_back(self, line: _Line, offer: Offer) -> None:
        """Let the producer of a pair that did not begin wait again, as the first one."""
        offer.paired = asyncio.get_running_loop().create_future()
        if self._draining:
            _fail(offer.paired, Draining("server is shutting down"))
            return
        self.redelivered += 1
        line.producers.appendleft(offer)
        self._waiting += 1

    def _tidy(self, key: Key, line: _Line) -> None:
        if not line and line.running is None and self._lines.get(key) is line:
            del self._lines[key]

    def changed(self, channel: Channel) -> None:
        """A pair is not found by its key: as soon as it has ended, nobody can join it."""
        if not channel.forgotten and channel.ended is not None:
            channel.forget()

    # -- ends

    def remove(self, key: Key) -> bool:
        """End everybody who waits under `key` with `Gone`, and cut its pair; False if nobody is."""
        line = self._lines.get(key)
        if line is None:
            return False
        self._dismiss(line, Gone("the channel was removed"))
        if line.running is not None and line.running[0].open:
            line.running[0].break_off(Gone("the channel was removed"))
        self._tidy(key, line)
        return True

    def drain(self) -> None:
        """Take nothing new; everybody who waits gets `Draining` at once."""
        self._draining = True
        for key, line in list(self._lines.items()):
            self._dismiss(line, Draining("server is shutting down"))
            self._tidy(key, line)

    def cut(self) -> None:
        """End every transfer."""
        self.drain()
        for rendezvous in self:
            if rendezvous.open:
                rendezvous.break_off(Broken("the daemon stopped"))

    def _dismiss(self, line: _Line, failure: FilepipeError) -> None:
        self._waiting -= len(line)
        waiters: list[asyncio.Future[Any]] = [offer.paired for offer in line.producers]
        waiters += [waiter for _, waiter in line.consumers]
        for waiter in waiters:
            if not waiter.done():
                _fail(waiter, failure)
        line.producers.clear()
        line.consumers.clear()


async def _within(given: asyncio.Future[_Given], seconds: float | None) -> _Given | None:
    """What is given within `seconds`, also at the last moment; None if nothing is."""
    try:
        async with asyncio.timeout(seconds):
            return await given
    except TimeoutError:
        return None if given.cancelled() else given.result()


def _is_given(waiter: asyncio.Future[Any]) -> bool:
    return waiter.done() and not waiter.cancelled() and waiter.exception() is None


def _fail(waiter: asyncio.Future[Any], failure: FilepipeError) -> None:
    waiter.set_exception(failure)
    waiter.exception()  # whoever waits may be gone
