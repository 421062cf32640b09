"""POST: nothing is read before the match, and the answer tells how it ended."""

from __future__ import annotations

import contextlib
import socket

import pytest

from tests.conftest import eventually, read_until, start_curl
from tests.scenarios.mount import Mount, finished, sending
from tests.scenarios.peers import MIB, at_rest, body_of, sha

LARGE = body_of(3 * MIB)
VERSIONS = ("1.0", "1.1")


def silent(sock: socket.socket) -> bool:
    """Whether nothing arrives for a moment."""
    sock.settimeout(0.2)
    try:
        data = sock.recv(1000)
    except TimeoutError:
        return True
    finally:
        sock.settimeout(30)
    raise AssertionError(data)


@pytest.mark.parametrize("first", ["producer", "consumer"])
@pytest.mark.parametrize("place", ["root", "prefix", "auto"])
def test_two_curls(root: Mount, auto: Mount, channel: str, first: str, place: str) -> None:
    """In either order, wherever each of them is."""
    one = {"root": root, "prefix": Mount(root.daemon, 0, "/-/httpipe"), "auto": auto}[place]
    if first == "producer":
        producer = one.start_curl(channel, "--data-binary", "hello")
        eventually(lambda: one.waiting(channel) == 1)
        consumer = root.start_curl(channel)
    else:
        consumer = root.start_curl(channel)
        eventually(lambda: one.waiting(channel) == 1)
        producer = one.start_curl(channel, "--data-binary", "hello")
    assert finished(consumer).body == b"hello"
    answer = finished(producer)
    assert (answer.status, answer.body, answer["Content-Length"]) == (200, b"", "0")
    assert at_rest(root.daemon)


@pytest.mark.parametrize("consumer_version", VERSIONS)
@pytest.mark.parametrize(
    ("version", "length"),
    [("1.0", True), ("1.1", True), ("1.1", False)],
    ids=["1.0", "length", "chunked"],
)
@pytest.mark.parametrize("body", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
def test_every_framing(
    root: Mount, channel: str, version: str, length: bool, consumer_version: str, body: bytes
) -> None:  # fmt: skip
    """Every byte arrives, and then the producer is told."""
    known = len(body) if length else None
    with (
        root.sender("POST", channel, known, version=version) as producer,
        root.receiver(channel, version=consumer_version) as consumer,
    ):
        # in chunks, no bytes are the end
        with sending(producer, body):
            assert consumer.begin() == 200
            said = consumer.response.getheader("Content-Length")
            assert said in ((str(len(body)),) if length else (None, str(len(body))))
            assert sha(consumer.take(len(body))) == sha(body)
        if body and not length:
            producer.sock.sendall(b"0\r\n\r\n")
        assert consumer.rest() == b""
        answer = read_until(producer.sock, b"\r\n\r\n")
    assert answer.startswith(f"HTTP/{version} 200 ".encode())
    assert b"\r\nContent-Length: 0\r\n" in answer


def test_nothing_without_a_body(root: Mount, channel: str) -> None:
    """A POST that says nothing of a body is a notification."""
    consumer = root.start_curl(channel)
    assert root.ask("POST", channel).status == 200
    answer = finished(consumer)
    assert (answer.body, answer["Content-Length"]) == (b"", "0")


def test_the_invitation_comes_at_the_match(root: Mount, channel: str) -> None:
    """Who expects it sends no byte before."""
    expecting = "Expect: 100-continue"
    with root.sender("POST", channel, 5, expecting) as producer:
        assert silent(producer.sock)
        consumer = root.start_curl(channel)
        assert read_until(producer.sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert silent(producer.sock)
        assert producer.finish(b"hello").startswith(b"HTTP/1.1 200 ")
    assert finished(consumer).body == b"hello"


@pytest.mark.parametrize("first", ["producer", "consumer"])
def test_curl_expects_the_invitation(root: Mount, channel: str, first: str) -> None:
    """Of a large body, and in both orders."""
    source = root.daemon.folder / "large"
    source.write_bytes(LARGE)
    arguments = ("-X", "POST", "-T", str(source), "-H", "Expect: 100-continue")
    if first == "consumer":
        consumer = root.start_curl(channel)
        eventually(lambda: root.waiting(channel) == 1)
    producer = root.start_curl(channel, *arguments)
    if first == "producer":
        eventually(lambda: root.waiting(channel) == 1)
        consumer = root.start_curl(channel)
    assert sha(finished(consumer).body) == sha(LARGE)
    assert finished(producer).status == 200


def test_an_endless_stream(root: Mount, channel: str) -> None:
    """`curl -T -`: each line goes on at once, until the consumer has enough."""
    producer = start_curl("-X", "POST", "-T", "-", "--include", root.url(channel), stdin=-1)
    assert producer.stdin is not None
    with root.receiver(channel) as consumer:
        for number in range(3):
            line = b"line %d\n" % number
            producer.stdin.write(line)
            producer.stdin.flush()
            if number == 0:
                assert consumer.begin() == 200
            assert consumer.take(len(line)) == line
    with contextlib.suppress(BrokenPipeError):
        producer.communicate(b"x" * MIB, timeout=30)
    eventually(lambda: at_rest(root.daemon))


@pytest.mark.parametrize(
    ("header", "status", "words"),
    [
        ("Expect: the-unexpected", 417, "100-continue"),
        ("Content-Range: bytes 0-4/10", 400, "Content-Range"),
    ],
)
def test_a_refused_producer(
    root: Mount, channel: str, header: str, status: int, words: str
) -> None:
    """Nobody waits for what cannot be."""
    answer = root.give("POST", channel, b"hello", header)
    assert answer.status == status
    assert words in answer.text
    assert root.ask("GET", "/state").body == b"{}"


@pytest.mark.parametrize("begun", [b"", b"5\r\nhello\r\n"], ids=["first", "later"])
def test_a_body_with_broken_framing(root: Mount, channel: str, begun: bytes) -> None:
    """It is the producer's fault; what the consumer got does not look whole."""
    with root.receiver(channel) as consumer:
        root.heard()
        with root.sender("POST", channel, None) as producer:
            if begun:
                producer.sock.sendall(begun)
                assert consumer.begin() == 200
                assert consumer.take(5) == b"hello"
            root.heard()
            producer.sock.sendall(b"no length\r\n")
            assert producer.answer().startswith(b"HTTP/1.1 400 ")
        if begun:
            assert consumer.rest() is None
        else:
            assert consumer.begin() == 502


@pytest.mark.parametrize("length", [len(LARGE), None], ids=["length", "chunked"])
@pytest.mark.parametrize("reset", [False, True], ids=["leaves", "resets"])
def test_a_consumer_that_leaves_half_way(
    root: Mount, channel: str, length: int | None, reset: bool
) -> None:
    """The producer is told at once, and the line goes on."""
    with root.sender("POST", channel, length) as producer:
        with root.receiver(channel, receive_buffer=4096) as consumer:
            producer.send(LARGE[: MIB // 2])
            assert consumer.begin() == 200
            consumer.take(1000)
            if reset:
                consumer.reset()
        assert read_until(producer.sock, b"\r\n").startswith(b"HTTP/1.1 502 ")
    assert at_rest(root.daemon)
