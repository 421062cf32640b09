"""APPEND over raw connections: the handshake, the frames, how it ends; with and without acks."""

from __future__ import annotations

import json
import socket

import pytest

from tests.conftest import Daemon, eventually, read_until
from tests.scenarios.answers import raw
from tests.scenarios.httpfstream.wire import (
    BINARY,
    CLOSE,
    ORIGINAL,
    PING,
    PONG,
    TEXT,
    Frame,
    Wire,
    ask,
    handshake,
    masked,
)

APPEND = ORIGINAL.format("APPEND")
ACKS = "Sec-WebSocket-Protocol: filepipe.append"


def content(daemon: Daemon, path: str) -> bytes | None:
    """What a look at the log shows; None for no log."""
    answer = ask(daemon, path, "X-Verb: FOLLOW")
    return answer.body if answer.status == 200 else None


def offset(frame: Frame) -> int:
    """Of an acknowledgement, which is a text."""
    assert frame.op == TEXT, frame
    return json.loads(frame.data)["offset"]


# -- dispatch


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "POST", "DELETE", "PATCH"])
def test_only_get(shared: Daemon, path: str, method: str) -> None:
    """405 with the original's sentence; a body is not looked at."""
    answer = ask(shared, f"{path}?verb=APPEND", method=method, listener=1)
    assert (answer.status, answer["Allow"]) == (405, "GET")
    if method != "HEAD":
        assert answer.text == "method not supported\n"
        assert answer["Content-Type"] == "text/plain; charset=utf-8"
        assert answer["X-Content-Type-Options"] == "nosniff"
    if method != "OPTIONS":  # in `auto` that is a question about the key
        assert ask(shared, path, APPEND, method=method).status == 405


@pytest.mark.parametrize(
    ("listener", "prefix", "query", "header"),
    [(0, "", "", APPEND), (0, "", "?verb=APPEND", ""), (0, "/-/httpfstream", "?verb=APPEND", ""),
     (1, "", "?verb=FOLLOW", APPEND), (1, "", "?verb=APPEND", "X-Verb:")],
)  # fmt: skip
def test_where_it_is_spoken(
    shared: Daemon, path: str, listener: int, prefix: str, query: str, header: str
) -> None:
    """At a listener, below a prefix, in `auto`; the header beats the query unless it is empty."""
    headers = [header] if header else []
    with Wire(shared, prefix + path + query, *headers, listener=listener) as wire:
        wire.say(b"hello")
        assert wire.close().code == 1000
    assert content(shared, path) == b"hello"


@pytest.mark.parametrize("verb", ["append", "Append", "", "FOLLOW", "other"])
def test_any_other_verb_follows(shared: Daemon, path: str, verb: str) -> None:
    """The case counts."""
    answer = ask(shared, f"{path}?verb={verb}", *handshake(), listener=1)
    assert (answer.status, answer.text) == (404, "404 page not found\n")


def test_a_connection_serves_the_next_request(shared: Daemon, path: str) -> None:
    """Looks, and refusals, leave it open."""
    with shared.connect(listener=1) as sock:
        for method, query, status in (
            ("GET", "", 404), ("GET", "?verb=APPEND", 426), ("PUT", "", 405), ("GET", "", 404),
        ):  # fmt: skip
            sock.sendall(raw(f"{method} {path}{query} HTTP/1.1", "Connection: keep-alive"))
            head, _, body = read_until(sock, b"\r\n\r\n").partition(b"\r\n\r\n")
            assert int(head.split()[1]) == status
            if not body.endswith(b"\n"):
                read_until(sock, b"\n")


# -- handshakes


@pytest.mark.parametrize(
    ("header", "status"),
    [("Upgrade:", 426), ("Upgrade: h2c", 426), ("Sec-WebSocket-Version: 8", 426),
     ("Sec-WebSocket-Version:", 426), ("Sec-WebSocket-Key:", 400),
     ("Sec-WebSocket-Key: short", 400), ("Sec-WebSocket-Key: AAAA", 400),
     ("Connection: keep-alive", 400), ("Content-Length: 1", 400)],
)  # fmt: skip
def test_05_a_bad_handshake(shared: Daemon, path: str, header: str, status: int) -> None:
    """It is refused and makes nothing, not even for a moment."""
    answer = ask(shared, f"{path}?verb=APPEND", *handshake(header))
    assert answer.status == status
    if status == 426:
        assert answer["Upgrade"] == "websocket"
        assert answer["Sec-WebSocket-Version"] == "13"
    assert content(shared, path) is None


