"""Those who follow live: what is new is made once, and slow ones and ends are let go."""

import asyncio
import contextlib

import pytest

from filepipe.channels import audience
from filepipe.channels.audience import PORTION
from filepipe.channels.follower import Follower
from filepipe.channels.log import Log
from filepipe.channels.log_session import Session
from filepipe.channels.tail import MOST, Tail
from filepipe.errors import StorageFailed


class Attendee:
    """Takes everything until it is told to be slow; `made` is shared by those of one form."""

    def __init__(self, follower, made, form="plain", by_record=False):
        self.follower = follower
        follower.by_record = by_record
        self.form = form
        self.made = made
        self.slow = False
        self.taken = []

    def shape(self, records, *, whole):
        self.made.append((records, whole))
        return b"".join(records), sum(map(len, records))

    def take(self, shaped, size):
        assert len(shaped) == size
        self.taken.append(shaped)
        return not self.slow

    async def enough(self, data):
        """Return when it has them."""
        while self.data != data:
            await asyncio.sleep(0)

    @property
    def data(self):
        return b"".join(self.taken)


@pytest.fixture
def seats(log):
    """Make attendees of the log; in the end nothing runs for them any more."""
    with contextlib.ExitStack() as stack:
        yield lambda made, **how: Attendee(
            stack.enter_context(Follower(log, log.size)), made, **how
        )


def attending(log, *attendees):
    """One task for each, as they are in turn let go."""
    return [asyncio.create_task(log.audience.attend(each)) for each in attendees]


async def test_what_is_new_is_made_once_for_all_of_a_form(log, seats):
    """And everybody has all of it, in order."""
    made = []
    crowd = [seats(made) for _ in range(5)] + [seats(made, form="other") for _ in range(2)]
    tasks = attending(log, *crowd)
    await asyncio.sleep(0)
    for record in (b"one ", b"two ", b"three"):
        await log.submit(record)
    await log.submit(b"", close=True)
    await asyncio.gather(*tasks)
    assert {each.data for each in crowd} == {b"one two three"}
    assert len(made) <= 6


async def test_who_is_slow_is_let_go_and_may_come_back(log, seats):
    """The others go on meanwhile; nothing is missed or repeated."""
    quick, slow = seats([]), seats([])
    tasks = attending(log, quick, slow)
    await asyncio.sleep(0)
    slow.slow = True
    await log.submit(b"much")
    await tasks[1]
    await log.submit(b" more")
    slow.slow = False
    [again] = attending(log, slow)
    await asyncio.sleep(0)
    await log.submit(b" and all", close=True)
    await asyncio.gather(tasks[0], again)
    assert quick.data == slow.data == b"much more and all"


async def test_who_is_far_behind_does_not_attend(log, seats, monkeypatch):
    """History is not for the audience; who is near its end is given the rest, also in silence."""
    monkeypatch.setattr(audience, "REACH", 7)
    [task] = attending(log, seats([]))
    await log.submit(b"long history")
    with Follower(log, 4) as far, Follower(log, 5) as near:
        attendee = Attendee(far, [])
        [nearest] = attending(log, seats([]))
        await asyncio.sleep(0)
        await log.audience.attend(attendee)
        assert not attendee.taken
        attendee = Attendee(near, [])
        [other] = attending(log, attendee)
        await asyncio.wait_for(attendee.enough(b"history"), 10)
        await log.submit(b"", close=True)
        await asyncio.gather(task, nearest, other)


async def test_the_end_of_a_session_is_an_end_for_who_joined_it(log, seats):
    """What comes behind it is only for the others."""
    stays = seats([])
    async with Session(log) as session:
        joined = seats([])
        tasks = attending(log, stays, joined)
        await asyncio.sleep(0)
        await session.write([b"mine"])
    await log.submit(b" another's")
    await asyncio.wait_for(tasks[1], 10)
    assert joined.data == b"mine"
    assert await joined.follower.read() == b""
    await log.submit(b"", close=True)
    await asyncio.wait_for(tasks[0], 10)
    assert stays.data == b"mine another's"


