"""The sender: what it is told, when, and how its answer ends."""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.piping.front import (
    ABORTED,
    ALL_ABORTED,
    BEFORE,
    CONNECTED,
    FAILED,
    OURS,
    RECEIVED,
    SENT,
    START,
    TLS,
    WAITING,
    Front,
    Party,
)


def stands_still(got: bytearray) -> bool:
    """Whether some bytes have come and for a while no more come."""
    before = len(got)
    time.sleep(0.3)
    return 0 < before == len(got)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_each_line_comes_when_it_is_true(modern: Front, path: str, method: str) -> None:
    """Flushed one by one, before the next thing happens."""
    sender = modern.open(f"{path}?n=2", None, method=method)
    assert sender.status == 200
    assert sender.line() == WAITING.format(2)
    receivers = [modern.receive(f"{path}?n=2")]
    assert sender.line() == CONNECTED
    assert sender.silent()
    receivers.append(modern.receive(f"{path}?n=2"))
    assert sender.line() == CONNECTED
    assert sender.line() == START.format(2)
    sender.send(b"hello")
    assert [receiver.take(5) for receiver in receivers] == [b"hello"] * 2
    assert sender.silent()
    sender.finish()
    assert sender.line() == SENT
    assert sender.lines() == [RECEIVED]
    assert [receiver.rest() for receiver in receivers] == [b"", b""]


def test_the_head_of_the_early_answer(modern: Front, path: str) -> None:
    """Before there is a receiver, with exactly these headers."""
    sender = modern.open(path, 5)
    assert sender.status == 200
    names = {"content-type", "access-control-allow-origin", "transfer-encoding"}
    ours = {"x-request-id", "server", "date"}
    assert {name.lower() for name in sender.headers} == names | ours
    assert sender.headers["Content-Type"] == "text/plain"
    assert sender.headers["Access-Control-Allow-Origin"] == "*"
    assert sender.headers["Transfer-Encoding"] == "chunked"


def test_the_one_answer_of_http_1_0(old: Front, path: str) -> None:
    """All lines at the end, in one answer of known length."""
    sender = old.send(f"{path}?n=2", b"hello")
    eventually(lambda: old.present() == 1)
    receivers = [old.receive(f"{path}?n=2")]
    assert sender.silent()
    receivers.append(old.receive(f"{path}?n=2"))
    assert [receiver.rest() for receiver in receivers] == [b"hello"] * 2
    answer = sender.answer()
    assert (sender.response.version, answer.status) == (10, 200)
    assert answer.body.decode().splitlines() == [
        WAITING.format(2), CONNECTED, CONNECTED, START.format(2), SENT, RECEIVED
    ]  # fmt: skip
    assert answer.headers["Content-Length"] == str(len(answer.body))
    names = {"content-type", "access-control-allow-origin", "content-length", "connection"}
    assert set(answer.names) - OURS == names
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.headers["Connection"] == "close"


def test_an_answer_for_who_reads_once(old: Front, path: str) -> None:
    """Head and lines leave together: such a client closes after one read."""
    receiver = old.receive(path)
    eventually(lambda: old.waiting() == 1)
    sender = old.send(path, b"hello")
    data = sender.sock.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    assert length
    assert len(body) == int(length[1])
    assert body.endswith(f"{RECEIVED}\n".encode())
    assert receiver.rest() == b"hello"


def test_receivers_who_came_before(front: Front, path: str) -> None:
    """They are counted in one line, those after them have one each."""
    receivers = [front.receive(f"{path}?n=3") for _ in range(2)]
    eventually(lambda: front.waiting() == 2)
    sender = front.send(f"{path}?n=3", b"hello")
    eventually(lambda: front.present() == 1)
    receivers.append(front.receive(f"{path}?n=3"))
    assert sender.lines() == [
        WAITING.format(3), BEFORE.format(2), CONNECTED, START.format(3), SENT, RECEIVED
    ]  # fmt: skip
    assert [receiver.rest() for receiver in receivers] == [b"hello"] * 3


