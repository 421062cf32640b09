"""GET: nothing before the match, then the message as its producer said it is, or an honest end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import read_until
from tests.scenarios.mount import Mount, finished
from tests.scenarios.peers import Peer, Upload

BYTES = "application/octet-stream"
VERSIONS = ("1.0", "1.1")


def test_nothing_is_sent_before(front: Mount, channel: str) -> None:
    """Not even a head."""
    with front.receiver(channel) as consumer:
        consumer.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            consumer.sock.recv(1)
        consumer.sock.settimeout(30)
        assert front.give("POST", channel, b"hello").status == 200
        assert (consumer.begin(), consumer.rest()) == (200, b"hello")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("said", "delivered"),
    [
        (None, BYTES),
        ("application/x-www-form-urlencoded", BYTES),
        ("application/x-www-form-urlencoded;charset=utf-8",) * 2,
        ("application/json",) * 2,
        ("text/html",) * 2,
        ("text/plain; charset=latin-1",) * 2,
        ("multipart/form-data; boundary=b",) * 2,
        ("no type", BYTES),
    ],
)
def test_types(front: Mount, channel: str, said: str | None, delivered: str, version: str) -> None:
    """Only what curl makes up for --data is left out; a form stays a form, whatever it holds."""
    body = b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--b--\r\n'
    with front.receiver(channel, version=version) as consumer:
        front.heard()
        headers = () if said is None else (f"Content-Type: {said}",)
        assert front.give("POST", channel, body, *headers).status == 200
        assert consumer.begin() == 200
        assert consumer.response.getheader("Content-Type") == delivered
        assert consumer.rest() == body


def test_the_type_that_curl_makes_up(front: Mount, channel: str) -> None:
    """--data means bytes."""
    consumer = front.start_curl(channel)
    assert front.curl(channel, "--data", "a=b").status == 200
    answer = finished(consumer)
    assert (answer["Content-Type"], answer.body) == (BYTES, b"a=b")


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Content-Disposition", 'attachment; filename="a b.txt"'),
        ("Content-Encoding", "gzip"),
    ],
)
def test_what_else_is_said_of_a_body(front: Mount, channel: str, header: str, value: str) -> None:
    """Its file name and its coding are handed on."""
    consumer = front.start_curl(channel, "--raw")
    assert front.give("POST", channel, b"hello", f"{header}: {value}").status == 200
    assert finished(consumer)[header] == value


def test_nothing_runs_in_a_browser(front: Mount, channel: str) -> None:
    """What strangers send is sandboxed, and becomes no service worker."""
    consumer = front.start_curl(channel)
    assert front.give("POST", channel, b"<script>", "Content-Type: text/html").status == 200
    answer = finished(consumer)
    assert answer["Content-Security-Policy"] == "sandbox; default-src 'none'"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Disposition"] == "attachment"
    assert front.ask("GET", channel, "Service-Worker: script").status == 403


def test_one_connection_for_many_messages(front: Mount, channel: str) -> None:
    """A worker in a loop keeps its connection, and so does a producer."""
    path = f"{front.base}{channel}".encode()
    with (
        front.daemon.connect(listener=front.listener) as worker,
        front.daemon.connect(listener=front.listener) as boss,
    ):
        for number in range(5):
            message = b"message %d" % number
            worker.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            boss.sendall(
                b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n%s"
                % (path, message)
            )
            assert read_until(worker, b"\r\n\r\n" + message).startswith(b"HTTP/1.1 200 ")
            assert read_until(boss, b"\r\n\r\n").startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("length", [100, None], ids=["length", "chunked"])
@pytest.mark.parametrize("end", [Peer.leave, Peer.reset, Peer.half_close])
def test_a_producer_that_dies_half_way(
    root: Mount, channel: str, end: Callable[[Upload], None], length: int | None, version: str
) -> None:
    """Its consumer does not take the part for the whole."""
    with (
        root.receiver(channel, version=version) as consumer,
        root.sender("POST", channel, length) as producer,
    ):
        producer.send(b"hello")
        assert consumer.begin() == 200
        assert consumer.take(5) == b"hello"
        end(producer)
        assert consumer.rest() is None


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("end", [Peer.leave, Peer.reset])
def test_a_producer_that_dies_before_its_first_byte(
    root: Mount, channel: str, end: Callable[[Upload], None], version: str
) -> None:
    """Its consumer has no head yet and is told why, rather than given an empty message."""
    with (
        root.receiver(channel, version=version) as consumer,
        root.sender("POST", channel, None) as producer,
    ):
        root.heard()
        end(producer)
        assert consumer.begin() == 502
