"""Departures: a peer that leaves is seen, although nobody reads what it sends."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import struct
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from filepipe.errors import TooManyFiles
from filepipe.web import departures as module
from filepipe.web.departures import AHEAD, Departures, may_be_whole
from tests.conftest import eventually

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
async def departures() -> AsyncIterator[Departures]:
    """Closed at the end, with every descriptor of its own."""
    before = os.listdir("/proc/self/fd")
    departures = Departures()
    yield departures
    departures.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.fixture
def unix_pair() -> Iterator[Pair]:
    """The same of a unix socket."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Our end of a TCP connection, and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
        with ours, theirs:
            yield ours, theirs


class Told:
    """Everything that was told."""

    def __init__(self) -> None:
        self.resets: list[bool] = []

    def __call__(self, fd: int, *, reset: bool) -> None:
        os.fstat(fd)
        self.resets.append(reset)

    async def eventually(self, *resets: bool) -> None:
        """Wait until this was told, and no more."""
        async with asyncio.timeout(5):
            while len(self.resets) < len(resets):
                await asyncio.sleep(0.01)
        assert self.resets == list(resets)


def reset(sock: socket.socket) -> None:
    """Close by a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


async def test_who_stays_is_not_told_of(departures: Departures, pair: Pair) -> None:
    """However much it sends."""
    ours, theirs = pair
    told = Told()
    with departures.watch(ours, told):
        theirs.sendall(b"hello")
        await asyncio.sleep(0.05)
    assert told.resets == []


@pytest.mark.parametrize("data", [b"", b"unread"])
async def test_a_fin(departures: Departures, pair: Pair, data: bytes) -> None:
    """Once, whatever lies unread before it."""
    ours, theirs = pair
    told = Told()
    with departures.watch(ours, told):
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        await told.eventually(False)
        await asyncio.sleep(0.05)
    assert told.resets == [False]
    assert ours.recv(100) == data


@pytest.mark.parametrize("data", [b"", b"unread"])
async def test_a_unix_socket(departures: Departures, unix_pair: Pair, data: bytes) -> None:
    """It knows no FIN; a peer that has closed is told of as one: its bytes are still there."""
    ours, theirs = unix_pair
    told = Told()
    with departures.watch(ours, told):
        theirs.sendall(data)
        theirs.close()
        await told.eventually(False)
    assert ours.recv(100) == data


@pytest.mark.parametrize("data", [b"", b"unread"])
async def test_a_reset(departures: Departures, pair: Pair, data: bytes) -> None:
    """It is told apart from a FIN, since what lies unread is lost."""
    ours, theirs = pair
    told = Told()
    with departures.watch(ours, told):
        theirs.sendall(data)
        reset(theirs)
        await told.eventually(True)


async def test_a_fin_and_then_a_reset(departures: Departures, pair: Pair) -> None:
    """Whoever closed his half may still be lost."""
    ours, theirs = pair
    told = Told()
    with departures.watch(ours, told):
        theirs.shutdown(socket.SHUT_WR)
        await told.eventually(False)
        reset(theirs)
        await told.eventually(False, True)


async def test_who_left_before(departures: Departures, pair: Pair) -> None:
    """The watch begins too late for the event, but not for the fact."""
    ours, theirs = pair
    theirs.close()
    told = Told()
    with departures.watch(ours, told):
        await told.eventually(False)


async def test_only_who_left(departures: Departures) -> None:
    """Of many, each is told of his own, and nobody after his watch has ended."""
    with contextlib.ExitStack() as stack:
        pairs = [socket.socketpair() for _ in range(5)]
        for pair in pairs:
            for sock in pair:
                stack.enter_context(sock)
        told = [Told() for _ in pairs]
        await _leave_one_by_one(departures, pairs, told)
    assert [one.resets for one in told] == [[], [], [False], [], []]


async def _leave_one_by_one(departures: Departures, pairs: list[Pair], told: list[Told]) -> None:
    with departures.watch(pairs[1][0], told[1]), departures.watch(pairs[2][0], told[2]):
        with departures.watch(pairs[3][0], told[3]):
            pairs[2][1].close()
            await told[2].eventually(False)
        pairs[3][1].close()
        await asyncio.sleep(0.05)


async def test_the_socket_may_be_closed_meanwhile(departures: Departures, pair: Pair) -> None:
    """The event loop closes its own as it likes; the watch is over when it says so."""
    ours, theirs = pair
    told = Told()
    with departures.watch(ours, told):
        ours.close()
        theirs.close()
        await told.eventually(False)


@pytest.fixture
def no_descriptor_left() -> Iterator[Callable[[], None]]:
    """Take every descriptor that there is."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []

    def take() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, before[1]))
        try:
            while True:
                taken.append(os.dup(0))
        except OSError:
            return

    yield take
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("warm", [False, True])
async def test_no_descriptor_is_left(
    departures: Departures, pair: Pair, no_descriptor_left: Callable[[], None], *, warm: bool
) -> None:
    """The newcomer is refused, at the first watch or later."""
    if warm:
        with departures.watch(pair[0], Told()):
            pass
    no_descriptor_left()
    with pytest.raises(TooManyFiles), departures.watch(pair[0], Told()):
        pass


async def test_where_there_is_no_epoll(
    departures: Departures, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer is then missed when it is read; nothing else changes."""
    monkeypatch.setattr(module, "_LEFT", 0)
    told = Told()
    with departures.watch(pair[0], told):
        pair[1].close()
        await asyncio.sleep(0.05)
    assert told.resets == []


# -- whether a body can be whole


def unread(pair: Pair, data: bytes) -> int:
    """Let `data` lie unread at our end; returns its descriptor."""
    ours, theirs = pair
    theirs.sendall(data)
    eventually(lambda: len(ours.recv(len(data) + 1, socket.MSG_PEEK)) == len(data))
    return ours.fileno()


@pytest.mark.parametrize("secure", [False, True])
def test_of_a_known_length(pair: Pair, *, secure: bool) -> None:
    """What is missing is there, or could be on its way; or is too much for that."""
    fd = unread(pair, bytes(1000))
    assert may_be_whole(fd, 0, secure=secure)
    assert may_be_whole(fd, 1000, secure=secure)
    assert may_be_whole(fd, 1000 + AHEAD, secure=secure)
    assert not may_be_whole(fd, 1001 + AHEAD, secure=secure)


@pytest.mark.parametrize(
    ("tail", "whole"),
    [(b"5\r\nhello\r\n0\r\n\r\n", True), (b"0\r\nA: b\r\n\r\n", True), (b"\r\n", False),
     (b"5\r\nhello\r\n0\r\n", False), (b"5\r\nhel", False)],
)  # fmt: skip
def test_in_chunks(pair: Pair, tail: bytes, *, whole: bool) -> None:
    """The end of a chunked body is seen, unless it is encrypted; nothing is taken by the look."""
    fd = unread(pair, tail)
    assert may_be_whole(fd, None, secure=False) is whole
    assert may_be_whole(fd, None, secure=True)
    assert pair[0].recv(100) == tail


def test_in_chunks_that_were_read(pair: Pair) -> None:
    """With nothing left in the kernel the end may be among what was read."""
    assert may_be_whole(pair[0].fileno(), None, secure=False)
