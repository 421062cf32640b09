"""Both sides are told the truth of how it ended, and then the key is free."""

from __future__ import annotations

import http.client
import socket
import subprocess
import time

import pytest

from tests.conftest import Daemon, curl, eventually, read_all, start_curl
from tests.scenarios.answers import ask, assert_refused, parse, raw
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, waiting
from tests.web.ways import GENERAL

ONE = pytest.mark.parametrize("hall", ["relay"], indirect=True)
"""Where large bodies do not matter, one daemon is enough."""

BODY = body_of(MIB)

FRAMINGS = pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])


# -- whole


@pytest.mark.parametrize("size", [0, 1, 65_537, 3 * MIB])
@FRAMINGS
def test_a_body_of_any_size(hall: Daemon, path: str, size: int, *, chunked: bool) -> None:
    """It arrives whole, by its length or in chunks, and both connections close as was asked."""
    body = body_of(size)
    with Receiver(hall, path) as receiver, Sender(hall, path, None if chunked else size) as sender:
        if size:
            sender.send(body)
        if chunked:
            sender.sock.sendall(b"0\r\n\r\n")
        assert receiver.begin() == 200
        length = receiver.response.getheader("Content-Length")
        assert length == (None if chunked else str(size))
        assert sha(receiver.rest() or b"") == sha(body)
        answer = sender.told()
        assert (answer.status, answer.text) == (200, "delivered to 1 receiver\n")
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["Access-Control-Allow-Origin"] == "*"


@ONE
def test_many_bodies_over_two_connections(hall: Daemon, path: str) -> None:
    """Small bodies cost no connection, on either side."""
    address = hall.address
    giving, taking = (http.client.HTTPConnection(*address, timeout=20) for _ in range(2))
    for number in range(20):
        body = b"%d" % number
        taking.request("GET", path, headers={"X-Other": "1"})
        giving.request("POST", path, body=body)
        assert taking.getresponse().read() == body
        assert giving.getresponse().read() == b"delivered to 1 receiver\n"
        if number == 0:
            used = [connection.sock for connection in (giving, taking)]
    assert used == [connection.sock for connection in (giving, taking)]
    for connection in (giving, taking):
        connection.close()


@ONE
@FRAMINGS
def test_each_byte_goes_at_once(hall: Daemon, path: str, *, chunked: bool) -> None:
    """What is sent bit by bit arrives bit by bit."""
    with Receiver(hall, path) as receiver, Sender(hall, path, None if chunked else 64) as sender:
        sender.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in range(64):
            sender.send(bytes([number]))
            if number == 0:
                assert receiver.begin() == 200
            assert receiver.take(1) == bytes([number])
        assert (sender.finish() if chunked else sender.answer()).startswith(b"HTTP/1.1 200 ")
        assert receiver.rest() == b""


# -- the key is free before the end can be seen


@pytest.mark.parametrize(("size", "chunked"), [(5, False), (5, True), (300_000, False)])
def test_the_key_is_free_at_the_end(hall: Daemon, path: str, size: int, *, chunked: bool) -> None:
    """As soon as a receiver has the last byte, the next sender gets no 409."""
    body = body_of(size)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    post = raw(f"POST {path} HTTP/1.1", framing, *GENERAL)
    post += b"%x\r\n%s\r\n0\r\n\r\n" % (size, body) if chunked else body
    get = raw(f"GET {path} HTTP/1.1", *GENERAL)
    sender = hall.connect(post)
    for _ in range(200 if size == 5 and not chunked else 40):
        with hall.connect(get) as receiver:
            response = http.client.HTTPResponse(receiver)
            response.begin()
            assert response.status == 200
            got = b""
            while len(got) < size:
                got += response.read1(size)
            following = hall.connect(post)  # before the end of the chunks, if there are any
            assert sha(got + response.read()) == sha(body)
            response.close()
        with sender:
            assert parse(read_all(sender)).status == 200
        sender = following
    with sender:
        assert curl(hall.url(path)).returncode == 0


# -- not whole


