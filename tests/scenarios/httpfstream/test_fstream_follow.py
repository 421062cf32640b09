"""FOLLOW over raw connections: without an appender, history and live, kinds of messages, ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.httpfstream.wire import (
    BINARY,
    CLOSE,
    EMPTY_TEXT,
    ORIGINAL,
    PING,
    TEXT,
    Frame,
    Wire,
    ask,
    handshake,
    masked,
)
from tests.scenarios.logs.asking import append, begin, finish, say
from tests.scenarios.peers import body_of, readers, sha, stored

APPEND = ORIGINAL.format("APPEND")
FOLLOW = ORIGINAL.format("FOLLOW")


# -- nobody appends


def test_what_was_never_written(shared: Daemon, path: str) -> None:
    """404 with the original's sentence, at once, also to a handshake; and no list of keys."""
    for headers in ([], [FOLLOW], [FOLLOW, *handshake()]):
        for listener in (0, 1):
            answer = ask(shared, f"{path}?verb=FOLLOW", *headers, listener=listener)
            assert (answer.status, answer.text) == (404, "404 page not found\n")
    assert ask(shared, "/", FOLLOW, listener=1).status == 404


def test_nobody_appends(shared: Daemon, path: str) -> None:
    """200 and the bytes, also to a handshake; ranges and conditions hold."""
    append(shared, path, b"0123456789")
    for headers in ([FOLLOW], [FOLLOW, *handshake()]):
        answer = ask(shared, path, *headers)
        assert (answer.status, answer.body, answer["Content-Length"]) == (200, b"0123456789", "10")
        assert (answer["Content-Type"], answer["Accept-Ranges"]) == (
            "application/octet-stream", "bytes",
        )  # fmt: skip
    part = ask(shared, path, "Range: bytes=2-4", listener=1)
    assert (part.status, part.body, part["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    assert ask(shared, path, f"If-None-Match: {answer['ETag']}", listener=1).status == 304


def test_16_a_reader_who_waits(shared: Daemon, path: str) -> None:
    """Our addition: `?wait=`; then the whole session is followed."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(Wire, shared, f"{path}?wait=20")
        eventually(lambda: shared.state()["waiting_readers"] > 0)
        with Wire(shared, path, APPEND) as wire, coming.result(20) as follower:
            wire.say(b"hello")
            wire.close()
            assert follower.join() + follower.live() == b"hello"


def test_a_pipe_is_read_too(shared: Daemon, path: str) -> None:
    """What another protocol keeps under the key; but nothing that is handed over once."""
    ask(shared, path, "Content-Length: 0", method="PUT")
    assert ask(shared, path, FOLLOW, *handshake()).status == 200


# -- somebody appends


def test_history_then_live(shared: Daemon, path: str) -> None:
    """What was there, an empty text, a ping, then each message as one, then 1000."""
    append(shared, path, b"before ")
    with Wire(shared, path, APPEND) as wire:
        wire.say(b"this ")
        eventually(lambda: stored(shared, path[1:]) == 12)
        with Wire(shared, path, FOLLOW) as follower:
            assert follower.read() == Frame(TEXT, b"before this ")
            assert follower.read() == Frame(TEXT, b"")
            assert follower.read() == Frame(PING, b"")
            for message in (b"one", b"two", b"three"):
                wire.say(message)
                assert follower.message() == Frame(TEXT, message)
            wire.sock.sendall(b"".join(masked(TEXT, b"%d" % number) for number in range(100)))
            got = [follower.message().data for _ in range(100)]
            assert got == [b"%d" % number for number in range(100)]
            wire.close()
            assert follower.live() == b""


def test_an_empty_log_is_joined(shared: Daemon, path: str) -> None:
    """The first frame is the empty text."""
    with Wire(shared, path, APPEND), Wire(shared, path, FOLLOW) as follower:
        assert follower._take(2) == EMPTY_TEXT


@pytest.mark.parametrize(
    ("headers", "most"), [([FOLLOW], 4096), ([], 4096),
                          (["Sec-WebSocket-Protocol: filepipe.binary"], 16384)],
)  # fmt: skip
def test_01_long_messages_are_divided(
    shared: Daemon, path: str, headers: list[str], most: int
) -> None:
    """Each is one frame, small for those whose library may lose the rest."""
    body = body_of(300_000)
    with Wire(shared, path, APPEND) as wire:
        wire.say(body)
        eventually(lambda: stored(shared, path[1:]) == len(body))
        with Wire(shared, path, *headers) as follower:
            wire.say(body)
            wire.sock.close()
            *frames, end = follower.until_close()
    assert end.code == 1000
    assert all(frame.last and len(frame.data) <= most for frame in frames)
    assert max(len(frame.data) for frame in frames) == most
    assert sha(b"".join(frame.data for frame in frames)) == sha(body * 2)
    assert [frame for frame in frames if not frame.data] == [Frame(TEXT, b"")]


def test_08_text_and_binary(shared: Daemon, path: str) -> None:
    """Text where it is UTF-8, no character divided; binary where it is not, or was asked for."""
    euro = "€".encode() * 2000
    with Wire(shared, path, APPEND) as wire:
        wire.say(b"\xfe\xff")
        wire.say(euro)
        eventually(lambda: stored(shared, path[1:]) == 6002)
        with (
            Wire(shared, path) as modern, Wire(shared, path, FOLLOW) as original,
            Wire(shared, f"{path}?binary") as binary,
        ):  # fmt: skip
            modern.join()
            original.join()
            binary.join()
            wire.say(euro)
            first, second = modern.message(), modern.message()
            assert (first.op, second.op, first.data + second.data) == (TEXT, TEXT, euro)
            first.data.decode()
            wire.say(b"ok")
            wire.say(b"\xff")
            assert [modern.message().op for _ in range(2)] == [TEXT, BINARY]
            assert {original.message().op for _ in range(4)} == {TEXT}
            assert {binary.message().op for _ in range(4)} == {BINARY}


def test_08_a_character_between_two_blocks(shared: Daemon, path: str) -> None:
    """History is cut where it is sent; a character that falls there is kept whole."""
    text = ("x" + "€" * 60_000).encode()
    append(shared, path, text)
    with Wire(shared, path, APPEND), Wire(shared, path) as follower:
        got = b""
        while (frame := follower.message()).data:
            assert frame.op == TEXT
            frame.data.decode()
            got += frame.data
        assert got == text


def test_from_an_offset(shared: Daemon, path: str) -> None:
    """Our addition: history begins there; behind the end is a refusal."""
    append(shared, path, b"0123456789")
    with Wire(shared, path, APPEND) as wire:
        for query, history in (("7", b"789"), ("10", b""), ("now", b"")):
            with Wire(shared, f"{path}?offset={query}") as follower:
                assert follower.join() == history
        for wrong in ("11", "-1", "x"):
            assert ask(shared, f"{path}?offset={wrong}", *handshake()).status == 400
        wire.close()


@pytest.mark.parametrize("header", ["Sec-WebSocket-Version: 8", "Sec-WebSocket-Key:"])
def test_a_bad_handshake(shared: Daemon, path: str, header: str) -> None:
    """It is refused; without one a look is answered."""
    with Wire(shared, path, APPEND):
        assert ask(shared, path, *handshake(header)).status in (400, 426)
        answer = ask(shared, path, *handshake("Origin: https://evil.example"))
        assert answer.status == 403
        for wrong in ("binary=1", "live=1"):
            assert ask(shared, f"{path}?{wrong}", *handshake()).status == 400


def test_who_appends_next_is_not_followed(shared: Daemon, path: str) -> None:
    """A follower ends with the session that it joined, however soon another begins."""
    with Wire(shared, path, APPEND) as wire, Wire(shared, path) as follower:
        assert follower.join() == b""
        wire.say(b"first")
        assert wire.close().code == 1000
        with Wire(shared, path, APPEND) as other:
            other.say(b"second")
            assert follower.live() == b"first"
            eventually(lambda: stored(shared, path[1:]) == 11)


def test_a_type_is_not_taken_from_a_handshake(shared: Daemon, path: str) -> None:
    """Nor from the name; what bytes are, and how they are shown, is nothing that it can say."""
    with Wire(shared, f"{path}.html", APPEND, "Content-Type: text/html") as wire:
        wire.say(b"<script>")
        wire.close()
    assert ask(shared, f"{path}.html", listener=1)["Content-Type"] == "application/octet-stream"


def test_a_session_of_http(shared: Daemon, path: str) -> None:
    """A chunked PUT is one, too: followed live, ended by 1000."""
    session = begin(shared, path)
    say(session, b"first ")
    eventually(lambda: stored(shared, path[1:]) == 6)
    with Wire(shared, path) as follower:
        assert follower.join() == b"first "
        say(session, b"second")
        assert follower.message().data == b"second"
        finish(session)
        assert follower.live() == b""


def test_01_a_live_body(shared: Daemon, path: str) -> None:
    """The option: 200 and a body that grows, also for a handshake; it ends with the session."""
    with Wire(shared, path, APPEND) as wire:
        wire.say(b"history ")
        eventually(lambda: stored(shared, path[1:]) == 8)
        with shared.connect(
            "\r\n".join([f"GET {path}?live HTTP/1.1", "Host: localhost", FOLLOW, *handshake(),
                         "", ""]).encode()
        ) as sock:  # fmt: skip
            eventually(lambda: readers(shared, path[1:]) == 1)
            wire.say(b"live")
            wire.close()
            data = b""
            while chunk := sock.recv(65536):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        assert b"Transfer-Encoding: chunked" in head
        assert body == b"8\r\nhistory \r\n4\r\nlive\r\n0\r\n\r\n"
    assert ask(shared, f"{path}?live", FOLLOW).body == b"history live"


def test_a_follower_may_speak(shared: Daemon, path: str) -> None:
    """Messages are dropped, a ping is answered, CLOSE ends it at once."""
    with Wire(shared, path, APPEND) as wire, Wire(shared, path) as follower:
        follower.join()
        follower.say(b"whatever")
        follower.say(b"?", PING)
        assert follower.message() == Frame(10, b"?")
        wire.say(b"still there")
        assert follower.message().data == b"still there"
        assert follower.close(1000).op == CLOSE
        eventually(lambda: readers(shared, path[1:]) == 0)
        wire.say(b"!")
        wire.close()


def test_silence_is_broken_by_pings(shared: Daemon, path: str) -> None:
    """About every three seconds, so that no proxy cuts the line."""
    with Wire(shared, path, APPEND), Wire(shared, path) as follower:
        follower.join()
        assert [follower.read() for _ in range(2)] == [Frame(PING, b"")] * 2


def test_curl_follows_the_same(shared: Daemon, path: str) -> None:
    """One log, whatever protocol it is read by."""
    with Wire(shared, path, APPEND) as wire:
        wire.say(b"hello")
        wire.close()
    assert curl(shared.url(path)).stdout == b"hello"
