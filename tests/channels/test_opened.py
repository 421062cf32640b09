"""What is open while it is used, and at no other time."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.channels.opened import Opened, Retired
from filepipe.errors import StorageFailed
from filepipe.testing import turns


class Thing:
    """Something that was opened."""

    def __init__(self, place: Place) -> None:
        self.place = place
        place.open += 1

    async def close(self) -> None:
        """Let go."""
        self.place.open -= 1


class Place:
    """Where things are opened."""

    def __init__(self) -> None:
        self.open = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    async def opening(self) -> Thing:
        """Open one, when the gate is open."""
        await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return Thing(self)


async def test_it_is_opened_once_and_again() -> None:
    """For all who come together, and after a rest for the next ones."""
    place = Place()
    opened = Opened(place.opening)
    async with opened.using() as one, opened.using() as other:
        assert one is other
    assert place.open == 1
    await opened.rest(lambda: True)
    assert place.open == 1
    await opened.rest(lambda: False)
    await opened.rest(lambda: False)
    assert place.open == 0
    async with opened.using():
        assert place.open == 1
    thing = await opened.retire()
    assert thing is not None
    await thing.close()
    with pytest.raises(Retired):
        async with opened.using():
            pass
    assert await opened.retire() is None


async def test_it_is_not_closed_under_anybody() -> None:
    """Who ends it waits for those who use it."""
    place = Place()
    opened = Opened(place.opening)
    async with opened.using():
        resting = asyncio.create_task(opened.rest(lambda: False))
        await turns()
        assert place.open == 1
    await resting
    assert place.open == 0


async def test_an_opening_that_fails_or_is_not_waited_for() -> None:
    """The next one tries again; nothing is left open."""
    place = Place()
    opened = Opened(place.opening)
    place.fault = StorageFailed("broken")
    with pytest.raises(StorageFailed):
        async with opened.using():
            pass
    place.fault = None
    place.gate.clear()

    async def use() -> None:
        async with opened.using():
            raise AssertionError

    using = asyncio.create_task(use())
    await turns()
    using.cancel()
    await turns()
    place.gate.set()
    with pytest.raises(asyncio.CancelledError):
        await using
    await opened.rest(lambda: False)
    assert place.open == 0
