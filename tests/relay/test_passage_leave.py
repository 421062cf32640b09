"""Peers that leave or stall: it concerns a sink alone, and everybody if it is the source."""

import asyncio
import socket
import sys

import pytest

from filepipe.errors import Broken, Stalled
from filepipe.relay import moves, passage, worker
from filepipe.relay.moves import STEP
from tests.relay.descriptors import reset
from tests.relay.passages import SMALL, Crossing
from tests.relay.transfers import sock_read, sock_send

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


def half(sock):
    """Close the sending half only."""
    sock.shutdown(socket.SHUT_WR)


LEAVE = pytest.mark.parametrize(
    "leave", [socket.socket.close, reset, half], ids=["fin", "reset", "half"]
)


@pytest.fixture
def fast_ticks(monkeypatch):
    """Look for stalled peers all the time."""
    monkeypatch.setattr(worker, "TICK", 0.02)


# -- sinks


@LEAVE
@pytest.mark.parametrize("count", [2, 3])
async def test_a_receiver_that_leaves_in_the_middle(crossing, leave, count):
    """It alone is dropped, although the others had to wait for it until then."""
    crossing = crossing(6 << 20, count).open().attach_all(buffer=SMALL).pass_on()
    sending, reading = crossing.send(), crossing.read(slice(1, None))
    await crossing.until_stuck()
    leave(crossing.readers[0])
    with pytest.raises(Broken, match="the receiver left"):
        await crossing.attached[0]
    assert 0 < crossing.sinks[0].moved < len(crossing.data)
    await crossing.others_finish(sending, 0)
    assert await asyncio.gather(*reading) == [crossing.data] * (count - 1)


@LEAVE
async def test_a_receiver_that_leaves_before_the_start(crossing, leave):
    """It has come, and is not waited for any more."""
    crossing = crossing(STEP, 2).open().pass_on()
    leave(crossing.attach())
    with pytest.raises(Broken, match="the receiver left"):
        await crossing.attached[0]
    crossing.attach()
    sending, reading = crossing.send(), crossing.read(slice(1, None))
    await crossing.others_finish(sending, 0)
    assert await asyncio.gather(*reading) == [crossing.data]


@pytest.mark.parametrize("count", [1, 2])
async def test_all_receivers_leave(crossing, count):
    """Then the source is of no use."""
    crossing = crossing(6 << 20, count).open().attach_all(buffer=SMALL).pass_on()
    sending = crossing.send()
    await crossing.until_stuck()
    for reader in crossing.readers:
        reader.close()
    for task in crossing.attached:
        with pytest.raises(Broken, match="the receiver left"):
            await task
    with pytest.raises(Broken, match="every receiver left"):
        await crossing.passing
    assert crossing.asked == 0
    sending.cancel()
    await asyncio.wait([sending])


@pytest.mark.parametrize("count", [1, 2])
async def test_a_receiver_that_has_everything_may_close(crossing, count):
    """It is not called lost, however soon it is gone."""
    for _ in range(20):
        one = crossing(5000, count).open().attach_all().pass_on()
        one.sender.send(one.data)
        for reader in one.readers:
            assert await sock_read(reader, 5000) == one.data
            reader.close()
        await one.passing
        assert await asyncio.gather(*one.attached) == [5000] * count


async def test_receivers_that_leave_while_the_sender_is_silent(crossing):
    """Nothing has to be written to notice it."""
    crossing = crossing(100, 2).open().attach_all().pass_on()
    await sock_send(crossing.sender, b"part")
    for reader in crossing.readers:
        assert await sock_read(reader, 4) == b"part"
        reader.close()
    with pytest.raises(Broken, match="every receiver left"):
        await crossing.passing
    await asyncio.wait(crossing.attached)


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("culprit", ["source", "sinks"])
async def test_the_cause_is_told_before_what_follows(crossing, culprit, count):
    """So that nobody is told that the others left, when it was the sender, or the reverse."""
    crossing = crossing(100, count).open().attach_all().pass_on()
    order = []
    crossing.passing.add_done_callback(lambda _: order.append("source"))
    for task in crossing.attached:
        task.add_done_callback(lambda _: order.append("sinks"))
    await sock_send(crossing.sender, b"part")
    for reader in crossing.readers:
        assert await sock_read(reader, 4) == b"part"
    for sock in [crossing.sender] if culprit == "source" else crossing.readers:
        sock.close()
    await asyncio.wait([crossing.passing, *crossing.attached])
    sinks = ["sinks"] * count
    assert order == (["source", *sinks] if culprit == "source" else [*sinks, "source"])


async def test_a_receiver_that_stalls(crossing, fast_ticks):
    """It is dropped when its time is over, and the others go on."""
    crossing = crossing(6 << 20, 3).open().attach_all(buffer=SMALL)
    crossing.sinks[0].stall = 0.1  # the others may be slow, on a machine that is
    crossing.pass_on()
    sending, reading = crossing.send(), crossing.read(slice(1, None))
    with pytest.raises(Stalled, match=r"the peer took nothing for 0\.1 seconds"):
        await crossing.attached[0]
    await crossing.others_finish(sending, 0)
    assert await asyncio.gather(*reading) == [crossing.data] * 2


async def test_a_system_that_does_not_copy(crossing, monkeypatch):
    """A sandbox may forbid it: that breaks the transfer, not the thread."""

    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr(passage, "tee", refuse)
    one = crossing(100, 2).open().attach_all().pass_on()
    sending = one.send()
    for task in one.attached[:1]:
        with pytest.raises(Broken, match="does not copy between pipes"):
            await task
    # the other one is alone now, and needs none
    await one.others_finish(sending, 0)


