"""Who meets whom under a key: one sender, exactly as many receivers, pipes beside them."""

from __future__ import annotations

import asyncio

import pytest

from filepipe.accountant import Budget
from filepipe.channels.channel import Kind, Metadata, Writer
from filepipe.channels.directory import Directory
from filepipe.channels.meetings import Meetings
from filepipe.channels.rendezvous import Seat
from filepipe.channels.retention import Retention
from filepipe.channels.window import Windows
from filepipe.errors import (
    Broken,
    Conflict,
    Draining,
    InTransfer,
    SeatsTaken,
    SenderPresent,
    TooManyKeys,
    WrongNumber,
)
from filepipe.keys import Key
from filepipe.testing import turns

KEY = Key("key")


@pytest.fixture
async def meetings(directory: Directory):
    """The meetings beside a directory of at most three keys; at the end nobody meets any more."""
    meetings = Meetings(directory)
    yield meetings
    await directory.aclose()
    for rendezvous in meetings:
        for seat in list(rendezvous.seats):
            seat.leave()
    assert list(meetings) == []
    assert meetings.busy() == 0


async def taking(meetings, guest="guest", seconds=60.0, number=None, **options):
    """Begin to take; whoever comes goes on at once."""
    work = meetings.take(guest, KEY, seconds, number, **options)
    task = asyncio.create_task(work)
    await turns()
    return task


# -- senders


async def test_a_second_sender_is_refused(meetings):
    """While the first one waits, and while his transfer runs, each with its own reason."""
    first = meetings.offer(KEY, 1, Metadata())
    with pytest.raises(SenderPresent):
        meetings.offer(KEY, 1, Metadata())
    (await (await taking(meetings))).leave()
    assert first.failure
    second = meetings.offer(KEY, 1, Metadata())
    seat = await (await taking(meetings))
    assert seat.rendezvous is second
    with pytest.raises(InTransfer):
        meetings.offer(KEY, 1, Metadata())


async def test_a_key_that_is_a_pipe_is_in_use(meetings, directory, storage):
    """A pipe that is claimed, written or kept is no place to meet; nor the other way round."""
    channel = directory.claim(KEY, Kind.PIPE, Retention(60.0))
    with pytest.raises(Conflict, match="already exists"):
        meetings.offer(KEY, 1, Metadata())
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        with pytest.raises(Conflict, match="already exists"):
            meetings.offer(KEY, 1, Metadata())
    with pytest.raises(Conflict, match="already exists"):
        meetings.offer(KEY, 1, Metadata())
    directory.delete(channel)
    meetings.offer(KEY, 1, Metadata())
    with pytest.raises(Conflict):
        directory.claim(KEY, Kind.PIPE, Retention(60.0))


async def test_those_who_wait_are_seated_in_their_order(meetings, directory):
    """As many as there are seats; the others go on waiting."""
    tasks = [await taking(meetings, n) for n in range(3)]
    rendezvous = meetings.offer(KEY, 2, Metadata())
    await turns()
    assert [task.done() for task in tasks] == [True, True, False]
    assert [seat.guest for seat in rendezvous.seats] == [0, 1]
    assert len(directory.room) == 1
    assert meetings.busy() == 1
    for task in tasks[:2]:
        (await task).leave()
    assert (await (await taking_after(meetings, tasks[2]))).guest == 2


async def taking_after(meetings, task):
    """Let a sender come for who waits in `task`."""
    meetings.offer(KEY, 1, Metadata())
    return task


async def test_what_a_sender_says_is_known_while_he_waits(meetings, directory):
    """For whoever only looks."""
    rendezvous = meetings.offer(KEY, 1, Metadata(length=7))
    assert directory.find(KEY) is rendezvous
    assert rendezvous.length == 7


async def test_there_is_no_room(meetings, directory):
    """Of the keys, those of rendezvous count as well."""
    for name in "abc":
        meetings.offer(Key(name), 1, Metadata())
    with pytest.raises(TooManyKeys):
        meetings.offer(Key("d"), 1, Metadata())
    assert len(directory) == 3