def test_no_handshake_in_http_1_0(shared: Daemon, path: str) -> None:
    """It has no Upgrade."""
    data = "\r\n".join([f"GET {path}?verb=APPEND HTTP/1.0", *handshake(), "", ""]).encode()
    assert shared.talk(data).split()[1] in (b"400", b"426")
    assert content(shared, path) is None


def test_an_answer_to_the_handshake(shared: Daemon, path: str) -> None:
    """No extension, no subprotocol that nobody asked for; the sum is that of RFC 6455, 1.3."""
    deflate = "Sec-WebSocket-Extensions: permessage-deflate"
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
    with Wire(shared, f"{path}?verb=APPEND", deflate, key, "Sec-WebSocket-Protocol: chat") as wire:
        head = wire.head.decode().lower()
        assert "sec-websocket-extensions" not in head
        assert "sec-websocket-protocol" not in head
        assert "\r\nupgrade: websocket\r\n" in head
        assert "\r\nconnection: upgrade\r\n" in head
        assert "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in wire.head.decode()
    assert content(shared, path) == b""


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://evil.example", 403), ("null", 403), ("http://localhost:1", 403),
     ("ftp://localhost", 403), ("http://[::1", 403), ("http://localhost", 101),
     ("https://pub.example", 101)],
)  # fmt: skip
def test_10_pages_of_others(shared: Daemon, path: str, origin: str, status: int) -> None:
    """A page of another site opens no WebSocket here."""
    header = f"Origin: {origin}"
    if status == 101:
        with Wire(shared, f"{path}?verb=APPEND", header):
            pass
        return
    answer = ask(shared, f"{path}?verb=APPEND", *handshake(header))
    assert (answer.status, answer["X-Error-Code"]) == (403, "forbidden")
    assert content(shared, path) is None


def test_one_writer(shared: Daemon, path: str) -> None:
    """The second gets 403 with the original's sentence, until the first one has gone."""
    with Wire(shared, path, APPEND) as first:
        answer = ask(shared, path, APPEND, *handshake())
        assert (answer.status, answer.text) == (
            403,
            "addWriter: path already has an active writer\n",
        )
        put = ask(shared, f"{path}?append", "Content-Length: 0", method="PUT")
        assert (put.status, put["X-Error-Code"]) == (409, "writer_present")
        first.say(b"1")
        assert first.close().code == 1000
    with Wire(shared, path, APPEND) as second:
        second.say(b"2")
        second.close()
    assert content(shared, path) == b"12"


def test_a_key_of_another_kind(shared: Daemon, path: str) -> None:
    """A pipe is no log."""
    ask(shared, path, "Content-Length: 0", method="PUT")
    assert ask(shared, path, APPEND, *handshake()).status == 409
    assert ask(shared, "/?verb=APPEND", *handshake(), listener=1).status == 400


def test_an_offset_must_be_the_end(shared: Daemon, path: str) -> None:
    """Who goes on says where; the refusal says where that is, and makes nothing."""
    answer = ask(shared, f"{path}?verb=APPEND&offset=3", *handshake())
    assert (answer.status, answer["Stream-Next-Offset"]) == (409, "0")
    assert content(shared, path) is None
    with Wire(shared, f"{path}?verb=APPEND&offset=0") as wire:
        wire.say(b"123")
        wire.close()
    answer = ask(shared, f"{path}?verb=APPEND&offset=2", *handshake())
    assert (answer.status, answer["Stream-Next-Offset"]) == (409, "3")
    with Wire(shared, f"{path}?verb=APPEND&offset=3&close") as wire:
        assert "stream-next-offset: 3" in wire.head.decode().lower()
        wire.close()
    answer = ask(shared, f"{path}?verb=APPEND", *handshake())
    assert (answer.status, answer["X-Error-Code"]) == (409, "log_closed")


# -- frames


