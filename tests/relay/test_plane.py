"""The event loop's side: who is taken, and that everything is given back however it ends."""

import asyncio
import os
import socket
import ssl
import sys
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from filepipe.errors import Broken, DiskFull, Stalled
from filepipe.relay import plane as plane_module
from filepipe.relay import worker
from filepipe.relay.plane import MIN_SIZE, Plane
from tests.relay.descriptors import content, relay_threads, reset
from tests.relay.transfers import Transfers, Transport, sock_read, sock_send

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="the relay needs splice and epoll, which Linux has"
)


@pytest.fixture
def fast_ticks(monkeypatch):
    """Look for stalled peers all the time."""
    monkeypatch.setattr(worker, "TICK", 0.02)


# -- what is taken


def test_what_the_kernel_may_move(connect):
    """Large bodies of a known length over plain sockets; everything else is the loop's."""
    _, ours = connect()
    plain = Transport(socket=ours)
    plane = Plane(enabled=True)
    assert plane.takes(plain, MIN_SIZE)
    assert not plane.takes(plain, MIN_SIZE - 1)
    assert not plane.takes(plain, None)
    assert not plane.takes(None, MIN_SIZE)
    assert not plane.takes(Transport(), MIN_SIZE)
    secret = Transport(socket=ours, sslcontext=ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    assert not plane.takes(secret, MIN_SIZE)
    with socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        assert not plane.takes(Transport(socket=datagrams), MIN_SIZE)
    assert not Plane(enabled=False).takes(plain, MIN_SIZE)
    assert relay_threads() == []


def test_another_system_takes_nothing(connect, monkeypatch):
    """Where the kernel cannot, the setting changes nothing."""
    monkeypatch.setattr(plane_module, "_SUPPORTED", False)
    _, ours = connect()
    assert not Plane(enabled=True).takes(Transport(socket=ours), MIN_SIZE)


# -- whole transfers


@pytest.mark.parametrize("size", [1, 4097, 65_537, 1_048_576, 2_097_153])
async def test_a_slow_sender(transfers, file, size):
    """Every byte arrives, the growth is told on the loop, in order and to the last byte."""
    data = os.urandom(size)
    grown = []

    def on_growth(gauge):
        assert threading.current_thread() is threading.main_thread()
        grown.append(gauge.size)

    peer, filling = transfers.fill(size, on_growth)
    step = size // 7 + 1
    for first in range(0, size, step):
        await sock_send(peer, data[first : first + step])
        while not filling.done() and (not grown or grown[-1] < min(first + step, size)):
            await asyncio.sleep(0.001)
    await filling
    assert grown == sorted(grown)
    assert content(file) == data
    assert transfers.intake.moved == transfers.gauge.size == size


async def test_followers_at_several_offsets(transfers):
    """Outflows that start before, during and after the intake get exactly their bytes."""
    data = os.urandom(1_500_001)
    size = len(data)
    early = [transfers.empty(0, size), transfers.empty(777_777, size)]
    await transfers.wait_until_parked(2)
    peer, filling = transfers.fill(size)
    await sock_send(peer, data[:800_000])
    during = [transfers.empty(0, size), transfers.empty(799_999, 800_001)]
    reads = [
        asyncio.create_task(sock_read(reader, stop - start))
        for (reader, _), (start, stop) in zip(
            early + during,
            [(0, size), (777_777, size), (0, size), (799_999, 800_001)],
            strict=True,
        )
    ]
    await sock_send(peer, data[800_000:])
    await filling
    late = transfers.empty(5, size)
    reads.append(asyncio.create_task(sock_read(late[0], size - 5)))
    assert await asyncio.gather(*reads) == [
        data, data[777_777:], data, data[799_999:800_001], data[5:],
    ]  # fmt: skip
    await asyncio.gather(*(task for _, task in [*early, *during, late]))


@given(
    length=st.integers(1, 300_000),
    cuts=st.lists(st.integers(0, 300_000), max_size=6),
    spans=st.lists(st.tuples(st.integers(0, 300_000), st.integers(0, 300_000)), max_size=5),
    seed=st.binary(min_size=1, max_size=8),
)
@settings(
    max_examples=30,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_any_sizes_pieces_and_spans(connect, tmp_path, length, cuts, spans, seed):
    """However a body is cut into pieces, each follower gets its span of it."""
    data = (seed * (length // len(seed) + 1))[:length]
    bounds = sorted({0, length, *(min(cut, length) for cut in cuts)})
    spans = [tuple(sorted((min(one, length), min(two, length)))) for one, two in spans]

    async def transfer(fd):
        plane = Plane(enabled=True)
        transfers = Transfers(plane, connect, fd)
        peer, filling = transfers.fill(length)
        readers, tasks = [], []
        for index, (first, last) in enumerate(zip(bounds, [*bounds[1:], length], strict=True)):
            if index < len(spans):
                reader, emptying = transfers.empty(*spans[index])
                readers.append(sock_read(reader, spans[index][1] - spans[index][0]))
                tasks.append(emptying)
            await sock_send(peer, data[first:last])
        received = await asyncio.gather(*readers)
        await asyncio.gather(filling, *tasks)
        await plane.aclose()
        return received

    fd = os.open(tmp_path, os.O_TMPFILE | os.O_RDWR)
    try:
        received = asyncio.run(transfer(fd))
        assert content(fd) == data
    finally:
        os.close(fd)
    for (start, stop), read in zip(spans, received, strict=False):
        assert read == data[start:stop]


# -- how transfers fail


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["fin", "reset"])
async def test_a_sender_that_leaves(transfers, leave):
    """The intake raises, its followers too, and later ones at once."""
    peer, filling = transfers.fill(1000)
    _, following = transfers.empty(0, 1000)
    await sock_send(peer, b"part")
    while transfers.gauge.size < 4:
        await asyncio.sleep(0.001)
    await transfers.wait_until_parked()
    leave(peer)
    for task in (filling, following, transfers.empty(0, 1000)[1]):
        with pytest.raises(Broken):
            await task


async def test_a_reader_that_leaves_while_it_waits(transfers):
    """It is told, though there is nothing to send; the intake goes on."""
    peer, filling = transfers.fill(4)
    reader, following = transfers.empty(0, 4)
    await transfers.wait_until_parked()
    reader.close()
    with pytest.raises(Broken, match="the reader left"):
        await following
    await sock_send(peer, b"data")
    await filling


async def test_silent_peers(fast_ticks, transfers, file):
    """A sender that sends nothing, and a reader that takes nothing, for longer than it may."""
    _, filling = transfers.fill(1000, stall=0.05)
    with pytest.raises(Stalled, match=r"the peer sent nothing for 0\.05 seconds"):
        await filling
    os.truncate(file, 64 << 20)
    transfers.gauge = transfers.plane.gauge(file, 64 << 20)
    _, emptying = transfers.empty(0, 64 << 20, stall=0.05, buffer=4096)
    with pytest.raises(Stalled, match=r"the peer took nothing for 0\.05 seconds"):
        await emptying


async def test_a_full_disk(plane, connect, file, full_file):
    """The upload is refused and its followers are cut; the next one on the same thread is fine."""
    full = Transfers(plane, connect, full_file)
    peer, filling = full.fill(8 << 20)
    reader, following = full.empty(0, 8 << 20)
    sending = asyncio.create_task(sock_send(peer, bytes(8 << 20)))
    draining = asyncio.create_task(sock_read(reader, 8 << 20))
    with pytest.raises(DiskFull):
        await filling
    with pytest.raises(Broken):
        await following
    for task in (sending, draining):
        task.cancel()
    await asyncio.wait({sending, draining})
    well = Transfers(plane, connect, file)
    assert well.gauge.home is full.gauge.home
    peer, filling = well.fill(5)
    await sock_send(peer, b"after")
    await filling
    assert content(file) == b"after"
