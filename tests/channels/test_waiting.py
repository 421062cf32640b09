"""The waiting room: in the order of coming, each told once, and nobody left behind."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.channels.waiting import WaitingRoom
from filepipe.errors import Draining, TooManyKeys
from filepipe.keys import Key
from filepipe.testing import turns
from tests.clock import Clock

KEY, OTHER = Key("key"), Key("other")


class Chair:
    """A place that knows whether it was handed back."""

    left = False

    def leave(self) -> None:
        self.left = True


@pytest.fixture
async def clock() -> Clock:
    """The time that waits go by."""
    return Clock(asyncio.get_running_loop())


@pytest.fixture
async def room():
    """A room for three, empty again at the end."""
    room = WaitingRoom(3)
    yield room
    assert len(room) == 0
    assert room.keys() == {}


async def waiting(room, *arguments):
    """Begin to wait."""
    task = asyncio.create_task(room.wait(*arguments))
    await turns()
    return task


async def test_who_waits_can_be_seen(room):
    """In the order of coming, with what he brought, under his own key only."""
    tasks = [await waiting(room, KEY, 60.0, f"guest {n}", n) for n in range(2)]
    tasks.append(await waiting(room, OTHER, 60.0))
    assert [(waiter.guest, waiter.number) for waiter in room.at(KEY)] == [
        ("guest 0", 0), ("guest 1", 1),
    ]  # fmt: skip
    assert [waiter.guest for waiter in room.at(OTHER)] == [None]
    assert list(room.at(Key("nobody's"))) == []
    assert (len(room), room.keys()) == (3, {KEY: 2, OTHER: 1})
    room.wake(KEY)
    room.wake(OTHER)
    assert await asyncio.gather(*tasks) == [None, None, None]


async def test_a_place_goes_to_one(room):
    """Who was given one, or was told to look, is no longer among those who can be given one."""
    first, second = [await waiting(room, KEY, 60.0, object()) for _ in range(2)]
    chair = Chair()
    waiter = next(room.at(KEY))
    waiter.give(chair)
    assert [one is waiter for one in room.at(KEY)] == [False]
    waiter.give(Chair())
    room.wake(KEY)
    assert await first is chair
    assert await second is None
    assert not chair.left


async def test_time_runs_out(room, clock):
    """Then there is nothing but to look again; and no timer is left of those who went before."""
    quick, slow = await waiting(room, KEY, 5.0), await waiting(room, KEY, 10.0)
    await clock.advance(4.9)
    assert not quick.done()
    await clock.advance(0.2)
    assert quick.result() is None
    assert not slow.done()
    assert len(room) == 1
    room.wake(KEY)
    assert await slow is None
    await clock.advance(10.0)


async def test_who_leaves_is_forgotten(room):
    """His place in the room is free at once."""
    tasks = [await waiting(room, KEY, 60.0) for _ in range(3)]
    tasks[1].cancel()
    await asyncio.wait([tasks[1]])
    assert (len(room), room.keys()) == (2, {KEY: 2})
    room.wake(KEY)
    await asyncio.gather(tasks[0], tasks[2])


async def test_who_left_hands_his_place_back(room):
    """A place given in the same moment as its owner left is nobody's, and is told so."""
    task = await waiting(room, KEY, 60.0, object())
    chair = Chair()
    next(room.at(KEY)).give(chair)
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert chair.left


async def test_who_left_is_given_nothing(room):
    """Between the cancellation and his last turn he is not among those who wait."""
    task = await waiting(room, KEY, 60.0, object())
    task.cancel()
    assert list(room.at(KEY)) == []
    await asyncio.wait([task])


async def test_the_room_is_full(room):
    """One more is refused; who comes after somebody has left is not."""
    tasks = [await waiting(room, Key(str(n)), 60.0) for n in range(3)]
    with pytest.raises(TooManyKeys, match="too many waiting readers"):
        await room.wait(KEY, 60.0)
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    tasks[0] = await waiting(room, KEY, 60.0)
    for key in room.keys():  # noqa: SIM118 - no mapping
        room.wake(key)
    await asyncio.gather(*tasks)


async def test_closing(room):
    """Everybody is told to look, and nobody may wait again."""
    tasks = [await waiting(room, KEY, 60.0), await waiting(room, OTHER, 60.0)]
    room.close()
    assert await asyncio.gather(*tasks) == [None, None]
    with pytest.raises(Draining):
        await room.wait(KEY, 60.0)