# -- receivers


async def test_nobody_comes(meetings):
    """At once, or when the time is over."""
    assert await meetings.take(None, KEY, 0.0) is None
    assert await meetings.take(None, KEY, 0.01) is None


async def test_a_waiting_receiver_takes_what_comes_first(meetings, directory, claim, storage):
    """A pipe or a sender, also one who states how many they are to be."""
    for number in (None, 2):
        tasks = [await taking(meetings, number=number) for _ in range(2)]
        channel = claim("key")
        async with Writer(channel):
            await channel.publish(storage, Metadata())
            assert await asyncio.gather(*tasks) == [channel, channel]
        directory.delete(channel)
        tasks = [await taking(meetings, number=number) for _ in range(2)]
        rendezvous = meetings.offer(KEY, 2, Metadata())
        for seat in await asyncio.gather(*tasks):
            assert seat.rendezvous is rendezvous
            seat.leave()


async def test_a_receiver_who_comes_during_a_transfer(meetings):
    """He waits for the next one, unless he is a strict one."""
    rendezvous = meetings.offer(KEY, 1, Metadata())
    seat = await meetings.take(None, KEY, 0.0)
    assert await meetings.take(None, KEY, 0.0) is None
    waits = await taking(meetings)
    with pytest.raises(InTransfer):
        await meetings.take(None, KEY, 60.0, 1, strict=True)
    seat.leave()
    assert not rendezvous.open
    await turns()
    assert not waits.done()
    assert isinstance(await (await taking_after(meetings, waits)), Seat)


async def test_not_all_come_in_his_time(meetings):
    """A seat alone is nothing: he goes with nothing, and the seat is free."""
    rendezvous = meetings.offer(KEY, 2, Metadata())
    assert await meetings.take(None, KEY, 0.0) is None
    assert await meetings.take(None, KEY, 0.01) is None
    assert rendezvous.seats == []
    assert rendezvous.open


async def test_a_sender_who_goes_takes_nobody_with_him(meetings):
    """Before all are there; the next sender finds them."""
    first = meetings.offer(KEY, 3, Metadata())
    waits = [await taking(meetings, n) for n in range(2)]
    assert len(first.seats) == 2
    first.break_off(Broken("the sender left"))
    await turns()
    assert first.seats == []
    second = meetings.offer(KEY, 2, Metadata())
    assert {seat.rendezvous for seat in await asyncio.gather(*waits)} == {second}
    assert {seat.guest for seat in second.seats} == {0, 1}


async def test_a_pipe_comes_after_a_sender_who_went(meetings, claim, storage):
    """It is as good to those who waited for him."""
    first = meetings.offer(KEY, 2, Metadata())
    waits = await taking(meetings)
    first.break_off(Broken("the sender left"))
    channel = claim("key")
    async with Writer(channel):
        await channel.publish(storage, Metadata())
        assert await waits is channel


# -- how many


async def test_everybody_states_the_same_number(meetings):
    """Whoever comes first; a receiver need not state any."""
    meetings.offer(KEY, 2, Metadata())
    with pytest.raises(WrongNumber, match="is 2, not 3") as refused:
        await meetings.take(None, KEY, 60.0, 3)
    assert (refused.value.expected, refused.value.stated) == (2, 3)
    tasks = [await taking(meetings, number=2), await taking(meetings)]
    assert all(isinstance(seat, Seat) for seat in await asyncio.gather(*tasks))


async def test_receivers_who_state_a_number(meetings, directory):
    """A sender, and another receiver, must agree with them; those who state none do not count."""
    any_number = await taking(meetings)
    for number in (1, 3):
        meetings.offer(Key("other"), number, Metadata()).break_off(Broken("over"))
    two = await taking(meetings, number=2)
    with pytest.raises(WrongNumber, match="is 2, not 3"):
        await meetings.take(None, KEY, 60.0, 3)
    with pytest.raises(WrongNumber, match="is 2, not 1"):
        meetings.offer(KEY, 1, Metadata())
    assert directory.present(KEY) is None
    assert await meetings.take(None, KEY, 0.0, 3) is None
    meetings.offer(KEY, 2, Metadata())
    await asyncio.gather(any_number, two)