def test_one_of_two_receivers_leaves(front: Front, path: str) -> None:
    """The other one has it all; the sender is told, and not that all is well."""
    staying, leaving = (front.receive(f"{path}?n=2") for _ in range(2))
    eventually(lambda: front.waiting() == 2)
    sender = front.open(f"{path}?n=2", 6, first=b"abc")
    assert [staying.take(3), leaving.take(3)] == [b"abc"] * 2
    leaving.reset()
    eventually(lambda: front.daemon.state()["keys"][0]["readers"] == 1)
    sender.send(b"def")
    assert staying.rest() == b"def"
    expected = [WAITING.format(2), BEFORE.format(2), START.format(2), ABORTED, SENT]
    reason = "[ERROR] 1 of 2 receivers got everything."
    if front.old:
        assert sender.status == 502
        assert sender.lines() == [*expected, reason]
    else:
        assert sender.status == 200
        assert sender.broken_lines() == [*expected, reason]


def test_all_receivers_leave(front: Front, path: str) -> None:
    """The answer ends, without its end, and so does the connection, though the body goes on."""
    receivers = [front.receive(f"{path}?n=2") for _ in range(2)]
    eventually(lambda: front.waiting() == 2)
    sender = front.open(f"{path}?n=2", 10 * MIB, first=b"abc")
    for receiver in receivers:
        assert receiver.take(3) == b"abc"
        receiver.leave()
    expected = [
        WAITING.format(2), BEFORE.format(2), START.format(2), ABORTED, ABORTED, ALL_ABORTED
    ]  # fmt: skip
    if front.old:
        assert sender.status == 502
        assert sender.lines() == expected
    else:
        assert sender.status == 200
        assert sender.broken_lines() == expected
    if front.way.version == "1.1":
        assert sender.sock.recv(1) == b""


def test_a_body_that_is_none(modern: Front, path: str) -> None:
    """Its framing breaks: the sender is told, the receiver is cut."""
    receiver = modern.receive(path)
    eventually(lambda: modern.waiting() == 1)
    sender = modern.open(path, None)
    sender.send(b"abc")
    assert receiver.take(3) == b"abc"
    sender.sock.sendall(b"no chunk\r\n")
    lines = sender.broken_lines()
    assert lines[:4] == [WAITING.format(1), BEFORE.format(1), START.format(1), FAILED]
    assert lines[4:] == ["[ERROR] Upload failed: the body's framing is broken."]
    assert receiver.rest() is None


def test_who_waits_for_an_invitation(modern: Front, path: str) -> None:
    """Expect: 100-continue is met at once, then comes the head."""
    sender = modern.open(path, 5, "Expect: 100-continue")
    data = b""
    while b"receiver(s)...\n" not in data:
        data += sender.sock.recv(65536)
    assert data.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    receiver = modern.receive(path)
    sender.send(b"hello")
    assert receiver.rest() == b"hello"


def test_an_expectation_of_http_1_0(old: Front, path: str) -> None:
    """It means nothing there."""
    sender = old.send(path, b"hello", "Expect: 100-continue")
    assert old.receive(path).rest() == b"hello"
    assert sender.status == 200


def test_nothing_is_read_before_all_are_there(plain: Front, path: str) -> None:
    """The kernels hold what they can of the body, the daemon nothing."""
    before = plain.daemon.state()["bytes_in"]
    sender = plain.open(f"{path}?n=2", None)
    assert sender.line() == WAITING.format(2)
    plain.receive(f"{path}?n=2")
    assert sender.line() == CONNECTED
    sender.sock.setblocking(False)
    sent, piece = 0, b"10000\r\n" + bytes(0x10000) + b"\r\n"
    while select.select([], [sender.sock], [], 0.3)[1]:
        sent += sender.sock.send(piece)
        assert sent < 64 * MIB, "somebody reads the body"
    state = plain.daemon.state()
    assert state["bytes_in"] == before
    assert state["memory"]["used"] == state["disk"]["used"] == 0
    sender.reset()  # a FIN would stand behind all this in its own kernel