async def test_waiting_for_others_is_no_stall(crossing, fast_ticks):
    """Neither for a slow sender, nor for a receiver that is behind."""
    crossing = crossing(100, 2).open(stall=0.05).attach_all().pass_on()
    await asyncio.sleep(0.2)
    sending = crossing.send()
    await crossing.others_finish(sending)


# -- the source


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("sent", [0, 5000])
@LEAVE
async def test_a_sender_that_leaves_early(crossing, leave, count, sent):
    """All hear of it; what had come may have reached them, but never the end."""
    crossing = crossing(10_000, count).open().attach_all().pass_on()
    await sock_send(crossing.sender, crossing.data[:sent])
    for reader in crossing.readers:
        assert await sock_read(reader, sent) == crossing.data[:sent]
    leave(crossing.sender)
    await crossing.all_broken("the sender")
    assert sum(crossing.moved) == sent


@LEAVE
@pytest.mark.parametrize("passed_on", [True, False])
async def test_a_sender_that_leaves_before_the_start(crossing, leave, passed_on):
    """It is noticed though nothing is read."""
    crossing = crossing(10_000, 2).open()
    crossing.attach()
    if passed_on:
        crossing.pass_on()
    await sock_send(crossing.sender, crossing.data[:100])
    leave(crossing.sender)
    with pytest.raises(Broken, match="the transfer broke off"):
        await crossing.attached[0]
    if not passed_on:
        crossing.pass_on()
    crossing.attach()
    await crossing.all_broken("the sender")
    assert crossing.moved == []


@pytest.mark.parametrize("count", [1, 2])
@LEAVE
async def test_a_sender_that_leaves_while_receivers_are_stuck(crossing, leave, count):
    """It is noticed at once though its socket is not being read."""
    crossing = crossing(64 << 20, count).open(buffer=SMALL).attach_all(buffer=SMALL).pass_on()
    sending = crossing.send()
    await crossing.until_stuck()
    sending.cancel()
    await asyncio.wait([sending])
    if leave is reset:
        reset(crossing.sender)
    else:
        # the end arrives only when what is before it does
        drained = crossing.read()
        leave(crossing.sender)
        await asyncio.wait([crossing.passing])
        for task in drained:
            task.cancel()
        await asyncio.wait(drained)
    await crossing.all_broken("the sender")


async def test_a_sender_that_leaves_while_one_receiver_is_ahead(crossing):
    """What only some have got already goes with all the rest."""
    crossing = crossing(6 << 20, 2).open().attach_all(buffer=SMALL).pass_on()
    sending, reading = crossing.send(), crossing.read(slice(1, None))
    await crossing.until_stuck()
    assert crossing.sinks[1].ahead
    reset(crossing.sender)
    await crossing.all_broken("the sender")
    for task in (sending, *reading):
        task.cancel()
    await asyncio.wait([sending, *reading])


@pytest.fixture(params=["tcp", "unix"])
def stuck(request, monkeypatch, plane, connect, pairs):
    """Pass on 40 kB that the source's socket holds already, to receivers that do not read."""
    monkeypatch.setattr(moves, "STEP", 4096)

    async def stuck(length, count):
        crossing = Crossing(plane, connect if request.param == "tcp" else pairs, length, count)
        crossing.open()
        await sock_send(crossing.sender, crossing.data[:40_000])
        crossing.attach_all(buffer=4096).pass_on()
        await crossing.until_stuck()
        assert crossing.passage.source.moved < 40_000
        return crossing

    return stuck


WAYS = pytest.mark.parametrize("leave", [socket.socket.close, half], ids=["fin", "half"])


@pytest.mark.parametrize("count", [1, 2])
@WAYS
async def test_a_sender_whose_last_bytes_are_there_may_leave(stuck, leave, count):
    """Its end does not take away what the socket's buffer holds already."""
    crossing = await stuck(40_000, count)
    leave(crossing.sender)
    await asyncio.sleep(0.02)
    reading = crossing.read()
    await crossing.passing
    assert await asyncio.gather(*reading) == [crossing.data] * count
    await asyncio.gather(*crossing.attached)


@pytest.mark.parametrize("count", [1, 2])
@WAYS
async def test_a_sender_that_leaves_bytes_but_not_all(stuck, leave, count):
    """That it cannot be finished is known while nothing is read."""
    crossing = await stuck(40_001, count)
    leave(crossing.sender)
    await crossing.all_broken("the sender left before its last byte")


@pytest.mark.parametrize("stuck", ["tcp"], indirect=True)
async def test_a_sender_that_resets_with_all_bytes_there(stuck):
    """A reset is no end, whatever came before it."""
    crossing = await stuck(40_000, 2)
    reset(crossing.sender)
    await crossing.all_broken("the sender's connection broke")


async def test_a_sender_that_closes_when_everything_was_taken(crossing):
    """Even a reset comes too late to break anything."""
    crossing = crossing(300_000).open().attach_all(buffer=SMALL).pass_on()
    await crossing.send()
    while sum(crossing.moved) < len(crossing.data):
        await asyncio.sleep(0.001)
    reset(crossing.sender)
    reading = crossing.read()
    await crossing.passing
    assert await asyncio.gather(*reading) == [crossing.data]
    await asyncio.gather(*crossing.attached)


async def test_a_silent_sender(crossing, fast_ticks):
    """When its time is over all is over, but not while others keep it waiting."""
    crossing = crossing(100, 2).open(idle=0.1)
    crossing.attach()
    crossing.pass_on()
    await asyncio.sleep(0.3)
    assert not crossing.passing.done()
    crossing.attach()
    await sock_send(crossing.sender, b"part")
    with pytest.raises(Stalled, match=r"the peer sent nothing for 0\.1 seconds"):
        await crossing.passing
    await crossing.all_broken()
