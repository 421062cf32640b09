"""Cut from the loop: everything is given back, whoever ends it and when."""

import asyncio
import sys

import pytest

from filepipe.errors import Broken, TooManyFiles
from filepipe.relay.moves import STEP
from filepipe.relay.passage import Sink
from tests.relay.descriptors import open_descriptors, relay_threads
from tests.relay.passages import SMALL, Crossing
from tests.relay.transfers import sock_send

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


async def test_cancelling_a_sink(crossing):
    """It alone is dropped, and its descriptors are back when the task has ended."""
    crossing = crossing(6 << 20, 2).open().attach_all(buffer=SMALL).pass_on()
    sending, reading = crossing.send(), crossing.read(slice(1, None))
    await crossing.until_stuck()
    before = open_descriptors()
    crossing.attached[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await crossing.attached[0]
    assert len(open_descriptors()) <= len(before) - 3
    assert crossing.sinks[0].moved < len(crossing.data)
    await crossing.others_finish(sending, 0)
    assert await asyncio.gather(*reading) == [crossing.data]


@pytest.mark.parametrize("complete", [True, False])
async def test_cancelling_the_source(crossing, complete):
    """All is over; when the task has ended the descriptors are back."""
    crossing = crossing(10_000, 3).open()
    for _ in range(3 if complete else 2):
        crossing.attach()
    crossing.pass_on()
    await sock_send(crossing.sender, b"part")
    await asyncio.sleep(0.02)
    before = open_descriptors()
    crossing.passing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await crossing.passing
    await asyncio.wait(crossing.attached)
    for task in crossing.attached:
        with pytest.raises(Broken, match="the transfer broke off"):
            await task
    assert len(open_descriptors()) == len(before) - 4 - 3 * len(crossing.sinks)
    assert crossing.asked == 0


async def test_cancelling_while_the_loop_is_asked(crossing):
    """It is over for all, whether or not the last bytes were on their way."""
    crossing = crossing(10).open().attach_all()

    def before_last():
        crossing.passing.cancel()

    crossing.before_last = before_last
    crossing.pass_on()
    await crossing.send()
    await asyncio.wait([crossing.passing, *crossing.attached])
    assert crossing.passing.cancelled()
    assert crossing.attached[0].exception() is None or crossing.sinks[0].moved == 0


async def test_giving_up(crossing):
    """Sinks that have come, and those that come later, get `Broken`."""
    crossing = crossing(10, 3).open()
    crossing.attach()
    crossing.plane.abandon_passage(crossing.passage)
    crossing.attach()
    for task in crossing.attached:
        with pytest.raises(Broken, match="the transfer broke off"):
            await task


async def test_a_socket_that_cannot_be_watched(crossing, file):
    """A sink that the kernel refuses fails alone."""
    crossing = crossing(STEP, 2).open().pass_on()
    with pytest.raises(TooManyFiles):
        await crossing.plane.attach(Sink(file, crossing.passage))
    crossing.attach()
    sending, reading = crossing.send(), crossing.read()
    await asyncio.gather(sending, crossing.passing, *crossing.attached)
    assert await asyncio.gather(*reading) == [crossing.data]


async def test_a_cancellation_at_any_moment(crossing):
    """Before the thread has begun, in the middle, or when it has just ended: never a leak."""
    before = open_descriptors()
    for turns in range(1, 13):
        one = crossing(10, 2).open().attach_all().pass_on()
        one.sender.send(one.data)
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        one.passing.cancel()
        one.attached[0].cancel()
        await asyncio.wait([one.passing, *one.attached])
    assert one.plane.active == 0
    left = [what for _, what in open_descriptors().items() - before.items()]
    assert len([what for what in left if what.startswith("socket:")]) == 12 * 6


async def test_closing_cuts_everything(crossing):
    """Whoever still awaits one gets `Broken`; later ones are refused, and nothing is left open."""
    crossing = crossing(10_000, 2).open().attach_all().pass_on()
    waiting = Crossing(crossing.plane, crossing.connect, 10, 1).open()
    waiting.attach()
    await asyncio.sleep(0)
    assert crossing.plane.active == 5
    await crossing.plane.aclose()
    for task in (crossing.passing, *crossing.attached, *waiting.attached):
        with pytest.raises(Broken):
            await task
    with pytest.raises(Broken):
        await waiting.pass_on().passing
    assert relay_threads() == []
    _, ours = crossing.connect()
    before = open_descriptors()
    with pytest.raises(Broken, match="the daemon stopped"):
        crossing.plane.passage(ours.fileno(), 10, 1, 9.0, 9.0)
    with pytest.raises(Broken, match="the daemon stopped"):
        await crossing.plane.attach(Sink(ours.fileno(), crossing.passage))
    assert open_descriptors() == before


async def test_giving_up_after_the_close(crossing):
    """The daemon may have stopped in between."""
    crossing = crossing(10).open()
    await crossing.plane.aclose()
    crossing.plane.absent(crossing.passage)
    crossing.plane.abandon_passage(crossing.passage)
    assert crossing.plane.active == 0
