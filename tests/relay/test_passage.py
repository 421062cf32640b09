"""From one socket to several: every byte, in step, and the end held back."""

import asyncio
import os
import resource
import sys
import time

import pytest

from filepipe.errors import Broken, TooManyFiles
from filepipe.relay import moves, passage
from filepipe.relay.moves import STEP
from filepipe.relay.passage import Sink
from tests.relay.descriptors import open_descriptors
from tests.relay.passages import Crossing
from tests.relay.transfers import sock_read, sock_send

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


async def whole(crossing, *, sent=False):
    """Everything arrives everywhere, is counted, and was asked for once."""
    sending, reading = sent or crossing.send(), crossing.read()
    await crossing.passing
    if not sent:
        await sending
    size = len(crossing.data)
    assert await asyncio.gather(*crossing.attached) == [size] * crossing.count
    assert await asyncio.gather(*reading) == [crossing.data] * crossing.count
    assert sum(crossing.moved) == size
    assert crossing.asked == 1


# -- every byte


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("size", [1, 4097, STEP, 5_000_001])
async def test_every_byte_to_every_sink(crossing, size, count):
    """Whatever the size, each sink gets exactly what was sent, and the loop hears how much."""
    await whole(crossing(size, count).open().attach_all().pass_on())


@pytest.mark.parametrize("count", [1, 3])
async def test_unix_sockets(plane, pairs, count):
    """A listener may be one."""
    crossing = Crossing(plane, pairs, 3_000_001, count)
    await whole(crossing.open().attach_all().pass_on())


@pytest.mark.parametrize("count", [1, 2, 4])
async def test_tiny_pipes(crossing, monkeypatch, count):
    """Where the system gives no larger ones it goes in small steps."""
    monkeypatch.setattr(moves, "STEP", 4096)
    await whole(crossing(1_000_001, count).open().attach_all().pass_on())


@pytest.mark.parametrize("count", [1, 2])
async def test_no_bytes_at_all(crossing, count):
    """It is over as soon as all are there, and asks before that as always."""
    crossing = crossing(0, count).open().pass_on()
    await asyncio.sleep(0.01)
    assert crossing.asked == 0
    crossing.attach_all()
    await crossing.passing
    assert await asyncio.gather(*crossing.attached) == [0] * count
    assert (crossing.moved, crossing.asked) == ([], 1)


async def test_what_comes_after_the_body_is_left_alone(crossing):
    """A next request on the connection is not ours."""
    crossing = crossing(100_000, 2).open().attach_all().pass_on()
    await sock_send(crossing.sender, crossing.data + b"GET")
    reading = crossing.read()
    await crossing.passing
    assert await asyncio.gather(*reading) == [crossing.data] * 2


async def test_bytes_do_not_wait_for_more(crossing):
    """A line arrives when it was sent, not when the next one is."""
    crossing = crossing(100, 2).open().attach_all().pass_on()
    for first in range(0, 90, 10):
        await sock_send(crossing.sender, crossing.data[first : first + 10])
        for reader in crossing.readers:
            assert await sock_read(reader, 10) == crossing.data[first : first + 10]
    crossing.passing.cancel()
    await asyncio.wait([crossing.passing, *crossing.attached])


async def test_more_is_announced_only_if_it_comes(crossing, monkeypatch):
    """The last bytes are no reason for the kernel to wait for others."""
    more = []
    splice = os.splice

    def watched(reading, writing, size, *, flags):
        if reading == crossing.passage.source.pipe.reading:
            more.append(bool(flags & os.SPLICE_F_MORE))
        return splice(reading, writing, size, flags=flags)

    monkeypatch.setattr(moves, "STEP", 4096)
    monkeypatch.setattr(passage.os, "splice", watched)
    crossing = crossing(40_000).open()
    await sock_send(crossing.sender, crossing.data)
    await whole(crossing.attach_all().pass_on(), sent=True)
    assert (more[0], more[-1]) == (True, False)


# -- in step