@FRAMINGS
@pytest.mark.parametrize("by_reset", [False, True], ids=["fin", "rst"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_sender_who_is_killed(
    hall: Daemon, path: str, version: str, *, by_reset: bool, chunked: bool
) -> None:
    """His receiver gets no end: too few bytes, no last chunk, or a reset where that is the end."""
    with Receiver(hall, path, version=version) as receiver:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, None if chunked else 2 * MIB) as sender:
            sender.send(BODY)
            assert receiver.begin() == 200
            assert sha(receiver.take(MIB)) == sha(BODY)
            if by_reset:
                sender.reset()
        assert receiver.rest() is None
    eventually(lambda: is_free(hall, path))


@ONE
@pytest.mark.parametrize("length", [5, None], ids=["length", "chunked"])
def test_a_sender_who_never_begins(hall: Daemon, path: str, length: int | None) -> None:
    """The receiver is told so, since no byte of the answer has gone yet."""
    with Receiver(hall, path, *GENERAL) as receiver:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, length):
            eventually(lambda: waiting(hall) == 0)
        assert_refused(receiver.told(), 502, "the sender did not deliver")


@ONE
def test_a_body_that_cannot_be_read(hall: Daemon, path: str) -> None:
    """Broken chunks: the sender gets 400, the receiver no end."""
    with Receiver(hall, path, *GENERAL) as receiver:
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path) as sender:
            sender.send(b"hello")
            assert receiver.begin() == 200
            assert receiver.take(5) == b"hello"
            sender.sock.sendall(b"no chunk\r\n")
            assert_refused(sender.told(), 400, "framing")
        assert receiver.rest() is None
    assert is_free(hall, path)


@pytest.mark.parametrize(
    ("by_reset", "chunked"),
    [(False, False), (True, False), (True, True)],
    ids=["fin", "rst", "chunked"],
)
def test_a_receiver_who_is_killed(
    hall: Daemon, path: str, *, by_reset: bool, chunked: bool
) -> None:
    """The sender, who is still sending, hears of it."""
    with (
        Receiver(hall, path) as receiver,
        Sender(hall, path, None if chunked else 9 * MIB) as sender,
    ):
        sender.send(BODY)
        assert receiver.begin() == 200
        receiver.take(1000)
        receiver.reset() if by_reset else receiver.leave()
        assert_refused(sender.told(), 502, "every receiver left")
    assert is_free(hall, path)


@FRAMINGS
@pytest.mark.parametrize("takes", [0, 100_000])
def test_a_receiver_who_dies_with_the_tail_unread(
    hall: Daemon, path: str, takes: int, *, chunked: bool
) -> None:
    """Bytes that only our kernel has are not delivered: the sender waits, and is then told 502."""
    with (
        Receiver(hall, path, receive_buffer=4096) as receiver,
        Sender(hall, path, None if chunked else MIB) as sender,
    ):
        sender.send(BODY)
        if chunked:
            sender.sock.sendall(b"0\r\n\r\n")
        assert receiver.begin() == 200
        receiver.take(takes)
        eventually(lambda: is_free(hall, path))
        sender.sock.settimeout(0.3)
        with pytest.raises(TimeoutError):
            sender.sock.recv(1)
        sender.sock.settimeout(20)
        receiver.leave()
        assert_refused(sender.told(), 502, "the receiver left before it had everything")


@FRAMINGS
def test_a_receiver_who_takes_the_tail_late(hall: Daemon, path: str, *, chunked: bool) -> None:
    """Whoever closes as soon as he has the last byte has received it."""
    for _ in range(10):
        with (
            Receiver(hall, path, receive_buffer=4096) as receiver,
            Sender(hall, path, None if chunked else MIB) as sender,
        ):
            sender.send(BODY)
            if chunked:
                sender.sock.sendall(b"0\r\n\r\n")
            assert receiver.begin() == 200
            assert sha(receiver.take(MIB)) == sha(BODY)
            if chunked:
                assert receiver.rest() == b""
            receiver.leave()
            assert sender.told().status == 200


@ONE
def test_nobody_came(hall: Daemon, path: str) -> None:
    """408 when the time is over, with who was missing; the body is not read for it."""
    with Sender(hall, f"{path}?wait=0.2", None) as sender:
        answer = sender.told()
        assert_refused(answer, 408, "nobody came within 0.2 seconds")
        assert answer["X-Error-Code"] == "nobody_came"
        assert answer["Connection"] == "close"
    with Sender(hall, f"{path}?n=3&wait=0.4", 5) as sender, Receiver(hall, path, *GENERAL):
        sender.send(b"hello")
        assert_refused(sender.told(), 408, "only 1 of 3 receivers came within 0.4 seconds")
    assert is_free(hall, path)


