"""Delivery: what the receiver's kernel has is delivered; what waits in ours, or is lost, is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from filepipe.errors import Broken, FilepipeError, TooManyFiles
from filepipe.web.connection import Census, Connection, ConnectionLimits
from filepipe.web.delivery import CHECKED, Delivery

SIZE = 120_000
"""More than is taken for delivered when it is sent, less than the kernels hold."""

STALL = 0.5


class Counter:
    """A server that answers with `size` bytes and keeps what became of their delivery."""

    def __init__(self) -> None:
        self.size = SIZE
        self.outcome: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """The handler."""
        response = web.StreamResponse()
        response.content_length = self.size
        with Delivery(request, STALL) as delivery:
            try:
                if self.size > CHECKED:
                    delivery.expect_large()
                await response.prepare(request)
                await response.write(bytes(self.size))
                await delivery.complete()
            except FilepipeError as error:
                self.outcome.set_result(type(error).__name__)
            except (asyncio.CancelledError, ConnectionError):
                self.outcome.set_result("arrived" if delivery.arrived() else "left")
            else:
                self.outcome.set_result("complete")
        response.force_close()
        return response

    async def told(self) -> str:
        """What became of it."""
        return await asyncio.wait_for(asyncio.shield(self.outcome), 10)


@pytest.fixture
async def counter() -> Counter:
    """What answers."""
    return Counter()


@pytest.fixture(params=["tcp", "unix"])
async def connect(
    request: pytest.FixtureRequest, counter: Counter, tmp_path: Path
) -> AsyncIterator[Callable[[], Awaitable[socket.socket]]]:
    """Connect a receiver who has asked, and whose kernel takes little, over one kind of socket."""
    loop = asyncio.get_running_loop()
    server = web.Server(counter.answer, handler_cancellation=True)
    census = Census()
    limits = ConnectionLimits(10, 10, 10)
    options: dict[str, Any] = {"loop": loop, "access_log": None}

    def accept() -> asyncio.Protocol:
        return Connection(server, limits, census, **options)

    before = len(os.listdir("/proc/self/fd"))
    socks: list[socket.socket] = []
    if request.param == "unix":
        listener = await loop.create_unix_server(accept, tmp_path / "sock")
        address: Any = str(tmp_path / "sock")
    else:
        listener = await loop.create_server(accept, "127.0.0.1", 0)
        address = listener.sockets[0].getsockname()

    async def come() -> socket.socket:
        sock = socket.socket(socket.AF_UNIX if request.param == "unix" else socket.AF_INET)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        socks.append(sock)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        return sock

    yield come
    for sock in socks:
        sock.close()
    listener.close()
    await server.shutdown(1)
    async with asyncio.timeout(5):
        while len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0.01)


async def take(sock: socket.socket, size: int, *, begun: bool = False) -> None:
    """Read so many bytes of the body, and the head if nothing has `begun`."""
    loop = asyncio.get_running_loop()
    data = b"\r\n\r\n" if begun else b""
    while not data.endswith(b"\r\n\r\n"):
        data += await loop.sock_recv(sock, 1)
    while size > 0:
        chunk = await loop.sock_recv(sock, size)
        assert chunk
        size -= len(chunk)


async def test_who_takes_everything(counter, connect):
    """Whenever he does."""
    sock = await connect()
    await asyncio.sleep(0.1)
    assert not counter.outcome.done()
    await take(sock, SIZE)
    assert await counter.told() == "complete"


async def test_who_takes_slowly(counter, connect):
    """Longer than he may be silent, but never silent for so long."""
    sock = await connect()
    await take(sock, 1000)
    for _ in range(5):
        await asyncio.sleep(STALL * 0.4)
        await take(sock, 20_000, begun=True)
        assert not counter.outcome.done()
    await take(sock, SIZE - 101_000, begun=True)
    assert await counter.told() == "complete"


@pytest.mark.parametrize("taken", [0, SIZE // 2])
async def test_who_takes_nothing_more(counter, connect, taken):
    """He is given up after a while."""
    sock = await connect()
    await take(sock, taken)
    assert await counter.told() == "Stalled"


@pytest.mark.parametrize("taken", [0, SIZE - 30_000])
@pytest.mark.parametrize("by_reset", [False, True])
async def test_who_leaves_with_something_unread(counter, connect, taken, by_reset):
    """Bytes that only our kernel had, or that his dropped, were not delivered."""
    sock = await connect()
    await take(sock, taken)
    if by_reset:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    assert await counter.told() in ("left", "Broken")


@pytest.mark.parametrize("size", [SIZE, CHECKED + 1, 5])
async def test_who_closes_with_the_last_byte(counter, connect, size):
    """He has received it, however fast he goes."""
    counter.size = size
    sock = await connect()
    await take(sock, size)
    sock.close()
    assert await counter.told() in ("complete", "arrived")


async def test_a_small_body_is_delivered_when_it_is_sent(counter, connect):
    """What the kernels hold of it is not asked."""
    counter.size = CHECKED
    await connect()
    assert await counter.told() == "complete"


@pytest.fixture
def no_descriptor_left() -> Iterator[Callable[[], None]]:
    """Take every descriptor that there is."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def take_all() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.dup(0))

    yield take_all
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_no_descriptor_is_left(no_descriptor_left):
    """The receiver is refused; nothing is open that was not."""
    ours, theirs = socket.socketpair()

    class Transport:
        def get_extra_info(self, name: str) -> socket.socket | None:
            return ours if name == "socket" else None

    class Request:
        transport = Transport()

    with ours, theirs, Delivery(Request(), STALL) as delivery:  # type: ignore[arg-type]
        no_descriptor_left()
        with pytest.raises(TooManyFiles):
            delivery.expect_large()


async def test_a_receiver_who_is_gone_already():
    """There is nothing to wait for."""

    class Request:
        transport = None

    with Delivery(Request(), STALL) as delivery:  # type: ignore[arg-type]
        delivery.expect_large()
        with pytest.raises(Broken, match="the receiver left"):
            await delivery.complete()
        assert not delivery.arrived()
