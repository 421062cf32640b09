"""Until all are there: nothing of the body is read, and what is wrong is said at once."""

from __future__ import annotations

import contextlib
import time

import pytest

from tests.conftest import Daemon, eventually, read_until
from tests.scenarios.answers import Answer, ask, assert_refused, parse, raw, talk
from tests.scenarios.peers import MIB, body_of, key_of
from tests.scenarios.rendezvous.parties import Receiver, Sender, is_free, waiting
from tests.web.ways import GENERAL

ONE = pytest.mark.parametrize("hall", ["relay"], indirect=True)
"""Where large bodies do not matter, one daemon is enough."""

AT_ONCE = 1.0
"""Seconds that a refusal may take, although its sender never sends a byte."""

EXPECTS = "Expect: 100-continue"


def refusal(daemon: Daemon, path: str, *headers: str, method: str = "POST") -> Answer:
    """What a sender gets whose chunked body never comes."""
    began = time.monotonic()
    with Sender(daemon, path, None, *headers, method=method) as sender:
        sender.sock.settimeout(5)
        answer = sender.told_at_once()
        assert time.monotonic() - began < AT_ONCE
    assert answer["Connection"] == "close"
    return answer


def test_the_body_is_not_read(hall: Daemon, path: str) -> None:
    """A sender can send only what the kernels hold; then he is at the pace of his receivers."""
    body = body_of(16 * MIB)
    before = hall.state()["bytes_in"]
    with Sender(hall, path, len(body)) as sender:
        sender.sock.settimeout(0.3)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < len(body):
                sent += sender.sock.send(body[sent : sent + MIB])
        assert sent < len(body) // 2
        assert hall.state()["bytes_in"] == before
        assert hall.state()["memory"]["used"] == 0
        sender.sock.settimeout(30)
        with Receiver(hall, path) as receiver:
            assert receiver.begin() == 200
            sender.sock.setblocking(False)
            got = bytearray()
            while len(got) < len(body):
                with contextlib.suppress(BlockingIOError):
                    sent += sender.sock.send(body[sent : sent + MIB]) if sent < len(body) else 0
                got += receiver.response.read1(MIB)
            sender.sock.settimeout(30)
            assert got == body
        assert sender.told().status == 200