async def test_too_many_receivers(meetings):
    """A strict one is told that there are enough of them; another waits for the next sender."""
    first = await taking(meetings, number=1, strict=True)
    with pytest.raises(SeatsTaken):
        await meetings.take(None, KEY, 60.0, 1, strict=True)
    second = await taking(meetings, number=1)
    meetings.offer(KEY, 1, Metadata())
    (await first).leave()
    assert not second.done()
    meetings.offer(KEY, 1, Metadata())
    await second


async def test_who_only_looks_is_told(meetings, directory):
    """Somebody who waits without taking a place hears of a free seat, and of nothing else."""
    looks = asyncio.create_task(directory.wait(KEY, 60.0))
    seated = await taking(meetings)
    meetings.offer(KEY, 1, Metadata())
    (await seated).leave()
    await turns()
    assert not looks.done()
    rendezvous = meetings.offer(KEY, 1, Metadata())
    assert await looks is rendezvous
    assert rendezvous.seats == []


# -- leaving


async def test_who_left_is_given_no_seat(meetings):
    """Also if he leaves in the moment in which the sender comes."""
    gone, stays = await taking(meetings, "gone"), await taking(meetings, "stays")
    gone.cancel()
    rendezvous = meetings.offer(KEY, 1, Metadata())
    assert (await stays).rendezvous is rendezvous
    await asyncio.wait([gone])
    assert [seat.guest for seat in rendezvous.seats] == ["stays"]


async def test_who_leaves_with_a_seat_frees_it(meetings):
    """He was seated, and is gone before he knew."""
    gone = await taking(meetings, "gone")
    rendezvous = meetings.offer(KEY, 2, Metadata())
    gone.cancel()
    await asyncio.wait([gone])
    assert rendezvous.seats == []
    assert rendezvous.open
    gone = await taking(meetings, "gone")
    gone.cancel()
    await asyncio.wait([gone])
    assert rendezvous.seats == []


# -- the end


async def test_the_key_is_free_with_the_end(meetings, directory):
    """Before anybody else has his turn, whether the length was known or not."""
    for length in (None, 5):
        rendezvous = meetings.offer(KEY, 1, Metadata())
        seat = await meetings.take(None, KEY, 0.0)
        await rendezvous.start(Windows(Budget("memory", None)), Metadata(length=length))
        async with Writer(rendezvous) as writer:
            await writer.write([b"hello"])
            assert (directory.present(KEY) is None) is (length == 5)
        assert directory.present(KEY) is None
        assert meetings.busy() == 1
        seat.received()
        assert meetings.busy() == 0


async def test_draining(meetings, directory):
    """Everybody who waits is told at once; a transfer under way goes on."""
    meetings.offer(Key("running"), 1, Metadata())
    seat = await meetings.take(None, Key("running"), 0.0)
    sender = meetings.offer(Key("sender"), 2, Metadata())
    gathering = asyncio.create_task(sender.gathered())
    seated = asyncio.create_task(meetings.take(None, Key("sender"), 60.0))
    waits = await taking(meetings)
    directory.drain()
    for task in (gathering, seated, waits):
        with pytest.raises(Draining):
            await task
    with pytest.raises(Draining):
        meetings.offer(Key("late"), 1, Metadata())
    assert seat.rendezvous.open
    assert meetings.busy() == 1
    meetings.cut()
    assert not seat.rendezvous.open
    assert meetings.busy() == 1
    seat.leave()
    assert meetings.busy() == 0


async def test_the_key_of_a_running_transfer_is_deleted(meetings, directory):
    """Its sender is interrupted, and the key is free."""
    rendezvous = meetings.offer(KEY, 1, Metadata())
    seat = await meetings.take(None, KEY, 0.0)
    directory.delete(rendezvous)
    assert rendezvous.failure is not None
    meetings.offer(KEY, 1, Metadata())
    seat.leave()
