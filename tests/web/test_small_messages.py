"""A small message is the same by either way: the doorman's, and aiohttp's for everybody else."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from filepipe.keys import Key
from filepipe.protocols.plain import PlainRequest
from filepipe.relay.plane import Plane
from filepipe.service import Service, Spilling
from filepipe.testing import turns
from filepipe.web.doorman import Answer as DoormansAnswer
from filepipe.web.pumps import PumpLimits, Pumps
from filepipe.web.small_messages import SmallMessages
from tests.conftest import Daemon, eventually, read_until
from tests.web.ways import GENERAL, PLAIN, Answer, get, read_answer, request

_numbers = itertools.count()
PARTY = {"doorman": PLAIN, "aiohttp": GENERAL}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that speaks httpipe at its second listener, where waits are short."""
    listeners = ("--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0=httpipe")
    options = [*listeners, "--request-timeout", "0.5"]
    running = Daemon(options, tmp_path_factory.mktemp("messages"))
    yield running
    running.kill()
    running.assert_clean_log()


@pytest.fixture(params=[0, 1], ids=["auto", "httpipe"])
def listener(request: pytest.FixtureRequest) -> int:
    """Which listener is asked."""
    return int(request.param)


def channel() -> str:
    """A path that nobody has used."""
    return f"/channels/small/c{next(_numbers):05}"


def post(path: str, *fields: str, body: bytes = b"hello") -> bytes:
    """A producer's request."""
    return request("POST", path, *fields, body=body)


def exchange(
    daemon: Daemon, listener: int, producer: bytes, consumer: bytes, *, consumer_first: bool
) -> tuple[Answer, Answer]:
    """The answers to both, one of whom waits for the other."""
    first, second = (consumer, producer) if consumer_first else (producer, consumer)
    with daemon.connect(first, listener) as waiting, daemon.connect(second, listener) as coming:
        answers = read_answer(coming), read_answer(waiting)
    return answers if consumer_first else (answers[1], answers[0])


@pytest.mark.parametrize("consumer_first", [True, False], ids=["consumer first", "producer first"])
@pytest.mark.parametrize("consumer", PARTY)
@pytest.mark.parametrize("producer", PARTY)
def test_a_message_is_delivered(
    daemon: Daemon, listener: int, producer: str, consumer: str, consumer_first: bool
) -> None:
    """Whoever serves which side, both sides get the same answers."""
    path = channel()
    given, taken = exchange(
        daemon,
        listener,
        post(path, "Content-Type: text/plain", *PARTY[producer]),
        get(path, *PARTY[consumer]),
        consumer_first=consumer_first,
    )
    assert (given.status, given.body) == (200, b"")
    assert (taken.status, taken.body, taken["Content-Type"]) == (200, b"hello", "text/plain")
    assert (given.by_doorman, taken.by_doorman) == (producer == "doorman", consumer == "doorman")


@pytest.mark.parametrize("body", [b"", b"x", b"x" * 65536], ids=["nothing", "a byte", "64 KiB"])
def test_the_headers_are_the_same(daemon: Daemon, listener: int, body: bytes) -> None:
    """Field for field, for the producer and for the consumer."""
    pairs = []
    for way in (PLAIN, GENERAL):
        path = channel()
        pairs.append(
            exchange(
                daemon, listener, post(path, *way, body=body), get(path, *way), consumer_first=True
            )
        )
    for plain, general in zip(*pairs, strict=True):
        assert (plain.timeless, plain.body) == (general.timeless, general.body)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_comes(daemon: Daemon, listener: int, method: str) -> None:
    """After --request-timeout both ways say so alike."""
    answers = []
    for way in (PLAIN, GENERAL):
        body = b"x" if method == "POST" else None
        with daemon.connect(request(method, channel(), *way, body=body), listener) as sock:
            answers.append(read_answer(sock))
    assert [answer.status for answer in answers] == [408, 408]
    assert answers[0].body == answers[1].body