@ONE
@pytest.mark.parametrize("length", [5, None], ids=["length", "chunked"])
def test_a_sender_who_waits_to_be_asked(hall: Daemon, path: str, length: int | None) -> None:
    """`Expect: 100-continue` is answered when the last receiver is there, and not before."""
    with Sender(hall, f"{path}?n=2", length, EXPECTS) as sender, contextlib.ExitStack() as others:
        sender.sock.settimeout(0.2)
        receivers = []
        for _ in range(2):
            with pytest.raises(TimeoutError):
                sender.sock.recv(1)
            receivers.append(others.enter_context(Receiver(hall, path)))
        sender.sock.settimeout(20)
        assert read_until(sender.sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert parse(sender.finish(b"hello")).status == 200
        assert [receiver.whole() for receiver in receivers] == [b"hello"] * 2


@ONE
@pytest.mark.parametrize("headers", [(), (EXPECTS,)], ids=["plain", "expects"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_key_in_use(hall: Daemon, path: str, method: str, headers: tuple[str, ...]) -> None:
    """By a sender who waits, by a transfer, by a pipe: a second one hears at once."""
    query = "?n=1" if method == "PUT" else ""
    with Sender(hall, path, None) as first:
        eventually(lambda: not is_free(hall, path))
        answer = refusal(hall, path + query, *headers, method=method)
        assert_refused(answer, 409, "another sender waits")
        assert answer["X-Error-Code"] == "sender_present"
        if method == "PUT":
            assert_refused(refusal(hall, path, *headers, method="PUT"), 409, "key already exists")
        with Receiver(hall, path) as receiver:
            first.send(b"hello")
            assert receiver.begin() == 200
            answer = refusal(hall, path + query, *headers, method=method)
            assert_refused(answer, 409, "under way")
            assert answer["X-Error-Code"] == "in_transfer"
            assert parse(first.finish()).status == 200
            assert receiver.rest() == b"hello"
    with Sender(hall, path, None, method="PUT") as pipe:
        eventually(lambda: not is_free(hall, path))
        answer = refusal(hall, path + query, *headers, method=method)
        assert_refused(answer, 409, "key already exists")
        assert answer["X-Error-Code"] == "conflict"
        assert parse(pipe.finish()).status == 200


BAD = {
    "?n=0": "n is not a whole number from 1 to 8", "?n=9": "n is not", "?n=-1": "n is not",
    "?n=": "n is not", "?n": "n is not", "?n=1.5": "n is not", "?n=2x": "n is not",
    "?n=%32x": "n is not", "?n=" + "9" * 1000: "n is not", "?wait=x": "wait is not",
    "?wait=2h": "wait exceeds",
}  # fmt: skip


@ONE
@pytest.mark.parametrize("query", BAD)
def test_a_query_that_cannot_be_understood(hall: Daemon, path: str, query: str) -> None:
    """400 for both sides, and the body is not waited for."""
    assert_refused(refusal(hall, path + query), 400, BAD[query])
    assert_refused(talk(hall, raw(f"GET {path}{query} HTTP/1.1")), 400, BAD[query])
    if "n" in query:
        assert_refused(refusal(hall, path + query, method="PUT"), 400, BAD[query])
    assert is_free(hall, path)


@ONE
@pytest.mark.parametrize(
    ("header", "status", "words"),
    [("Content-Range: bytes 0-4/5", 400, "Content-Range"), ("Expect: 200-ok", 417, "expectation"),
     ("Content-Type: multipart/form-data", 400, "boundary"),
     ('Content-Type: multipart/form-data; boundary="a b "', 400, "boundary"),
     ("Content-Type: Multipart/Form-Data; boundary=a; boundary=b", 400, "boundary"),
     ("X-Piping: a\u202eb", 400, "X-Piping"),
     ("X-Piping: a\r\n" * 16 + "X-Piping: b", 400, "X-Piping")],
    ids=["range", "expect", "no boundary", "bad boundary", "two boundaries", "direction", "labels"],
)  # fmt: skip
def test_a_header_that_is_refused(
    hall: Daemon, path: str, header: str, status: int, words: str
) -> None:
    """Before the key is taken, and before anybody comes."""
    with Receiver(hall, path + "?wait=20") as receiver:
        eventually(lambda: waiting(hall) == 1)
        assert_refused(refusal(hall, path, header), status, words)
        with Sender(hall, path, 5) as sender:
            sender.send(b"hello")
            assert sender.told().status == 200
        assert receiver.whole() == b"hello"


@ONE
def test_what_is_known_while_the_sender_waits(hall: Daemon, path: str) -> None:
    """HEAD tells of what he brings; looking takes no seat."""
    headers = ("Content-Type: image/png", 'Content-Disposition: attachment; filename="a.png"')
    with Sender(hall, path, 5, *headers) as sender:
        eventually(lambda: not is_free(hall, path))
        looked = ask(hall, path, "--head")
        assert (looked.status, looked["Content-Length"], looked["Content-Type"]) == (
            200, "5", "image/png",
        )  # fmt: skip
        assert looked["Content-Disposition"] == 'inline; filename="a.png"'
        assert looked["ETag"] is None
        assert looked["Accept-Ranges"] is None
        sender.send(b"hello")
        got = ask(hall, path)
        assert (got.body, got["Content-Type"], got["ETag"]) == (b"hello", "image/png", None)
        assert got["Content-Disposition"] == 'inline; filename="a.png"'
        assert sender.told().status == 200


@ONE
def test_of_a_form_nothing_is_known_before_it_is_read(hall: Daemon, path: str) -> None:
    """Its own length and type are not those of the part that is meant."""
    with Sender(hall, path, 500, "Content-Type: multipart/form-data; boundary=b"):
        eventually(lambda: not is_free(hall, path))
        looked = ask(hall, path, "--head")
        assert (looked.status, looked["Content-Length"]) == (200, None)
        assert "multipart" not in (looked["Content-Type"] or "")


@ONE
def test_labels_and_the_end_of_the_waiting(hall: Daemon, path: str) -> None:
    """X-Piping reaches the receiver line by line; conditions and ranges mean nothing here."""
    headers = ("X-Piping: one", "X-Piping: two, three", "Content-Encoding: gzip")
    with Sender(hall, path, 5, *headers) as sender:
        sender.send(b"hello")
        answer = ask(hall, path, "--header", "Range: bytes=1-2", "--header", "If-None-Match: *")
        assert (answer.status, answer.body) == (200, b"hello")
        assert answer.headers.get_all("X-Piping") == ["one", "two, three"]
        assert answer["Content-Encoding"] == "gzip"
        assert answer["Content-Range"] is None
        assert sender.told().text == "delivered to 1 receiver\n"


@ONE
def test_the_key_is_deleted(hall: Daemon, path: str) -> None:
    """The sender hears of it; a receiver, who has a seat only, waits for another sender."""
    with Sender(hall, f"{path}?n=2", None) as sender, Receiver(hall, path, *GENERAL) as receiver:
        eventually(lambda: not is_free(hall, path))
        assert ask(hall, path, "--request", "DELETE").status == 204
        assert_refused(sender.told(), 502, "deleted")
        eventually(lambda: waiting(hall) == 1)
        with Sender(hall, path, 5) as another:
            another.send(b"hello")
            assert another.told().status == 200
        assert receiver.whole() == b"hello"


@ONE
@pytest.mark.parametrize("prefix", ["", "/-/piping"], ids=["auto", "piping"])
def test_a_sender_who_leaves_early_takes_nobody_with_him(
    hall: Daemon, path: str, prefix: str
) -> None:
    """A receiver who had a seat among several gets what the next sender brings."""
    target = prefix + path + "?n=2"
    receivers = [Receiver(hall, target, *GENERAL)]
    eventually(lambda: waiting(hall) == 1)
    with Sender(hall, target, None):
        eventually(lambda: waiting(hall) == 0)
    eventually(lambda: waiting(hall) == 1)
    receivers.append(Receiver(hall, target, *GENERAL))
    eventually(lambda: waiting(hall) == 2)
    with Sender(hall, f"{path}?n=2", 5) as sender:
        sender.send(b"hello")
        assert sender.told().text == "delivered to 2 receivers\n"
    for receiver in receivers:
        assert receiver.whole() == b"hello"
        receiver.leave()


@ONE
def test_a_receiver_waits_no_longer_than_he_said(hall: Daemon, path: str) -> None:
    """Also when he has a seat and another one is free; his leaves no mark."""
    with Sender(hall, f"{path}?n=2", None) as sender:
        eventually(lambda: not is_free(hall, path))
        assert_refused(ask(hall, f"{path}?wait=0"), 404, "key not found")
        assert_refused(ask(hall, f"{path}?wait=0.1"), 404, "key not found")
        receivers = [Receiver(hall, path), Receiver(hall, path)]
        sender.send(b"hello")
        assert parse(sender.finish()).status == 200
        assert [receiver.whole() for receiver in receivers] == [b"hello"] * 2
    assert key_of(hall, path[1:]) is None
    for receiver in receivers:
        receiver.leave()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_the_key_is_deleted_in_the_middle(hall: Daemon, path: str, *, chunked: bool) -> None:
    """The sender, silent or not, hears of it; the receiver gets no end."""
    with (
        Receiver(hall, path) as receiver,
        Sender(hall, path, None if chunked else 2 * MIB) as sender,
    ):
        sender.send(bytes(MIB))
        assert receiver.begin() == 200
        receiver.take(MIB)
        assert ask(hall, path, "--request", "DELETE").status == 204
        assert_refused(sender.told(), 502, "the key was deleted")
        assert receiver.rest() is None
    assert is_free(hall, path)


@ONE
def test_as_many_receivers_as_there_may_be(hall: Daemon, path: str) -> None:
    """Some before, some after the sender; each gets everything."""
    with contextlib.ExitStack() as parties:
        receivers = [parties.enter_context(Receiver(hall, path)) for _ in range(4)]
        eventually(lambda: waiting(hall) == 4)
        sender = parties.enter_context(Sender(hall, f"{path}?n=8", None))
        receivers += [parties.enter_context(Receiver(hall, path)) for _ in range(4)]
        sender.send(body_of(60_000))
        assert parse(sender.finish()).text == "delivered to 8 receivers\n"
        assert [receiver.whole() for receiver in receivers] == [body_of(60_000)] * 8
