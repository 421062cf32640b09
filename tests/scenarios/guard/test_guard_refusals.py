"""A refusal does not wait for the body, does not read it, and says in words what is wrong."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Daemon, curl, eventually, read_all
from tests.scenarios.answers import assert_refused, parse, raw, upload
from tests.scenarios.peers import MIB, key_of

PROMISED = 100 * 10**9


@pytest.fixture(scope="module")
def bounded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that takes bodies of a megabyte, and has one."""
    arguments = ["--max-body-size", "1M", "--retention", "1h", "--wait", "0"]
    daemon = Daemon(arguments, tmp_path_factory.mktemp("bounded"))
    upload(daemon, "/taken", b"first")
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


REFUSED = {
    "too large": (413, ["PUT /k HTTP/1.1"]),
    "in use": (409, ["PUT /taken HTTP/1.1", "Transfer-Encoding: chunked"]),
    "reserved": (400, ["PUT /help HTTP/1.1"]),
    "bad key": (400, ["PUT /a//b HTTP/1.1"]),
    "no method": (405, ["PATCH /k HTTP/1.1"]),
    "no such page": (404, ["GET /favicon.ico HTTP/1.1"]),
    "forwarded": (
        403,
        ["PUT /k HTTP/1.1", "Transfer-Encoding: chunked", "X-Forward-Url: http://a.example/"],
    ),
    "expectation": (417, ["PUT /k HTTP/1.1", "Transfer-Encoding: chunked", "Expect: x"]),
    "condition": (412, ["PUT /k HTTP/1.1", "If-Match: *"]),
    "other host": (421, ["PUT /k HTTP/1.1", "Host: evil.example"]),
    "broken head": (400, ["PUT /k HTTP/1.1", "Content-Length : 5"]),
    "version": (505, ["PUT /k HTTP/2.0"]),
    "file-pipe, in use": (409, ["PUT /-/file-pipe/taken HTTP/1.1", "Transfer-Encoding: chunked"]),
    "file-pipe, too large": (413, ["PUT /-/file-pipe/k HTTP/1.1"]),
}


def flood(sock: socket.socket, piece: bytes) -> None:
    """Send for as long as the daemon lets us."""
    with contextlib.suppress(OSError):
        while True:
            sock.sendall(piece)


def refusal(daemon: Daemon, case: str, *, send: bool) -> bytes:
    """All that the daemon answers to a case, whose body is sent without an end, or not at all."""
    _, (line, *headers) = REFUSED[case]
    piece = bytes(65536)
    if any("chunked" in header for header in headers):
        piece = b"10000\r\n" + piece + b"\r\n"
    else:
        headers.append(f"Content-Length: {PROMISED}")
    with daemon.connect(raw(line, *headers, "Connection: keep-alive")) as sock:
        if not send:
            return read_all(sock)
        with concurrent.futures.ThreadPoolExecutor(1) as sending:
            sent = sending.submit(flood, sock, piece)
            answer = read_all(sock)
            sent.result(30)
        return answer


@pytest.mark.parametrize("send", [True, False], ids=["sends", "waits"])
def test_an_endless_body(bounded: Daemon, *, send: bool) -> None:
    """Whoever promises 100 GB gets the answer, and then the end, whether it sends them or not."""
    ask = functools.partial(refusal, bounded, send=send)
    with concurrent.futures.ThreadPoolExecutor(len(REFUSED)) as pool:
        for case, data in zip(REFUSED, pool.map(ask, REFUSED), strict=True):
            answer = parse(data)
            assert answer.status == REFUSED[case][0], case
            assert answer.text.count("\n") <= 1, case
    state = bounded.state()
    assert state["bytes_in"] == state["memory"]["used"] == len(b"first")
    assert state["disk"]["used"] == 0


def test_curl_shows_the_sentence(bounded: Daemon) -> None:
    """Without Expect curl is in the middle of its upload, and still has the answer to show."""
    done = curl("-T", "-", "-H", "Expect:", bounded.url("/taken"), input=bytes(8 * MIB))
    assert done.stdout == b"key already exists\n", done.stderr
    assert curl(bounded.url("/taken")).stdout == b"first"


def test_a_body_that_a_get_does_not_need(bounded: Daemon) -> None:
    """The body of a GET is nobody's; the answer comes, and the connection ends."""
    request = raw("GET /taken HTTP/1.1", f"Content-Length: {PROMISED}", "Connection: keep-alive")
    answer = parse(bounded.talk(request))
    assert (answer.status, answer.body) == (200, b"first")


def test_a_refusal_in_the_middle(bounded: Daemon) -> None:
    """A body that turns out too large is not read on."""
    with (
        bounded.connect(raw("PUT /mid HTTP/1.1", "Transfer-Encoding: chunked")) as sock,
        concurrent.futures.ThreadPoolExecutor(1) as sending,
    ):
        sent = sending.submit(flood, sock, b"10000\r\n" + bytes(65536) + b"\r\n")
        assert_refused(parse(read_all(sock)), 413, "limit of 1048576 bytes")
        sent.result(30)
    assert key_of(bounded, "mid") is None
    eventually(lambda: bounded.state()["memory"]["used"] == len(b"first"))


SENTENCES = {
    ("GET", "/none"): "key not found",
    ("PUT", "/taken"): "key already exists",
    ("PUT", "/"): "missing key in path",
    ("PUT", "/help"): "this name is reserved",
    ("PUT", "/a//b"): "key has an empty segment",
    ("GET", "/favicon.ico"): "this name is reserved; nothing is here in this version",
    ("GET", "/-/none/k"): "there is no such protocol under /-/",
    ("PATCH", "/k"): "PATCH is not supported here",
    ("TRACE", "/help"): "only GET is supported here",
    ("GET", "/k?n=0"): "n is not a whole number from 1 to 64",
    ("GET", "/k?wait=x"): "wait is not a duration such as 30, 30s, 5m or 1.5h",
    ("GET", "/k?%"): "query has a percent sign that begins no escape",
}


@pytest.mark.parametrize("request_", SENTENCES, ids=" ".join)
def test_the_sentence(bounded: Daemon, request_: tuple[str, str]) -> None:
    """What is wrong is said in words, as text that no browser takes for a page."""
    method, target = request_
    answer = parse(bounded.talk(raw(f"{method} {target} HTTP/1.1", "Content-Length: 0")))
    assert_refused(answer, answer.status)
    assert 400 <= answer.status < 500
    assert answer.text == SENTENCES[request_] + "\n"
    assert answer["Server"] == "filepipe"


def test_each_request_has_a_line_and_an_id(bounded: Daemon) -> None:
    """What the client was told can be found in the log, without its query."""
    answer = parse(bounded.talk(raw("GET /logged?wait=x&token=ZQX HTTP/1.1")))

    def lines() -> list[Any]:
        return [line for line in bounded.log() if line.get("request_id") == answer["X-Request-Id"]]

    eventually(lines)
    assert [(line["path"], line["status"]) for line in lines()] == [("/logged", 400)]
    assert "ZQX" not in json.dumps(bounded.log())
