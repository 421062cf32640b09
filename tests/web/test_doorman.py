"""The doorman by himself, between a connection, a counter and somebody to hand over to."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import structlog

from filepipe.errors import Conflict, FilepipeError, StorageFailed, TooManyKeys
from filepipe.protocols.plain import PlainRequest
from filepipe.testing import turns
from filepipe.web.connection import Census, ConnectionLimits
from filepipe.web.doorman import LEFT, Answer, Doorman
from tests.web.ways import request

GET = request("GET", "/k")
PUT = request("PUT", "/k", body=b"hello")
HEAD_TIMEOUT, KEEPALIVE = 1000.0, 2000.0


class Transport(asyncio.Transport):
    """A connection that remembers what was done to it; `unsent` bytes wait in it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.7", 5)})
        self.written = b""
        self.done: list[str] = []
        self.unsent = 0
        self.closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closing
        self.written += data

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.done.append("hand over")

    def close(self) -> None:
        self.closing = True
        self.done.append("close")

    def abort(self) -> None:
        self.closing = True
        self.done.append("abort")

    def pause_reading(self) -> None:
        self.done.append("pause")

    def resume_reading(self) -> None:
        self.done.append("resume")


class Successor(asyncio.Protocol):
    """Whoever the connection is handed over to."""

    def __init__(self, census: Census) -> None:
        self.census = census
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.census.enter(self)

    def data_received(self, data: bytes) -> None:
        self.received += data


class Counter:
    """Answers what it is told to, or raises it."""

    def __init__(self) -> None:
        self.outcome: Answer | Exception | None = Answer(200, {"A": "b"}, b"yes")
        self.gate = asyncio.Event()
        self.records: list[tuple[str, str, int, int]] = []

    def put(self, request: PlainRequest) -> Answer | None:
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    async def get(self, request: PlainRequest) -> Answer | None:
        await self.gate.wait()
        return self.put(request)

    def refuse(self, error: FilepipeError) -> Answer:
        return Answer(error.status, {}, str(error).encode())

    def begin(self) -> str:
        return "id"

    def record(
        self, request: PlainRequest, request_id: str, remote: str, status: int, size: int,
        started: float,
    ) -> None:  # fmt: skip
        self.records.append((request_id, remote, status, size))


class Door:
    """A doorman with everybody he deals with."""

    def __init__(self) -> None:
        self.census = Census()
        self.counter = Counter()
        self.transport = Transport()
        self.successor = Successor(self.census)
        limits = ConnectionLimits(HEAD_TIMEOUT, KEEPALIVE, 10)
        self.man = Doorman(self.counter, lambda: self.successor, limits, self.census)
        self.man.connection_made(self.transport)

    @property
    def handed_over(self) -> bytes | None:
        """What the successor got; None as long as there is none."""
        if "hand over" not in self.transport.done:
            assert self.man in self.census.open
            return None
        assert self.census.open == {self.successor}
        assert not self.census.supervised
        return self.successor.received


@pytest.fixture
async def door() -> Door:
    """A connection that was just made."""
    return Door()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the doorman's time to so many seconds."""
    moment = 0.0
    times = SimpleNamespace(monotonic=lambda: moment, time=time.time, perf_counter=time.time)
    monkeypatch.setattr("filepipe.web.doorman.time", times)

    def set_to(seconds: float) -> None:
        nonlocal moment
        moment = seconds

    return set_to


async def test_an_answer(door: Door) -> None:
    """One write: status, headers, length, id, date, body."""
    door.counter.gate.set()
    door.man.data_received(GET)
    await turns()
    head, _, body = door.transport.written.partition(b"\r\n\r\n")
    assert body == b"yes"
    assert re.fullmatch(
        rb"HTTP/1\.1 200 OK\r\nA: b\r\nContent-Length: 3\r\nX-Request-Id: id\r\n"
        rb"Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT",
        head,
    )
    assert door.counter.records == [("id", "192.0.2.7", 200, 3)]
    assert door.handed_over is None


async def test_the_last_answer_of_a_connection(door: Door) -> None:
    """Who asks for it is told so, and the connection closes."""
    door.man.data_received(request("PUT", "/k", "Connection: close", body=b"hello"))
    assert b"\r\nConnection: close\r\n\r\nyes" in door.transport.written
    assert door.transport.done == ["close"]


@pytest.mark.parametrize("data", [GET, PUT])
@pytest.mark.parametrize("error", [Conflict("it is taken"), TooManyKeys("no room")])
async def test_a_refusal(door: Door, data: bytes, error: FilepipeError) -> None:
    """It is answered, and the connection goes on."""
    door.counter.gate.set()
    door.counter.outcome = error
    door.man.data_received(data)
    await turns()
    assert door.transport.written.endswith(str(error).encode())
    assert [(status, size) for _, _, status, size in door.counter.records] == [(error.status, 0)]
    door.counter.outcome = Answer(200, {}, b"better")
    door.man.data_received(data)
    await turns()
    assert door.transport.written.endswith(b"better")
    assert not door.transport.done


