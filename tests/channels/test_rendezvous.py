"""A rendezvous: it gathers, it starts with those who are there, it is over once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest

from filepipe.channels.channel import Metadata, Writer
from filepipe.channels.rendezvous import Happening
from filepipe.channels.window import HELD, RESERVE
from filepipe.errors import Broken, Draining, Gone, NobodyCame, OverBudget
from filepipe.testing import turns
from tests.channels.hosts import Host, begin, receive, send
from tests.clock import Clock


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    """At the end nothing of what it kept is held, and nobody is left behind."""
    host = Host()
    yield host
    await asyncio.gather(*host.discards)
    assert host.budget.used == 0
    assert asyncio.all_tasks() == {asyncio.current_task()}


# -- gathering


async def test_everybody_gets_everything(host):
    """Two receivers, one before the sender begins, and then it is over, once."""
    rendezvous = host.meet(2)
    first = begin(receive(rendezvous.sit(None)))
    sender = begin(send(host, rendezvous, b"hello ", b"world"))
    await turns()
    assert not rendezvous.closed
    second = begin(receive(rendezvous.sit(None)))
    assert rendezvous.closed
    assert await asyncio.gather(first, sender, second) == [b"hello world", None, b"hello world"]
    assert (rendezvous.received, rendezvous.aborted, rendezvous.deserted) == (2, 0, False)
    assert host.over == [rendezvous]
    assert host.told == [Happening.CONNECTED, Happening.CONNECTED, Happening.SENT]


async def test_a_seat_is_free_again_until_all_are_taken(host):
    """Who leaves while it gathers is no abort; his seat can be taken once more."""
    rendezvous = host.meet(2)
    first = rendezvous.sit("first")
    first.leave()
    first.leave()
    first.received()
    assert (rendezvous.seats, rendezvous.aborted, rendezvous.received) == ([], 0, 0)
    assert rendezvous.open
    seats = [rendezvous.sit(n) for n in range(2)]
    assert [seat.guest for seat in rendezvous.seats] == [0, 1]
    assert host.told == [Happening.CONNECTED] * 3
    for seat in seats:
        seat.leave()
    assert host.over == [rendezvous]


async def test_a_receiver_waits_for_the_others(host):
    """Until all are there, in his time, or until there is no sender any more."""
    clock = Clock(asyncio.get_running_loop())
    rendezvous = host.meet(2)
    early = begin(rendezvous.sit("early").gathered(10.0))
    await clock.advance(10.1)
    assert await early is False
    assert rendezvous.seats == []
    seat = rendezvous.sit("in time")
    waits = begin(seat.gathered(10.0))
    await clock.advance(9.9)
    last = rendezvous.sit("last")
    assert await waits is True
    assert await last.gathered(0.0) is True
    assert rendezvous.seats == [seat, last]
    rendezvous.break_off(Broken("over"))
    seat.leave()
    last.leave()


@pytest.mark.parametrize(
    ("failure", "raises"),
    [(Broken("the sender left"), None), (NobodyCame("nobody"), None), (Draining("we go"), Draining),
     (Gone("removed"), Gone)],
)  # fmt: skip
async def test_a_sender_who_leaves_before_all_are_there(host, failure, raises):
    """He takes nobody with him: who waits may look for another, unless the daemon ends it."""
    rendezvous = host.meet(2)
    seat = rendezvous.sit("guest")
    waits = begin(seat.gathered(60.0))
    gathering = begin(rendezvous.gathered())
    await turns()
    rendezvous.break_off(failure)
    with pytest.raises(type(failure)):
        await gathering
    if raises is None:
        assert await waits is False
    else:
        with pytest.raises(raises):
            await waits
    assert rendezvous.seats == []
    assert host.over == [rendezvous]


async def test_a_receiver_who_is_cancelled_leaves(host):
    """Whether all are there by then or not."""
    rendezvous = host.meet(2)
    waits = begin(rendezvous.sit("one").gathered(60.0))
    await turns()
    waits.cancel()
    await asyncio.wait([waits])
    assert rendezvous.seats == []
    waits = begin(rendezvous.sit("another").gathered(60.0))
    await turns()
    other = rendezvous.sit("the last one")
    waits.cancel()
    await asyncio.wait([waits])
    assert rendezvous.seats == [other]
    assert rendezvous.aborted == 1
    other.leave()


# -- ends


async def test_one_abort_hurts_nobody_else(host):
    """Of three, one leaves before the start and one in the middle."""
    rendezvous = host.meet(3)
    seats = [rendezvous.sit(n) for n in range(3)]
    seats[0].leave()
    leaver = begin(receive(seats[1], most=5))
    stayer = begin(receive(seats[2]))
    await send(host, rendezvous, b"hello ", b"world")
    assert await stayer == b"hello world"
    assert await leaver == b"hello world"[: len(leaver.result())]
    assert (rendezvous.received, rendezvous.aborted, rendezvous.deserted) == (1, 2, False)
    assert host.told.count(Happening.ABORTED) == 2
    assert host.over == [rendezvous]


async def test_who_leaves_before_he_began_is_told_of(host):
    """For those who count on him; after he began nobody need be told."""
    rendezvous = host.meet(2)
    absent = []
    rendezvous.on_absent = absent.append
    seats = [rendezvous.sit(n) for n in range(2)]
    seats[1].began = True
    for seat in seats:
        seat.leave()
    assert absent == seats[:1]


@pytest.mark.parametrize("started", [False, True])
async def test_everybody_leaves(host, started):
    """Then the sender is interrupted, and it is said that they deserted him."""
    rendezvous = host.meet(2)
    seats = [rendezvous.sit(n) for n in range(2)]
    interrupted = []
    rendezvous.interrupt = interrupted.append
    if started:
        await rendezvous.start(host.windows, Metadata())
    seats[0].leave()
    assert rendezvous.open
    assert not interrupted
    seats[1].leave()
    assert str(rendezvous.failure) == "every receiver left"
    assert rendezvous.deserted
    assert interrupted == [rendezvous.failure]
    assert host.over == [rendezvous]
    with pytest.raises(Broken, match="every receiver left"):
        await rendezvous.gathered()
    with pytest.raises(Broken, match="every receiver left"):
        await rendezvous.start(host.windows, Metadata())


@pytest.mark.parametrize("failure", [Broken("the peer broke off"), Draining("we go"), Gone("gone")])
async def test_a_sender_who_breaks_off(host, failure):
    """Before a byte a receiver is told whose fault it was; he himself deserted nobody."""
    rendezvous = host.meet(1)
    waits = begin(receive(rendezvous.sit(None)))
    await turns()
    rendezvous.break_off(failure)
    raises, text = type(failure), str(failure)
    if raises is Broken:
        text = "the sender did not deliver"
    with pytest.raises(raises, match=text):
        await waits
    assert not rendezvous.deserted
    assert host.over == [rendezvous]


async def test_a_sender_who_breaks_off_in_the_middle(host):
    """Nobody takes a part for the whole."""
    rendezvous = host.meet(1)
    waits = begin(receive(rendezvous.sit(None)))
    await rendezvous.start(host.windows, Metadata())

    async def send_a_part() -> None:
        async with Writer(rendezvous) as writer:
            await writer.write([b"part"])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await send_a_part()
    with pytest.raises(Broken):
        await waits
    assert (rendezvous.received, rendezvous.deserted) == (0, False)
    assert host.over == [rendezvous]


async def test_who_comes_to_his_seat_after_the_end(host):
    """A seat that was given does not start any more when it is over."""
    rendezvous = host.meet(1)
    seat = rendezvous.sit(None)
    await rendezvous.start(host.windows, Metadata())
    rendezvous.break_off(Broken("over"))
    with seat, pytest.raises(Broken):
        await seat.started()
    assert host.over == [rendezvous]


async def test_memory_that_is_full(host):
    """The start is refused; whoever sits is told when the sender gives up."""
    host.budget.take(host.budget.limit - RESERVE + 1)
    rendezvous = host.meet(1)
    waits = begin(receive(rendezvous.sit(None)))
    with pytest.raises(OverBudget):
        await rendezvous.start(host.windows, Metadata())
    assert rendezvous.open
    rendezvous.break_off(OverBudget("memory quota exceeded", "memory"))
    with pytest.raises(Broken):
        await waits
    host.budget.give(host.budget.used)


# -- what others rely on


@pytest.mark.parametrize("length", [None, 11, 0])
async def test_the_key_is_free_before_the_last_byte_can_be_had(host, length):
    """Whoever sees the end may use the key again."""
    rendezvous = host.meet(1)
    free = []
    rendezvous.on_whole = partial(free.append, True)
    seat = rendezvous.sit(None)

    async def look() -> bytes:
        with seat:
            reader = await seat.started()
            data = b""
            while chunk := await reader.read():
                data += chunk
                assert length is None or len(data) < length or free
            assert rendezvous.forgotten
            seat.received()
        return data

    looks = begin(look())
    body = [] if length == 0 else [b"hello ", b"world"]
    await send(host, rendezvous, *body, length=length)
    assert rendezvous.forgotten
    assert await looks == b"".join(body)
    assert bool(free) is (length == 11)


async def test_the_slowest_sets_the_pace(host):
    """The sender is never further ahead than a window, until the slow one leaves."""
    rendezvous = host.meet(2)
    quick = begin(receive(rendezvous.sit(None)))
    slow = rendezvous.sit(None)
    sender = begin(send(host, rendezvous, *[bytes(HELD)] * 10))
    await turns()
    assert rendezvous.size == HELD
    reader = slow.reader
    assert await reader.read() == bytes(HELD)
    await turns()
    assert rendezvous.size == HELD, "what was read last is not known to be taken"
    assert await reader.read() == bytes(HELD)
    await turns()
    assert rendezvous.size == 2 * HELD
    assert host.budget.used == RESERVE
    slow.leave()
    await sender
    assert len(await quick) == 10 * HELD
    await rendezvous.settled()
    assert (rendezvous.received, rendezvous.aborted) == (1, 1)


async def test_settled(host):
    """Nobody sits any more."""
    rendezvous = host.meet(2)
    seats = [rendezvous.sit(n) for n in range(2)]
    settles = begin(rendezvous.settled())
    await turns()
    seats[0].leave()
    await turns()
    assert not settles.done()
    seats[1].leave()
    await settles


async def test_a_byte_may_have_been_sent(host):
    """Who waits for that is told, or told why there will be none."""
    rendezvous = host.meet(1)
    seat = rendezvous.sit(None)
    tried = begin(rendezvous.tried())
    await turns()
    assert not tried.done()
    rendezvous.touch()
    rendezvous.touch()
    await tried
    seat.leave()
    deserted = host.meet(1)
    tried = begin(deserted.tried())
    deserted.sit(None).leave()
    with pytest.raises(Broken, match="every receiver left"):
        await tried
