"""The receiver: when its answer begins, and what stands in its head."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import eventually
from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.piping.front import (
    CONNECTED,
    OURS,
    RECEIVED,
    TLS,
    WAITING,
    WAYS,
    Front,
    Party,
    fresh_path,
)

ALWAYS = {"access-control-allow-origin", "x-robots-tag", "content-security-policy"}

# as sent, and as received
TYPES = {
    "text/plain": "text/plain",
    "Text/Plain; charset=UTF-8": "Text/Plain; charset=UTF-8",
    "application/octet-stream": "application/octet-stream",
    "text/html": "text/plain",
    "text/html; charset=utf-8": "text/plain; charset=utf-8",
    "TEXT/HTML": "text/plain",
    "Text/Html;Charset=x": "text/plain;Charset=x",
    "text/html ;charset=x": "text/plain;charset=x",
    "text/html\t; a=b; c=d": "text/plain; a=b; c=d",
    "text/htmlx": "text/htmlx",
    "image/svg+xml": "image/svg+xml",
    "application/xhtml+xml": "application/xhtml+xml",
}


def hand(front: Front, path: str, *headers: str, data: bytes = b"hello") -> Party:
    """A receiver who gets what a sender with these headers sends."""
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    assert front.send(path, data, *headers).lines()[-1] == RECEIVED
    return receiver


def framing(front: Front) -> set[str]:
    """What stands in a head because of the version."""
    return {"connection"} if front.old else set()


def test_nothing_comes_before_all_are_there(modern: Front, path: str) -> None:
    """Not even the head."""
    sender = modern.send(f"{path}?n=2", b"hello")
    assert sender.line() == WAITING.format(2)
    receiver = modern.receive(f"{path}?n=2")
    assert sender.line() == CONNECTED
    assert receiver.silent()
    modern.receive(f"{path}?n=2")
    assert (receiver.status, receiver.rest()) == (200, b"hello")


def test_the_head_of_a_body_of_which_little_is_known(front: Front, path: str) -> None:
    """Exactly these headers."""
    receiver = hand(front, path)
    assert receiver.status == 200
    names = {name.lower() for name in receiver.headers}
    assert names - OURS == ALWAYS | {"content-length"} | framing(front)
    assert receiver.headers["Content-Length"] == "5"
    assert receiver.headers["Access-Control-Allow-Origin"] == "*"
    assert receiver.headers["X-Robots-Tag"] == "none"
    assert receiver.response.version == (10 if front.old else 11)


def test_the_head_of_a_body_of_which_much_is_known(front: Front, path: str) -> None:
    """Type, disposition and X-Piping pass, each as it is; nothing else does."""
    passing = (
        "Content-Type: image/png",
        'Content-Disposition: attachment; filename="my file.txt"; x=y',
        "X-Piping: first",
        "X-Piping: second, third",
        "x-piping: first",
    )
    others = (
        "Content-Encoding: gzip", "Content-Language: en", "Content-Location: /x",
        "Cache-Control: public", "ETag: \"x\"", "Last-Modified: Sat, 21 Nov 2026 15:39:05 GMT",
        "Set-Cookie: a=b", "Location: /x", "Link: </x>", "Refresh: 0", "X-Other: x",
        "Access-Control-Allow-Credentials: true", "Access-Control-Expose-Headers: X-Other",
        "Content-Security-Policy: default-src *", "X-Robots-Tag: all", "Server: other",
        "Trailer: X", "Vary: *", "Authorization: Basic eDp5", "Cookie: a=b",
    )  # fmt: skip
    receiver = hand(front, path, *passing, *others)
    names = sorted(name.lower() for name in receiver.headers)
    expected = ALWAYS | {"content-length", "content-type", "content-disposition"}
    expected |= {"access-control-expose-headers", "x-piping"} | framing(front)
    assert set(names) - OURS == expected
    assert len(names) == len(set(names)) + 2
    headers = receiver.headers
    assert headers["Content-Type"] == "image/png"
    assert headers["Content-Disposition"] == 'attachment; filename="my file.txt"; x=y'
    assert headers.get_all("X-Piping") == ["first", "second, third", "first"]
    assert headers["Access-Control-Expose-Headers"] == "X-Piping"
    assert headers["X-Robots-Tag"] == "none"
    assert headers["Server"] == "filepipe"
    assert receiver.rest() == b"hello"


@pytest.mark.parametrize("sent", TYPES)
def test_types(plain: Front, path: str, sent: str) -> None:
    """A page becomes text, however it is written; the rest stays as it is."""
    receiver = hand(plain, path, f"Content-Type: {sent}")
    assert receiver.headers["Content-Type"] == TYPES[sent]


def test_a_page_is_text(front: Front, path: str) -> None:
    """By every way."""
    receiver = hand(front, path, "Content-Type: TEXT/HTML; charset=utf-8")
    assert receiver.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("sent", ["nonsense", "text/plain; a", "x" * 300 + "/y"])
def test_a_type_that_is_none(plain: Front, path: str, sent: str) -> None:
    """What is malformed does not pass."""
    receiver = hand(plain, path, f"Content-Type: {sent}")
    assert "Content-Type" not in receiver.headers


def test_a_disposition_that_cannot_stand_in_a_head(plain: Front, path: str) -> None:
    """What is no text in UTF-8 does not pass; other text does, as it came."""
    receiver = hand(plain, path, 'Content-Disposition: attachment; filename="\udcff"')
    assert "Content-Disposition" not in receiver.headers
    receiver = hand(plain, path, 'Content-Disposition: attachment; filename="ö.txt"')
    name = receiver.headers["Content-Disposition"].encode("latin-1").decode()
    assert name == 'attachment; filename="ö.txt"'


def test_a_body_of_unknown_length(modern: Front, path: str) -> None:
    """It is chunked, and for HTTP/1.0 its end is that of the connection."""
    old = modern.by("1.0-tls" if modern.way.listener == TLS else "1.0")
    receivers = [modern.receive(f"{path}?n=2"), old.receive(f"{path}?n=2")]
    eventually(lambda: modern.waiting() == 2)
    sender = modern.open(f"{path}?n=2", None)
    sender.send(b"hel")
    assert [receiver.take(3) for receiver in receivers] == [b"hel"] * 2
    sender.send(b"lo")
    sender.finish()
    assert [receiver.rest() for receiver in receivers] == [b"lo"] * 2
    assert sender.lines()[-1] == RECEIVED
    heads = [{name.lower() for name in receiver.headers} - OURS for receiver in receivers]
    assert heads == [ALWAYS | {"transfer-encoding"}, ALWAYS | {"connection"}]
    assert receivers[0].headers["Transfer-Encoding"] == "chunked"
    assert receivers[1].headers["Connection"] == "close"


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_receiver_who_reads_once(old: Front, path: str, size: int) -> None:
    """Head and small body leave together: such a client closes after one read."""
    body = body_of(size)
    receiver = old.receive(path)
    eventually(lambda: old.waiting() == 1)
    sender = old.open(path, size)
    if size:
        sender.send(body)
    data = receiver.sock.recv(65536)
    receiver.leave()
    head, _, got = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.0 200 OK\r\n")
    assert got == body
    assert b"Connection: close" in head
    assert sender.lines()[-1] == RECEIVED


def test_an_empty_body(front: Front, path: str) -> None:
    """It is one all the same."""
    receiver = hand(front, path, data=b"")
    assert receiver.headers["Content-Length"] == "0"
    assert (receiver.status, receiver.rest()) == (200, b"")


def test_a_sender_without_a_body(modern: Front, path: str) -> None:
    """No framing means no bytes."""
    receiver = modern.receive(path)
    eventually(lambda: modern.waiting() == 1)
    sender = modern.begin(modern.request("POST", path))
    assert sender.lines()[-1] == RECEIVED
    assert receiver.rest() == b""


@pytest.mark.parametrize("leave", [Party.leave, Party.reset])
def test_a_receiver_who_leaves_while_it_waits(
    front: Front, path: str, leave: Callable[[Party], None]
) -> None:
    """Its place is free, whether a sender is there or not."""
    receiver = front.receive(f"{path}?n=2")
    eventually(lambda: front.waiting() == 1)
    leave(receiver)
    eventually(lambda: front.waiting() == 0)
    sender = front.by("1.1").send(f"{path}?n=2", b"hello")
    assert sender.line() == WAITING.format(2)
    receiver = front.receive(f"{path}?n=2")
    assert sender.line() == CONNECTED
    gone = front.gone()
    leave(receiver)
    eventually(lambda: front.gone() == gone + 1)
    receivers = [front.receive(f"{path}?n=2") for _ in range(2)]
    assert [receiver.rest() for receiver in receivers] == [b"hello"] * 2
    assert sender.lines()[-1] == RECEIVED


def test_a_large_body(front: Front, path: str) -> None:
    """The kernel may move it, or not; it is the same."""
    body = body_of(3 * MIB)
    receiver = front.receive(path)
    eventually(lambda: front.waiting() == 1)
    with front.sending(path, body) as sender:
        assert receiver.headers["Content-Length"] == str(len(body))
        assert sha(receiver.rest() or b"") == sha(body)
    assert sender.lines()[-1] == RECEIVED


@pytest.mark.parametrize("chunked", [False, True])
def test_receivers_who_close_at_once(front: Front, *, chunked: bool) -> None:
    """Who has everything may leave without waiting for anything; that is no failure."""
    body = body_of(300_000)
    for _ in range(5):
        path = fresh_path()
        receiver = front.receive(path)
        eventually(lambda: front.waiting() == 1)
        with (front.by("1.1") if chunked else front).sending(path, body, chunked=chunked) as sender:
            assert sha(receiver.rest() or b"") == sha(body)
            if isinstance(receiver.sock, ssl.SSLSocket):
                receiver.sock.settimeout(0)
                with contextlib.suppress(ssl.SSLError, OSError):
                    receiver.sock.unwrap()  # says that it ends, and waits for nothing
            receiver.leave()
        assert sender.lines()[-1] == RECEIVED


@pytest.mark.parametrize("chunked", [False, True])
def test_receivers_by_every_way_at_once(plain: Front, path: str, *, chunked: bool) -> None:
    """Each gets the same, whoever moves it, and with it a head of its own version."""
    body = body_of(MIB)
    target = f"{path}?n={len(WAYS)}"
    receivers = [plain.by(way).receive(target) for way in WAYS]
    eventually(lambda: plain.waiting() == len(WAYS))
    with (
        ThreadPoolExecutor(len(WAYS)) as pool,
        plain.sending(target, body, "X-Piping: x", chunked=chunked) as sender,
    ):
        for got in pool.map(Party.rest, receivers):
            assert sha(got or b"") == sha(body)
    assert sender.lines()[-1] == RECEIVED
    versions = [10 if "1.0" in way else 11 for way in WAYS]
    assert [receiver.response.version for receiver in receivers] == versions
    assert {receiver.headers["X-Piping"] for receiver in receivers} == {"x"}


def test_an_empty_stream(modern: Front, path: str) -> None:
    """Chunks need not hold anything."""
    receiver = modern.receive(path)
    eventually(lambda: modern.waiting() == 1)
    sender = modern.open(path, None)
    sender.finish()
    assert (receiver.status, receiver.rest()) == (200, b"")
    assert sender.lines()[-1] == RECEIVED
