"""One at a time for each name, and work that outlives who asked for it."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.channels.one_by_one import OneByOne, ToTheEnd
from filepipe.testing import turns


async def test_one_at_a_time() -> None:
    """In the order of asking, whatever happens inside; other names do not wait."""
    names, order = OneByOne(), []

    async def visit(name: str, number: int) -> None:
        async with names.turn(name):
            order.append(number)
            await turns()
            order.append(number)
            if number == 1:
                raise ValueError

    visits = [asyncio.create_task(visit("a", number)) for number in range(3)]
    other = asyncio.create_task(visit("b", 7))
    visits[2].cancel()
    await asyncio.wait([*visits, other])
    assert [number for number in order if number != 7] == [0, 0, 1, 1]
    assert order.index(7) < order.index(1), "another name does not wait"
    assert len(names) == 0, "nothing stays of a name that nobody wants"


async def test_who_waited_keeps_the_name() -> None:
    """A newcomer does not get in beside somebody who has waited."""
    names, inside = OneByOne(), 0

    async def visit() -> None:
        nonlocal inside
        async with names.turn("a"):
            inside += 1
            assert inside == 1
            await turns()
            inside -= 1

    first = asyncio.create_task(visit())
    second = asyncio.create_task(visit())
    await first
    await asyncio.gather(second, visit())


async def test_work_goes_on_alone() -> None:
    """Also when nobody waits for what comes of it; whoever waits for all of it can."""
    jobs, going_on, done = ToTheEnd(), asyncio.Event(), []

    async def work() -> int:
        await going_on.wait()
        done.append(1)
        return 1

    async def fail() -> None:
        await going_on.wait()
        raise ValueError("nobody hears of this")

    asking = asyncio.create_task(jobs.do(work()))
    jobs.start(fail())
    await turns()
    asking.cancel()
    settling = asyncio.create_task(jobs.settle())
    await turns()
    assert not settling.done()
    going_on.set()
    await settling
    assert done == [1]
    assert await jobs.do(work()) == 1
    with pytest.raises(ValueError, match="nobody"):
        await jobs.do(fail())
