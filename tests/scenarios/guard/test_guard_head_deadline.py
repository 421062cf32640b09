"""A head has its time, and silence costs nobody a connection for ever."""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.conftest import Daemon, curl, eventually, read_all, read_until, start_curl
from tests.scenarios.answers import assert_refused, parse, raw, upload
from tests.scenarios.peers import stored

HALF = b"GET /k HTTP/1.1\r\nHost: local"
KEEP = "Connection: keep-alive"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that gives a head half a second."""
    arguments = ["--head-timeout", "0.5", "--keepalive-timeout", "1", "--wait", "50"]
    daemon = Daemon(arguments, tmp_path_factory.mktemp("strict"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


def assert_late(data: bytes) -> None:
    """408, one sentence, and the end."""
    answer = parse(data)
    assert answer.status == 408
    assert answer.text == "the request's head did not arrive within its time\n"
    assert answer["Connection"] == "close"


def test_half_a_head(strict: Daemon) -> None:
    """Whoever stops in the middle is told, and the connection ends; wherever it was."""
    halves = [b"G", b"GET", HALF, b"GET /k HTTP/1.1\r\n", HALF + b"host\r\n", b"\r\n", b"P",
              b"PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"]  # fmt: skip
    with concurrent.futures.ThreadPoolExecutor(len(halves)) as pool:
        for answer in pool.map(strict.talk, halves):
            assert_late(answer)


def test_a_head_that_drips(strict: Daemon) -> None:
    """One byte now and then does not prolong it."""
    with strict.connect() as sock:
        sock.settimeout(0.1)
        answer = b""
        dripping = iter(HALF + b"host\r\nX: " + b"y" * 1000)
        while not answer:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(bytes([next(dripping)]))
            with contextlib.suppress(TimeoutError):
                answer = sock.recv(65536)
        assert_late(answer)


def test_no_word_at_all(strict: Daemon) -> None:
    """A connection on which nobody says anything just closes: browsers open some to spare."""
    assert strict.talk(b"") == b""


@pytest.mark.parametrize("header", ["Accept: */*", "X: y"], ids=["plain", "general"])
def test_silence_after_an_answer(strict: Daemon, header: str) -> None:
    """A kept connection closes without a stray answer."""
    answer = parse(strict.talk(raw("GET /version HTTP/1.1", KEEP, header)))
    assert answer.status == 200
    assert b"HTTP/" not in answer.body


@pytest.mark.parametrize("header", ["Accept: */*", "X: y"], ids=["plain", "general"])
def test_half_a_second_head(strict: Daemon, header: str) -> None:
    """The next head of a connection has its time, too."""
    with strict.connect(raw("GET /version HTTP/1.1", KEEP, header)) as sock:
        read_until(sock, b"filepipe ")
        sock.sendall(HALF)
        rest = read_all(sock)
    assert_late(rest[rest.index(b"HTTP/") :])


@pytest.mark.parametrize("framing", ["Content-Length: 8", "Transfer-Encoding: chunked"])
def test_a_body_may_take_longer(strict: Daemon, framing: str) -> None:
    """The deadline is that of heads: a slow body is a live pipe."""
    with strict.connect(raw("PUT /slow?max-age=0 HTTP/1.1", framing)) as sock:
        time.sleep(1)
        if framing.endswith("chunked"):
            sock.sendall(b"5\r\nhello\r\n")
            eventually(lambda: stored(strict, "slow") == 5)
            time.sleep(0.7)
            sock.sendall(b"0\r\n\r\n")
        else:
            sock.sendall(b"hell")
            time.sleep(0.7)
            sock.sendall(b"o, w")
        assert parse(read_all(sock)).status == 200


def test_waiting_for_a_writer_may_take_longer(strict: Daemon) -> None:
    """Nor does it hold for an answer."""
    waiting = start_curl("--include", strict.url("/late"))
    eventually(lambda: strict.state()["waiting_readers"] == 1)
    time.sleep(1.2)
    curl("-T", "-", strict.url("/late"), input=b"hello")
    answer = parse(waiting.communicate(timeout=30)[0])
    assert (answer.status, answer.body) == (200, b"hello")


def test_half_a_head_behind_a_request_that_waits(strict: Daemon) -> None:
    """What comes half while another request is served ends the connection after that."""
    with strict.connect(raw("GET /other HTTP/1.1", KEEP) + HALF) as sock:
        eventually(lambda: strict.state()["waiting_readers"] == 1)
        upload(strict, "/other", b"hello")
        answer = parse(read_all(sock))
        assert answer.status == 200
        assert answer.body.startswith(b"hello")
        assert answer.body[5:] == b"" or answer.body[5:].startswith(b"HTTP/1.1 408 ")


def test_many_half_heads(strict: Daemon) -> None:
    """A hundred clients that do not go on keep no other one waiting, and are gone in the end."""
    with contextlib.ExitStack() as open_:
        slow = [open_.enter_context(strict.connect(HALF)) for _ in range(100)]
        assert curl(strict.url("/version")).stdout.startswith(b"filepipe ")
        for sock in slow:
            assert_late(read_all(sock))


def test_a_refusal_is_no_late_head(strict: Daemon) -> None:
    """An answer to a broken head is the only one."""
    answer = parse(strict.talk(b"GET /k HTTP/1.1\r\nHost: localhost\r\nbroken\r\n\r\n"))
    assert answer.status == 400
    assert answer.text.count("\n") == 1
    assert_refused(parse(strict.talk(raw("GET /a//b HTTP/1.1"))), 400)