@pytest.mark.parametrize("count", [1, 3])
async def test_the_slowest_sets_the_pace(crossing, count):
    """What is on its way is bounded, and everybody gets everything in the end."""
    crossing = crossing(8 << 20, count).open(buffer=65_536).attach_all(buffer=65_536).pass_on()
    sending, reading = crossing.send(), crossing.read(slice(1, None))
    await crossing.until_stuck()
    slow, *others = crossing.sinks
    assert slow.moved < STEP
    assert crossing.passage.source.moved - slow.moved <= 2 * STEP
    assert all(sink.moved - slow.moved <= 2 * STEP for sink in others)
    reading.extend(crossing.read(slice(1)))
    await crossing.passing
    assert all(read == crossing.data for read in await asyncio.gather(*reading))
    await asyncio.gather(sending, *crossing.attached)


async def test_nothing_is_read_before_all_are_there(crossing):
    """Neither before the last sink, nor before the source's handler has come."""
    crossing = crossing(STEP, 2).open().pass_on()
    sending = crossing.send()
    crossing.attach()
    await asyncio.sleep(0.05)
    assert crossing.passage.source.moved == 0
    crossing.attach()
    reading = crossing.read()
    await crossing.passing
    await asyncio.gather(sending, *reading, *crossing.attached)


async def test_nothing_is_read_before_it_is_passed_on(crossing):
    """The sinks may be there first."""
    crossing = crossing(STEP, 2).open().attach_all()
    sending = crossing.send()
    await asyncio.sleep(0.05)
    assert crossing.passage.source.moved == 0
    reading = crossing.read()
    await crossing.pass_on().passing
    await asyncio.gather(sending, *reading, *crossing.attached)


async def test_absent_sinks_are_not_waited_for(crossing):
    """The others get theirs; if there are none, it is broken and nothing was read."""
    some = crossing(3 * STEP, 3).open().pass_on()
    some.attach()
    sending, reading = some.send(), some.read()
    some.plane.absent(some.passage)
    await asyncio.sleep(0.02)
    assert some.passage.source.moved == 0
    some.plane.absent(some.passage)
    await some.passing
    assert await asyncio.gather(*reading) == [some.data]
    await asyncio.gather(sending, *some.attached)
    nobody = crossing(10, 1).open().pass_on()
    nobody.plane.absent(nobody.passage)
    with pytest.raises(Broken, match="every receiver left"):
        await nobody.passing
    assert (nobody.moved, nobody.asked) == ([], 0)


@pytest.mark.parametrize("size", [1, 5000, 3 * STEP + 1])
async def test_the_end_is_held_back(crossing, size):
    """While the event loop is asked, no sink has its last byte."""
    crossing = crossing(size, 3).open().attach_all()
    seen = []

    def before_last():
        time.sleep(0.05)  # however long it takes
        seen.extend(sink.moved for sink in crossing.sinks)

    crossing.before_last = before_last
    sending, reading = crossing.send(), crossing.read()
    await crossing.pass_on().passing
    assert len(seen) == 3
    assert all(moved < size for moved in seen)
    await asyncio.gather(sending, *reading, *crossing.attached)


# -- descriptors


@pytest.mark.parametrize("count", [1, 2])
async def test_no_descriptors_left(plane, connect, file, count):
    """A passage, or a sink, that cannot be opened leaves nothing behind."""
    plane.gauge(file, 0)  # a thread that is there already
    _, ours = connect()
    fine = plane.passage(ours.fileno(), 10, count, 9.0, 9.0)
    before = open_descriptors()
    for make, needs in [
        (lambda: plane.passage(ours.fileno(), 10, count, 9.0, 9.0), 3 if count == 1 else 4),
        (lambda: Sink(ours.fileno(), fine), 1 if count == 1 else 3),
    ]:
        for spare in range(needs):
            with limited(before, spare), pytest.raises(TooManyFiles, match="too many open files"):
                make()
        assert open_descriptors() == before
    assert plane.active == 1
    plane.abandon_passage(fine)


class limited:
    """While it lasts, only so many more descriptors can be opened."""

    def __init__(self, before, spare):
        free = sorted(set(range(max(before) + spare + 2)) - set(before))
        self.limit = free[spare]

    def __enter__(self):
        self.limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit, self.limits[1]))

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_NOFILE, self.limits)
