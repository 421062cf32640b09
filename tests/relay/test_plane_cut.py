"""Cut from the loop, and the threads: everything is given back, whoever ends it and when."""

import asyncio
import sys
import threading

import pytest

from filepipe.errors import Broken, TooManyFiles, Unavailable
from filepipe.relay import worker
from filepipe.relay.moves import Intake, Outflow
from filepipe.relay.plane import MIN_SIZE, WORKERS
from tests.relay.descriptors import open_descriptors, relay_threads
from tests.relay.transfers import Transfers, Transport, ignore, sock_send

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


# -- cut from the loop


async def test_cancelling_gives_the_descriptors_back(plane, connect, file):
    """When the cancelled task has ended, the kernel has let go of socket and file."""
    gauge = plane.gauge(file, 0)
    connections = [connect() for _ in range(4)]
    before = open_descriptors()
    moves = [
        plane.fill(Intake(connections[0][1].fileno(), gauge, 10, 60.0), ignore),
        *(plane.empty(Outflow(ours.fileno(), gauge, 0, 10, 60.0)) for _, ours in connections[1:]),
    ]
    tasks = [asyncio.create_task(move) for move in moves]
    while len(gauge.followers) < 3:
        await asyncio.sleep(0.001)
    assert len(open_descriptors()) == len(before) + 4
    for task in [*tasks[1:], tasks[0]]:
        task.cancel()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert open_descriptors() == before


async def test_a_cancellation_at_any_moment(transfers, file):
    """Before the thread has begun, in the middle, or when it has just ended: never a leak."""
    before = open_descriptors()
    opened = set()
    for turns in range(1, 13):
        transfers.gauge = transfers.plane.gauge(file, 0)
        peer, filling = transfers.fill(10)
        reader, following = transfers.empty(0, 10)
        peer.send(bytes(10))
        for _ in range(turns):
            await asyncio.sleep(0.0002)
        filling.cancel()
        following.cancel()
        await asyncio.wait({filling, following})
        assert filling.cancelled() or filling.exception() is None
        opened |= {peer.fileno(), reader.fileno()}
    left = {number for number, _ in open_descriptors().items() - before.items()}
    assert transfers.plane.active == 0
    assert len(left) == 2 * len(opened)  # the test's own ends of its connections


async def test_cancelling_a_move(transfers):
    """Whoever awaits it gets `Broken`; once it is over nothing happens."""
    peer, filling = transfers.fill(10)
    await asyncio.sleep(0)
    transfers.plane.cancel(transfers.intake)
    with pytest.raises(Broken, match="cut off"):
        await filling
    transfers.plane.cancel(transfers.intake)
    peer.close()


async def test_abandoning_cuts_who_waits(transfers):
    """A reader of an upload that the kernel will not move any more does not wait for ever."""
    _, following = transfers.empty(0, 10)
    await transfers.wait_until_parked()
    transfers.plane.abandon(transfers.gauge)
    with pytest.raises(Broken, match="the upload broke off"):
        await following


async def test_what_is_cancelled_is_told_no_growth(transfers):
    """After `fill` has ended nothing calls back."""
    grown = []
    peer, filling = transfers.fill(1 << 20, lambda gauge: grown.append(gauge.size))
    await sock_send(peer, bytes(1000))
    while not grown:
        await asyncio.sleep(0.001)
    filling.cancel()
    await asyncio.wait({filling})
    grown.clear()
    peer.close()
    await asyncio.sleep(0.02)
    assert grown == []


# -- threads


async def test_closing_cuts_everything_and_ends_the_threads(plane, connect, file):
    """Whoever still awaits a move gets `Broken`, and no thread is left."""
    transfers = Transfers(plane, connect, file)
    _, filling = transfers.fill(10)
    _, following = transfers.empty(0, 10)
    await transfers.wait_until_parked()
    assert plane.active == 2
    await plane.aclose()
    for task in (filling, following):
        with pytest.raises(Broken):
            await task
    assert relay_threads() == []


async def test_after_the_close(plane, connect, file):
    """Transfers that were on their way are refused, not left waiting, and leak nothing."""
    transfers = Transfers(plane, connect, file)
    await plane.aclose()
    await plane.aclose()
    plane.abandon(transfers.gauge)
    assert not plane.takes(Transport(socket=connect()[1]), MIN_SIZE)
    connections = [connect(), connect()]
    before = open_descriptors()
    with pytest.raises(Broken, match="the daemon stopped"):
        await plane.fill(Intake(connections[0][1].fileno(), transfers.gauge, 10, 60.0), ignore)
    with pytest.raises(Broken, match="the daemon stopped"):
        await plane.empty(Outflow(connections[1][1].fileno(), transfers.gauge, 0, 10, 60.0))
    with pytest.raises(Broken, match="the daemon stopped"):
        plane.gauge(file, 0)
    assert open_descriptors() == before
    assert relay_threads() == []


async def test_threads_are_few_and_shared(plane, connect, file):
    """They start when they are needed, each with its share, and no more than there may be."""
    assert relay_threads() == []
    running = []
    for count in range(1, 7):
        transfers = Transfers(plane, connect, file)
        peer, filling = transfers.fill(10)
        await asyncio.sleep(0)
        running.append((peer, filling))
        assert len(relay_threads()) == min(count, WORKERS)
    assert [worker.load for worker in plane._workers] == [3, 3]
    for peer, filling in running:
        peer.close()
        with pytest.raises(Broken):
            await filling
    assert [worker.load for worker in plane._workers] == [0, 0]


@pytest.mark.parametrize(
    ("fault", "words"),
    [(TooManyFiles("too many open files, try again later"), "too many open files"), (None, "thr")],
)
async def test_no_thread_to_be_had(plane, connect, file, monkeypatch, fault, words):
    """The first one is refused as something that passes; a second one is done without."""

    def refuse(*_):
        raise fault or RuntimeError("can't start new thread")

    where = (worker.Worker, "_open") if fault else (threading.Thread, "start")
    with monkeypatch.context() as context:
        context.setattr(*where, refuse)
        with pytest.raises(Unavailable, match=words):
            plane.gauge(file, 0)
    first = Transfers(plane, connect, file)
    peer, filling = first.fill(10)
    await asyncio.sleep(0)
    with monkeypatch.context() as context:
        context.setattr(*where, refuse)
        assert plane.gauge(file, 0).home is first.gauge.home
    peer.close()
    with pytest.raises(Broken):
        await filling