def test_messages_of_any_kind_are_bytes(shared: Daemon, path: str) -> None:
    """Text, binary, fragments with pings between them, nothing at all; text need not be UTF-8."""
    with Wire(shared, path, APPEND) as wire:
        wire.say(b"text ")
        wire.say(b"\x00\xffbinary ", BINARY)
        wire.say(b"\xff\xfe ")
        wire.say(b"")
        wire.sock.sendall(masked(TEXT, b"in ", last=False) + masked(PING, b"there?"))
        assert wire.read() == Frame(PONG, b"there?")
        wire.sock.sendall(masked(0, b"two ", last=False) + masked(PONG, b"") + masked(0, b"parts"))
        assert wire.close().code == 1000
    assert content(shared, path) == b"text \x00\xffbinary \xff\xfe in two parts"


def test_frames_byte_by_byte(shared: Daemon, path: str) -> None:
    """However the network cuts them."""
    with Wire(shared, path, APPEND) as wire:
        wire.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in masked(TEXT, b"slow") + masked(TEXT, b"x" * 130)[:-1]:
            wire.sock.sendall(bytes((byte,)))
        eventually(lambda: content(shared, path) == b"slow")
        wire.sock.sendall(masked(TEXT, b"x" * 130)[-1:])
        wire.close()
    assert content(shared, path) == b"slow" + b"x" * 130


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"\x81\x05hello", 1002), (b"\x81\x00", 1002), (masked(TEXT, b"x", flags=0x40), 1002),
     (masked(3, b""), 1002), (masked(0, b"x"), 1002), (masked(PING, b"x", last=False), 1002),
     (masked(PING, b"x" * 126), 1002), (masked(CLOSE, b"x"), 1002),
     (masked(CLOSE, b"\x03\xec"), 1002), (masked(TEXT, bytes(1 << 20) + b"x"), 1009),
     (b"\x81\xff\x7f" + bytes(11), 1009), (b"\x82\xff\xff" + bytes(11), 1009),
     (masked(TEXT, bytes(1 << 20), last=False) + masked(0, b"x"), 1009)],
)  # fmt: skip
def test_09_what_is_no_websocket(shared: Daemon, path: str, data: bytes, code: int) -> None:
    """It is told why; what came before it stays, and who follows hears that it was lost."""
    with Wire(shared, path, APPEND) as wire, Wire(shared, path) as follower:
        wire.say(b"before")
        assert follower.join() + follower.message().data == b"before"
        wire.sock.sendall(data)
        assert wire.to_close()[-1].code == code
        assert follower.until_close()[-1].code == 1011
    assert content(shared, path) == b"before"


def test_09_the_largest_message(shared: Daemon, path: str) -> None:
    """At the limit it is taken."""
    with Wire(shared, path, APPEND) as wire:
        wire.say(bytes(1 << 20))
        assert wire.close().code == 1000
    assert content(shared, path) == bytes(1 << 20)


# -- ends


@pytest.mark.parametrize("end", ["close", "empty", "away", "fin", "reset"])
def test_14_an_original_that_has_finished(shared: Daemon, path: str, end: str) -> None:
    """It says so, or just goes; its last bytes count, and who follows gets 1000."""
    with Wire(shared, path, APPEND) as wire, Wire(shared, path) as follower:
        data = b"".join(masked(TEXT, b"%05d" % number) for number in range(500))
        wire.sock.sendall(data)
        if end == "fin":
            wire.sock.close()
        elif end == "reset":
            eventually(lambda: len(content(shared, path) or b"") == 2500)
            wire.reset()
        else:
            wire.close({"close": 1000, "empty": None, "away": 1001}[end])
        assert follower.join() + follower.live() == b"".join(b"%05d" % n for n in range(500))
    eventually(lambda: ask(shared, path, APPEND, *handshake(), "Origin: null").status == 403)


@pytest.mark.parametrize(
    "part",
    [masked(TEXT, b"half")[:-2], masked(TEXT, b"half")[:1], masked(TEXT, b"half", last=False),
     masked(TEXT, b"x" * 70_000)[:5000]],
)  # fmt: skip
@pytest.mark.parametrize("end", ["fin", "reset"])
def test_14_an_original_that_is_lost(shared: Daemon, path: str, part: bytes, end: str) -> None:
    """In the middle of a frame or a message: nothing of that is kept, and it is told by 1011."""
    with Wire(shared, path, APPEND) as wire, Wire(shared, path) as follower:
        wire.sock.sendall(masked(TEXT, b"whole") + part)
        assert follower.join() + follower.message().data == b"whole"
        if end == "fin":
            wire.sock.close()
        else:
            wire.reset()
        assert follower.until_close()[-1].code == 1011
    assert content(shared, path) == b"whole"