@pytest.mark.parametrize("data", [GET, PUT])
@pytest.mark.parametrize("outcome", [None, StorageFailed("it broke"), RuntimeError("a bug")])
async def test_what_is_too_much_for_him(door: Door, data: bytes, outcome: Exception | None) -> None:
    """He hands over every byte, answers nothing and counts nothing; nobody hangs."""
    door.counter.gate.set()
    door.counter.outcome = outcome
    with structlog.testing.capture_logs() as log:
        door.man.data_received(data)
        await turns()
    assert door.handed_over == data
    assert not door.transport.written
    assert not door.counter.records
    assert [line["event"] for line in log] == ["internal error"] * isinstance(outcome, RuntimeError)


async def test_what_is_not_plain(door: Door) -> None:
    """A head in pieces goes to whoever can put it together."""
    door.man.data_received(GET[:10])
    assert door.handed_over == GET[:10]


async def test_a_body_in_pieces(door: Door, clock: Callable[[float], None]) -> None:
    """It is waited for, but not for long, however often a piece of it comes."""
    deadlines = []
    for number, piece in enumerate((PUT[:-4], PUT[-4:-3], PUT[-3:-2])):
        clock(number * 0.1)
        door.man.data_received(piece)
        assert door.handed_over is None
        deadlines.append(door.man.deadline)
    assert deadlines[0] is not None
    assert 0 < deadlines[0] < 2
    assert deadlines == deadlines[:1] * 3
    door.man.data_received(PUT[-2:])
    assert door.transport.written.endswith(b"yes")
    door.man.data_received(PUT[:-1])
    assert door.man.deadline == deadlines[0] + 0.2
    door.man.expire()
    assert door.handed_over == PUT[:-1]


async def test_bytes_behind_a_body(door: Door) -> None:
    """More than one request is nothing for him."""
    door.man.data_received(PUT[:-1])
    door.man.data_received(PUT[-1:] + b"G")
    assert door.handed_over == PUT + b"G"


async def test_bytes_while_somebody_waits(door: Door) -> None:
    """They end his part: the wait, too, is now the successor's."""
    before = asyncio.all_tasks()
    door.man.data_received(GET)
    await turns()
    assert door.man.deadline is None
    door.man.data_received(b"GET /n")
    assert door.handed_over == GET + b"GET /n"
    await turns()
    assert asyncio.all_tasks() == before
    assert not door.transport.written
    assert not door.counter.records


async def test_a_peer_that_leaves_while_it_waits(door: Door) -> None:
    """Nobody waits any more, and the log tells of it once."""
    before = asyncio.all_tasks()
    door.man.data_received(GET)
    await turns()
    door.man.connection_lost(None)
    assert door.counter.records == [("id", "192.0.2.7", LEFT, 0)]
    await turns()
    assert asyncio.all_tasks() == before
    assert not door.census.open
    assert not door.census.supervised


async def test_a_peer_that_leaves(door: Door) -> None:
    """With nothing under way there is nothing to tell."""
    door.man.data_received(PUT[:-1])
    door.man.connection_lost(None)
    assert not door.counter.records
    assert not door.census.open
    assert not door.census.supervised


async def test_deadlines(door: Door, clock: Callable[[float], None]) -> None:
    """The first head has its time, the next one that of an idle connection, a wait none."""
    assert door.man.deadline is not None
    door.man.data_received(GET)
    assert door.man.deadline is None
    clock(5)
    door.counter.gate.set()
    await turns()
    assert door.man.deadline == 5 + KEEPALIVE
    door.man.expire()
    assert door.transport.done == ["close"]
    door.man.expire()
    assert "abort" not in door.transport.done


@pytest.mark.parametrize("fields", [(), ("Connection: close",)])
async def test_a_peer_that_takes_nothing(door: Door, fields: tuple[str, ...]) -> None:
    """Who takes his answer slowly has time; who stops is cut, also from what is closing."""
    door.counter.gate.set()
    door.man.data_received(request("GET", "/k", *fields))
    await turns()
    for unsent in (9000, 5000):
        door.transport.unsent = unsent
        assert door.man.deadline is not None
        door.man.expire()
        assert "abort" not in door.transport.done
    assert door.man.deadline is not None
    door.man.expire()
    assert door.transport.done[-1] == "abort"
    assert door.man.deadline is None


async def test_slowness_is_forgotten(door: Door) -> None:
    """How slowly an answer was taken says nothing of the next one."""
    door.counter.gate.set()
    for unsent in (5000, 9000):
        door.man.data_received(GET)
        await turns()
        door.transport.unsent = unsent
        door.man.expire()
        assert not door.transport.done


async def test_flow_control(door: Door) -> None:
    """Who does not read is not read."""
    door.man.pause_writing()
    door.man.resume_writing()
    assert door.transport.done == ["pause", "resume"]


async def test_the_end(door: Door) -> None:
    """When the daemon stops, the census closes whom he has."""
    door.census.dismiss()
    assert door.transport.done == ["close"]
    door.man.connection_lost(None)
    door.man.dismiss()
    door.man.pause_writing()
    door.man.resume_writing()
    assert door.transport.done == ["close"]


async def test_a_connection_that_closes_is_not_handed_over(door: Door) -> None:
    """Nobody can answer there any more."""
    door.transport.close()
    door.man.data_received(b"G")
    assert not door.successor.received
