"""Broken requests: each gets its status and one sentence, and nothing behind it is served."""

from __future__ import annotations

import contextlib
import re
import socket

import pytest

from tests.conftest import Daemon, eventually, read_all, read_until
from tests.scenarios.answers import assert_refused, parse, raw
from tests.scenarios.guard.corpus import CASES, CHUNKS, SHORT, Case
from tests.scenarios.peers import MIB, Download, stored

KEEP = "Connection: keep-alive"
GOOD = raw("GET /version HTTP/1.1", KEEP)
STATUS_LINE = re.compile(rb"HTTP/[0-9.]+ [0-9]{3} ")


def check(data: bytes, case: Case) -> None:
    """One answer: the right status, one sentence, nothing of what was sent, no version but ours."""
    assert data.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")), data[:100]
    assert len(STATUS_LINE.findall(data)) == 1, data
    answer = parse(data)
    assert answer.status == case.status
    assert re.fullmatch(r"[^\r\n]{5,100}\n", answer.text)
    assert b"ZQX" not in data
    assert answer["Server"] == "filepipe"


def send(sock: socket.socket, data: bytes) -> None:
    """As far as the daemon listens."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        sock.sendall(data)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_alone(guarded: Daemon, case: Case) -> None:
    """As the first request of a connection; then the connection ends."""
    with guarded.connect() as sock:
        send(sock, case.data)
        check(read_all(sock), case)


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_byte_by_byte(guarded: Daemon, case: Case) -> None:
    """However it is cut up on its way, it is refused alike."""
    with guarded.connect() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(case.data)):
            send(sock, case.data[position : position + 1])
        check(read_all(sock), case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_pipelined(guarded: Daemon, case: Case) -> None:
    """Right behind a good request it is the last that is answered; the good one may go with it."""
    with guarded.connect() as sock:
        send(sock, GOOD + case.data)
        data = read_all(sock)
        if (good := parse(data)).status == 200:
            assert good.body.startswith(b"filepipe ")
            data = good.body[int(good["Content-Length"] or 0) :]
        check(data, case)


@pytest.mark.parametrize("case", SHORT, ids=str)
def test_after_a_small_transfer(guarded: Daemon, case: Case) -> None:
    """On a connection that has served a plain small request it is refused alike."""
    with guarded.connect(b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n") as sock:
        read_until(sock, b"\r\n\r\nkey not found\n")
        send(sock, case.data)
        check(read_all(sock), case)


@pytest.mark.parametrize("case", [case for case in SHORT if case.status == 400], ids=str)
def test_nothing_behind_it_is_served(guarded: Daemon, case: Case) -> None:
    """What stands behind a broken request is never taken for the next one."""
    smuggled = raw("PUT /smuggled HTTP/1.1", "Content-Length: 3", body=b"ZQX")
    with guarded.connect() as sock:
        send(sock, case.data + smuggled)
        check(read_all(sock), case)
    head = parse(guarded.talk(raw("HEAD /smuggled HTTP/1.1")))
    assert head.status == 404


def test_the_daemon_lives(guarded: Daemon) -> None:
    """After all that nothing is held, and nobody is waited for."""
    state = guarded.state()
    assert state["phase"] == "running"
    assert (state["channels"], state["waiting_readers"]) == ({}, 0)
    assert state["memory"]["used"] == state["disk"]["used"] == 0


@pytest.mark.parametrize("case", CHUNKS, ids=str)
def test_a_chunk_that_breaks_later(guarded: Daemon, case: Case) -> None:
    """After a good beginning the sender is told at once, readers are cut, the key is free."""
    head, _, body = case.data.partition(b"\r\n\r\n")
    with guarded.connect(head + b"\r\n\r\n5\r\nfirst\r\n") as sock:
        eventually(lambda: stored(guarded, "ZQX") == 5)
        with Download(guarded, "/ZQX") as reader:
            assert reader.begin() == 200
            send(sock, body)
            answer = parse(read_all(sock))
            assert_refused(answer, case.status, "framing is broken")
            assert reader.rest() is None
    assert stored(guarded, "ZQX") == -1


# -- what is unusual, and right


def test_lines_before_the_first(guarded: Daemon) -> None:
    """Empty lines before a request are skipped (RFC 9112, 2.2)."""
    assert parse(guarded.talk(b"\r\n\r\n" + raw("GET /version HTTP/1.1"))).status == 200


def test_an_absolute_target(guarded: Daemon) -> None:
    """A proxy's form of a target is a path like any other, if it names the host of Host."""
    host = f"Host: localhost:{guarded.address[1]}"
    line = f"GET http://LOCALHOST:{guarded.address[1]}/version HTTP/1.1"
    assert parse(guarded.talk(raw(line, host))).status == 200


@pytest.mark.parametrize("coding", ["Chunked", "CHUNKED", " chunked "])
def test_chunked_in_other_letters(guarded: Daemon, coding: str) -> None:
    """The name of a coding has no case; extensions and trailers of chunks are dropped."""
    body = b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n"
    request = raw("PUT /c?max-age=0 HTTP/1.1", f"Transfer-Encoding: {coding}", body=body)
    assert parse(guarded.talk(request)).status == 200


def test_one_byte_chunks(guarded: Daemon) -> None:
    """A sender that wastes five bytes for each of its own is slow, and right."""
    body = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
    request = raw("PUT /ones?max-age=0 HTTP/1.1", "Transfer-Encoding: chunked", body=body)
    assert parse(guarded.talk(request)).status == 200


def test_a_length_that_no_disk_has(guarded: Daemon) -> None:
    """The largest length there is gets an answer, not a hole in the arithmetic."""
    for length in (2**63 - 1, 2**63, 2**64 - 1):
        request = raw("PUT /huge HTTP/1.1", f"Content-Length: {length}", body=b"x" * MIB)
        with guarded.connect() as sock:
            send(sock, request)
            assert_refused(parse(read_all(sock)), 503, "disk quota exceeded")


def test_a_field_in_other_bytes(guarded: Daemon) -> None:
    """Values that are not ASCII harm nobody who does not read them."""
    request = raw("GET /version HTTP/1.1", "X: \udce9\udcff", 'Cookie: a="\udc80"; ;;=;')
    assert parse(guarded.talk(request)).status == 200