@pytest.mark.parametrize("leave", [Party.leave, Party.reset])
@pytest.mark.parametrize("size", [0, 5, 200_000])
def test_a_sender_who_leaves_while_it_waits(
    front: Front, path: str, leave: Callable[[Party], None], size: int
) -> None:
    """The path is free for the next one, also if a part of the body has come."""
    sender = front.open(path, 10 * MIB, first=bytes(size))
    eventually(lambda: front.present() == 1)
    leave(sender)
    eventually(lambda: front.present() == 0)
    sender = front.send(path, b"next")
    assert front.receive(path).rest() == b"next"
    assert sender.lines()[-1] == RECEIVED


def test_receivers_outlive_a_sender_who_never_began(front: Front, path: str) -> None:
    """Whoever comes next finds them waiting."""
    sender = front.open(f"{path}?n=2", 9)
    eventually(lambda: front.present() == 1)
    receiver = front.receive(f"{path}?n=2")
    eventually(lambda: not front.daemon.state()["waiting_readers"])
    sender.leave()
    eventually(lambda: front.waiting() == 1)
    sender = front.send(f"{path}?n=2", b"next")
    second = front.receive(f"{path}?n=2")
    assert [receiver.rest(), second.rest()] == [b"next"] * 2
    assert sender.lines() == [
        WAITING.format(2), BEFORE.format(1), CONNECTED, START.format(2), SENT, RECEIVED
    ]  # fmt: skip


def test_a_sender_who_dies_on_the_way(front: Front, path: str) -> None:
    """Its receivers are cut: the length is short."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    sender = front.open(path, 10, first=b"abc")
    assert receiver.take(3) == b"abc"
    sender.reset()
    assert receiver.rest() is None


def test_a_chunked_sender_who_dies_on_the_way(modern: Front, path: str) -> None:
    """There is no last chunk, and on HTTP/1.0 a reset."""
    old = modern.by("1.0-tls" if modern.way.listener == TLS else "1.0")
    receivers = [modern.receive(f"{path}?n=2"), old.receive(f"{path}?n=2")]
    eventually(lambda: modern.waiting() == 2)
    sender = modern.open(f"{path}?n=2", None)
    sender.send(b"abc")
    assert [receiver.take(3) for receiver in receivers] == [b"abc"] * 2
    sender.leave()
    assert [receiver.rest() for receiver in receivers] == [None, None]


def test_both_connections_can_be_used_again(modern: Front, path: str) -> None:
    """By either side, for the same path."""
    sender = modern.send(path, b"one")
    receiver = modern.receive(path)
    for number in range(3):
        assert sender.lines()[-1] == RECEIVED
        assert receiver.rest() == (b"one" if number == 0 else b"two")
        receiver.again(modern.request("GET", path), "GET")
        eventually(lambda: modern.waiting() == 1)
        sender.again(modern.request("POST", path, "Content-Length: 3") + b"two", "POST")
    assert sender.lines()[-1] == RECEIVED


def test_the_slowest_sets_the_pace(plain: Front, path: str) -> None:
    """Memory does not grow because a receiver is slow, and nobody is cut off for it."""
    body = body_of(32 * MIB)
    slow = plain.receive(f"{path}?n=2", receive_buffer=65536)
    fast = plain.receive(f"{path}?n=2")
    eventually(lambda: plain.waiting() == 2)
    sender = plain.open(f"{path}?n=2", None)
    got = bytearray()

    def take() -> None:
        while chunk := fast.response.read(1 << 16):
            got.extend(chunk)

    with ThreadPoolExecutor(2) as pool:
        sending = pool.submit(sender.send, body)
        taking = pool.submit(take)
        eventually(lambda: stands_still(got))
        assert len(got) < len(body)
        assert not sending.done()
        assert plain.daemon.state()["memory"]["used"] <= 4 * MIB
        assert sha(slow.take(len(body))) == sha(body)
        sending.result(20)
        sender.finish()
        assert slow.rest() == b""
        taking.result(20)
    assert sha(bytes(got)) == sha(body)
    assert sender.lines()[-1] == RECEIVED