def test_06_silence_is_no_end(shared: Daemon, path: str) -> None:
    """An original is not even pinged, since it would never read that; the kernel looks after it."""
    with Wire(shared, path, APPEND) as wire, Wire(shared, path) as follower:
        assert follower.join() == b""
        wire.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            wire.sock.recv(1)
        wire.sock.settimeout(20)
        wire.say(b"late")
        assert follower.message().data == b"late"


def test_06_who_reads_is_pinged(shared: Daemon, path: str) -> None:
    """A client that answers keeps the proxies on the way awake; one that does not is let be."""
    with Wire(shared, f"{path}?verb=APPEND") as wire:
        assert wire.read() == wire.read() == Frame(PING, b"")
        wire.say(b"still here")
        assert wire.close().code == 1000


# -- with acknowledgements


def test_07_acknowledgements(shared: Daemon, path: str) -> None:
    """Texts with the durable end; an empty message is answered, too."""
    with Wire(shared, f"{path}?verb=APPEND", ACKS) as wire:
        assert "sec-websocket-protocol: filepipe.append" in wire.head.decode().lower()
        wire.say(b"12345")
        assert wire.message() == Frame(TEXT, b'{"offset":5}')
        wire.say(b"67", BINARY)
        assert offset(wire.message()) == 7
        wire.say(b"")
        assert offset(wire.message()) == 7
        assert wire.close().code == 1000
    assert content(shared, path) == b"1234567"


def test_many_in_flight(shared: Daemon, path: str) -> None:
    """They go up, the last one is the end, and at any time that much can be read."""
    with Wire(shared, f"{path}?verb=APPEND", ACKS) as wire:
        wire.sock.sendall(masked(TEXT, b"x" * 1000) * 500)
        seen = [offset(wire.message())]
        assert len(content(shared, path) or b"") >= seen[0]
        while seen[-1] < 500_000:
            seen.append(offset(wire.message()))
        assert seen == sorted(set(seen))
        assert all(number % 1000 == 0 for number in seen)
        wire.close()
    with Wire(shared, f"{path}?verb=APPEND", ACKS) as wire:
        wire.sock.sendall(masked(TEXT, b"x" * 1000) * 500)
        *acks, end = (wire.say((1000).to_bytes(2), CLOSE), *wire.until_close())[1:]
        assert (offset(acks[-1]), end.code) == (1_000_000, 1000)


@pytest.mark.parametrize("end", ["fin", "reset", "away"])
def test_who_is_acknowledged_says_that_it_has_finished(shared: Daemon, path: str, end: str) -> None:
    """Else it is lost; what was acknowledged stays."""
    with Wire(shared, f"{path}?verb=APPEND", ACKS) as wire, Wire(shared, path) as follower:
        wire.say(b"whole")
        assert offset(wire.message()) == 5
        if end == "fin":
            wire.sock.close()
        elif end == "reset":
            wire.reset()
        else:
            wire.close(1001)
        assert follower.join() + follower.message().data == b"whole"
        assert follower.until_close()[-1].code == 1011
    assert content(shared, path) == b"whole"


def test_text_is_promised_with_acknowledgements(shared: Daemon, path: str) -> None:
    """What is none is 1007, and not kept; as binary it is welcome."""
    with Wire(shared, f"{path}?verb=APPEND", ACKS) as wire:
        wire.say(b"\xff", BINARY)
        assert offset(wire.message()) == 1
        wire.say(b"\xff")
        assert wire.until_close()[-1].code == 1007
    assert content(shared, path) == b"\xff"


def test_a_log_that_is_deleted(shared: Daemon, path: str) -> None:
    """Both sides are told, and the key is free."""
    with Wire(shared, f"{path}?verb=APPEND", ACKS) as wire, Wire(shared, path) as follower:
        wire.say(b"1")
        assert offset(wire.message()) == 1
        assert ask(shared, path, method="DELETE").status == 204
        for end in (wire.until_close()[-1], follower.until_close()[-1]):
            assert end.code == 1011
    assert content(shared, path) is None