async def test_a_damaged_log_is_given_to_nobody(log, seats):
    """They find out by themselves why."""
    attendee = seats([])
    [task] = attending(log, attendee)
    await asyncio.sleep(0)
    log.files.damage = "broken"
    log.wake()
    await asyncio.wait_for(task, 10)
    log.files.damage = None
    assert not attendee.taken


async def test_who_is_as_far_behind_as_all_are_attends(log, seats, monkeypatch):
    """What counts is the foremost, not the end of the log."""
    monkeypatch.setattr(audience, "REACH", 7)
    first, other = seats([]), seats([])
    tasks = attending(log, first)
    await asyncio.sleep(0)
    await log.submit(b"one")
    await first.enough(b"one")
    log.size += 100  # as if much were there of which it has nothing yet
    assert log.audience.admits(other.follower)
    log.size -= 100
    tasks += attending(log, other)
    await log.submit(b"", close=True)
    await asyncio.gather(*tasks)
    assert other.data == b"one"


async def test_what_cannot_be_read_is_told(log, seats, monkeypatch):
    """To all who would have got it."""

    async def fail(log, offset, limit):
        raise StorageFailed("no")

    monkeypatch.setattr(Tail, "portion", lambda tail, offset, limit, *, whole: None)
    monkeypatch.setattr(Log, "read", fail)
    tasks = attending(log, seats([]), seats([]))
    await asyncio.sleep(0)
    await log.submit(b"lost")
    for task in tasks:
        with pytest.raises(StorageFailed):
            await asyncio.wait_for(task, 10)


async def test_records_stay_whole(log, seats):
    """For who wants them so, while they are remembered, and unless one is too large."""
    made = []
    attendee = seats(made, by_record=True)
    [task] = attending(log, attendee)
    await asyncio.sleep(0)
    large = bytes(PORTION + 1)
    for record in (b"one", b"", b"two"):
        await log.submit(record)
    await log.submit(large)
    await log.submit(b"", close=True)
    await task
    assert attendee.data == b"onetwo" + large
    assert [record for records, whole in made if whole for record in records][:2] == [
        b"one",
        b"two",
    ]
    assert any(not whole for _, whole in made)


async def test_all_have_fallen_behind(log, seats, monkeypatch):
    """More than is kept in memory: one of them reads for all."""
    monkeypatch.setattr(audience, "PAUSE", 0.0)
    made = []
    crowd = [seats(made) for _ in range(3)]
    tasks = attending(log, *crowd)
    await asyncio.sleep(0)
    block = bytes(range(256)) * 4096
    records = [block + b"%d" % number for number in range(2 * MOST // len(block))]
    for record in records:
        log.submit(record)
    await log.submit(b"", close=True)
    await asyncio.gather(*tasks)
    whole = b"".join(records)
    assert all(each.data == whole for each in crowd)
    assert len(made) < 2 * len(whole) / PORTION


async def test_nobody_there_costs_nothing(log, seats):
    """The last one who leaves, however, takes the rounds along."""
    attendee = seats([])
    [task] = attending(log, attendee)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_who_leaves_while_bytes_are_fetched_gets_none_twice(log, seats, monkeypatch):
    """He may have read on by himself meanwhile, and be back."""
    attendee = seats([])
    [task] = attending(log, attendee)
    await asyncio.sleep(0)
    fetching, fetched = asyncio.Event(), asyncio.Event()
    read = Log.read

    async def held(log, offset, limit):
        data = await read(log, offset, limit)
        fetching.set()
        await fetched.wait()
        return data

    monkeypatch.setattr(Tail, "portion", lambda tail, offset, limit, *, whole: None)
    monkeypatch.setattr(Log, "read", held)
    await log.submit(b"once")
    await fetching.wait()
    [other] = attending(log, seats([]))  # so that the rounds go on
    task.cancel()
    await asyncio.wait({task})
    attendee.follower.offset = log.size  # it read by itself
    [task] = attending(log, attendee)
    await asyncio.sleep(0)
    fetched.set()
    await log.submit(b"", close=True)
    await asyncio.wait_for(asyncio.gather(task, other), 10)
    assert attendee.data == b""