def test_a_message_that_is_not_small(daemon: Daemon, listener: int) -> None:
    """A consumer who waits at the door keeps his place when aiohttp has to serve him."""
    path = channel()
    body = b"x" * 300_000
    with daemon.connect(get(path), listener) as first:
        eventually(lambda: daemon.state()["version"])  # the line is entered in order of coming
        with daemon.connect(get(path), listener) as second:
            with daemon.connect(post(path, body=body), listener) as producer:
                taken = read_answer(first)
                assert read_answer(producer).status == 200
            assert (taken.status, len(taken.body)) == (200, len(body))
            with daemon.connect(post(path), listener) as producer:
                assert read_answer(producer).status == 200
            assert read_answer(second).body == b"hello"


def test_a_next_request_before_the_answer(daemon: Daemon, listener: int) -> None:
    """What follows a producer's request on its connection is answered after it, and only once."""
    path, other = channel(), channel()
    with daemon.connect(post(path) + post(other, body=b"second"), listener) as producer:
        with daemon.connect(get(path), listener) as consumer:
            assert read_answer(consumer).body == b"hello"
        with daemon.connect(get(other), listener) as consumer:
            assert read_answer(consumer).body == b"second"
        stream = read_until(producer, b"\r\n\r\n")
        while stream.count(b"HTTP/1.1 200 ") < 2:
            stream += producer.recv(65536)


@pytest.mark.parametrize("way", [PLAIN, GENERAL], ids=["doorman", "aiohttp"])
def test_who_leaves_is_passed_over(daemon: Daemon, listener: int, way: tuple[str, ...]) -> None:
    """A consumer and a producer that have left get and give nothing."""
    path = channel()
    daemon.connect(get(path, *way), listener).close()
    daemon.connect(post(path, *way, body=b"lost"), listener).close()
    eventually(lambda: not any(path in key for key in waiting(daemon)))
    given, taken = exchange(
        daemon, listener, post(path, *way), get(path, *way), consumer_first=False
    )
    assert (given.status, taken.body) == (200, b"hello")


def waiting(daemon: Daemon) -> list[str]:
    """The paths of channels where somebody waits."""
    with daemon.connect(get("/state", "Connection: close"), 1) as sock:
        names = read_answer(sock).body.decode()
    return [f"/channels/small/{name}" for name in names.split('"') if name.startswith("c")]


def test_a_bad_name(daemon: Daemon, listener: int) -> None:
    """What is no channel's name is refused alike."""
    for path in ("/channels/small", "/channels/a/b/c", "/channels/"):
        statuses = []
        for way in (PLAIN, GENERAL):
            with daemon.connect(post(path, *way), listener) as sock:
                statuses.append(read_answer(sock).status)
        assert statuses[0] == statuses[1]
        assert 400 <= statuses[0] < 500


async def test_a_consumer_that_leaves_as_it_is_paired() -> None:
    """Before its producer has heard of it: the message goes to the next one."""
    service = Service(Spilling("memory:", 1000, None, None), 10)
    pumps = Pumps(Plane(enabled=False), service.statistics, PumpLimits(1.0, 1.0, 1.0, None))
    rules = SimpleNamespace(request_timeout=None)
    context: Any = SimpleNamespace(service=service, pumps=pumps, rules=rules)
    messages = SmallMessages(context, loopback_only=False)
    key = Key("channels/small/left")
    message = PlainRequest("POST", f"/{key}", "localhost", None, False, b"hello", 0)
    producer = asyncio.create_task(messages.produce(message, key))
    await turns()
    seat = await service.queues.take(None, key, None)
    assert seat is not None
    seat.leave()
    answer = await messages.consume(key)
    assert isinstance(answer, DoormansAnswer)
    assert answer.body == b"hello"
    assert answer.on_flushed is not None
    answer.on_flushed(True)
    assert (await producer).status == 200
    assert service.queues.redelivered == 1
    await service.aclose()