# -- habits of clients


@ONE
@pytest.mark.parametrize("size", [5, 10_000])
@FRAMINGS
def test_a_receiver_of_http_1_0_reads_once(
    hall: Daemon, path: str, size: int, *, chunked: bool
) -> None:
    """Head and small body come in one write, for those who close after the head."""
    body = body_of(size)
    for headers in ((), ("Connection: keep-alive",)):
        lines = "\r\n".join((f"GET {path} HTTP/1.0", "Host: localhost", *headers, "", ""))
        with hall.connect(lines.encode()) as receiver:
            eventually(lambda: waiting(hall) == 1)
            with Sender(hall, path, None if chunked else size) as sender:
                sender.send(body)
                data = receiver.recv(MIB)
                head, _, got = data.partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.0 200 OK\r\n")
                assert sha(got) == sha(body)
                answer = sender.finish() if chunked else sender.answer()
            assert parse(answer).status == 200
            if chunked:
                assert b"\r\nConnection: keep-alive" not in head
                assert receiver.recv(1) == b""


@ONE
def test_a_sender_of_http_1_0(hall: Daemon, path: str) -> None:
    """Its answer comes in one piece as well."""
    with Receiver(hall, path) as receiver:
        with Sender(hall, path, 5, version="1.0") as sender:
            sender.send(b"hello")
            data = sender.sock.recv(65536)
        assert data.startswith(b"HTTP/1.0 200 OK\r\n")
        assert data.endswith(b"\r\n\r\ndelivered to 1 receiver\n")
        assert receiver.whole() == b"hello"


@pytest.mark.parametrize("first", ["sender", "receiver"])
@pytest.mark.parametrize(
    "arguments", [("-T", "{}"), ("-X", "POST", "-T", "{}"), ("--data-binary", "@{}")],
    ids=["put", "post", "data"],
)  # fmt: skip
def test_two_curls(hall: Daemon, path: str, first: str, arguments: tuple[str, ...]) -> None:
    """In either order; both exit with 0."""
    source, got = hall.folder / "source", hall.folder / "got"
    source.write_bytes(BODY)
    send = [argument.format(source) for argument in arguments] + [hall.url(f"{path}?n=1")]
    take = ["--output", str(got), hall.url(path)]
    if first == "sender":
        waits = start_curl(*send)
        eventually(lambda: not is_free(hall, path))
        assert curl(*take).returncode == 0
        sent = waits.communicate(timeout=20)[0]
    else:
        waits = start_curl(*take)
        eventually(lambda: waiting(hall) == 1)
        sent = curl(*send, check=True).stdout
        waits.communicate(timeout=20)
    assert (waits.returncode, sent) == (0, b"delivered to 1 receiver\n")
    assert sha(got.read_bytes()) == sha(BODY)


@ONE
def test_curl_learns_that_it_failed(hall: Daemon, path: str) -> None:
    """A sender that is killed makes the receiver's curl exit with 18, or says so by a status."""
    for send, code in ((BODY, 18), (b"", 22)):
        taking = start_curl("--fail", hall.url(path))
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, 2 * MIB) as sender:
            eventually(lambda: waiting(hall) == 0)
            time.sleep(0.05)  # for the doorman to hand the receiver over
            sender.send(send) if send else None
        taking.communicate(timeout=20)
        assert taking.returncode == code
        assert curl("--fail", "--data-binary", "x", hall.url(f"{path}?wait=0.1")).returncode == 22


@ONE
def test_an_endless_stream(hall: Daemon, path: str) -> None:
    """`curl -T -` of something that never ends runs as long as somebody listens."""
    command = f"yes | curl --silent -X POST -T - {hall.url(path)}"
    with Receiver(hall, path) as receiver:
        eventually(lambda: waiting(hall) == 1)
        with subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE) as sending:
            assert receiver.begin() == 200
            assert sha(receiver.take(8 * MIB)) == sha(b"y\n" * 4 * MIB)
            receiver.leave()
            assert sending.communicate(timeout=20)[0] == b"every receiver left\n"
    assert ask(hall, path + "?wait=0").status == 404
