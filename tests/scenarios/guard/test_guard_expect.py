"""Expect: 100-continue is an offer to wait; nobody is invited to send what will be refused."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually, read_all, read_until
from tests.scenarios.answers import assert_refused, parse, raw, talk, upload
from tests.scenarios.peers import MIB, body_of, key_of, sha

Start = Callable[..., Daemon]
INVITED = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = "Expect: 100-continue"


@pytest.fixture(scope="module", params=["relay", "no-relay"])
def picky(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Daemon]:
    """A daemon with every limit that an upload can meet."""
    arguments = [f"--{request.param}", "--max-body-size", "4M", "--max-keys", "3", "--wait", "0",
                 "--retention", "1h", "--allow-delete"]  # fmt: skip
    daemon = Daemon(arguments, tmp_path_factory.mktemp("picky"))
    yield daemon
    daemon.kill()
    daemon.assert_clean_log()


@pytest.fixture
def free(picky: Daemon) -> Iterator[Daemon]:
    """The same without a key."""
    yield picky
    for entry in picky.state()["keys"]:
        curl("-X", "DELETE", picky.url(f"/{entry['key']}"))


@pytest.mark.parametrize("framing", ["Content-Length: 5", f"Content-Length: {3 * MIB}",
                                     "Transfer-Encoding: chunked"])  # fmt: skip
@pytest.mark.parametrize("expect", [EXPECT, "expect: 100-Continue"])
def test_an_upload_that_is_welcome(free: Daemon, framing: str, expect: str) -> None:
    """The invitation comes when the key is taken, before a byte of the body; then the answer."""
    with free.connect(raw("PUT /k HTTP/1.1", framing, expect)) as sock:
        assert read_until(sock, b"\r\n\r\n") == INVITED
        assert (key_of(free, "k") or {})["state"] == "writing"
        if framing.startswith("Transfer"):
            body, sent = b"hello", b"5\r\nhello\r\n0\r\n\r\n"
        else:
            body = sent = body_of(int(framing.partition(": ")[2]))
        sock.sendall(sent)
        answer = parse(read_all(sock))
    assert (answer.status, answer.text) == (200, "http://localhost/k\n")
    assert sha(curl(free.url("/k")).stdout) == sha(body)


REFUSED = {
    "in use": (409, ["PUT /taken HTTP/1.1", "Content-Length: 5"]),
    "in use, chunked": (409, ["PUT /taken HTTP/1.1", "Transfer-Encoding: chunked"]),
    "too large": (413, ["PUT /k HTTP/1.1", "Content-Length: 4194305"]),
    "reserved": (400, ["PUT /help HTTP/1.1", "Content-Length: 5"]),
    "no key": (400, ["PUT / HTTP/1.1", "Content-Length: 5"]),
    "bad key": (400, ["PUT /a//b HTTP/1.1", "Content-Length: 5"]),
    "bad query": (400, ["PUT /k?max-age=x HTTP/1.1", "Content-Length: 5"]),
    "no such protocol": (400, ["PUT /-/none/k HTTP/1.1", "Content-Length: 5"]),
    "forwarded": (
        403,
        ["PUT /k HTTP/1.1", "Content-Length: 5", "X-Forward-Url: http://a.example/"],
    ),
    "no method": (405, ["PATCH /k HTTP/1.1", "Content-Length: 5"]),
    "nobody there": (404, ["GET /k HTTP/1.1", "Content-Length: 5"]),
    "condition": (412, ["PUT /k HTTP/1.1", "Content-Length: 5", "If-Match: *"]),
    "part": (409, ["PUT /k HTTP/1.1", "Content-Length: 5", "Content-Range: bytes 5-9/10"]),
    "digest": (400, ["PUT /k HTTP/1.1", "Content-Length: 5", "Want-Repr-Digest: x"]),
    "other kind": (400, ["PUT /k?append=1 HTTP/1.1", "Content-Length: 5"]),
    "other host": (421, ["PUT /k HTTP/1.1", "Content-Length: 5", "Host: evil.example"]),
}


def test_an_upload_that_is_not(free: Daemon) -> None:
    """The refusal comes instead of the invitation, and the connection ends: no body will follow."""
    upload(free, "/taken", b"first")

    def refusal(case: str) -> bytes:
        _, (line, *headers) = REFUSED[case]
        return free.talk(raw(line, *headers, EXPECT, "Connection: keep-alive"))

    with concurrent.futures.ThreadPoolExecutor(len(REFUSED)) as pool:
        for case, data in zip(REFUSED, pool.map(refusal, REFUSED), strict=True):
            assert b"100 Continue" not in data, case
            answer = parse(data)
            assert_refused(answer, REFUSED[case][0])
            assert answer["Connection"] == "close", case
    assert key_of(free, "k") is None


def test_no_more_keys(free: Daemon) -> None:
    """503 and when to come again, before the body."""
    uploads = [
        free.connect(raw(f"PUT /k{i} HTTP/1.1", "Content-Length: 9", EXPECT)) for i in range(3)
    ]
    for sock in uploads:
        assert read_until(sock, b"\r\n\r\n") == INVITED
    answer = talk(free, raw("PUT /k HTTP/1.1", "Content-Length: 5", EXPECT))
    assert_refused(answer, 503, "too many keys")
    assert answer["Retry-After"] == "5"
    for sock in uploads:
        sock.close()
    eventually(lambda: not free.state()["channels"])


def test_no_more_memory(start: Start) -> None:
    """A body for which there is no room is refused before it is sent."""
    daemon = start("--max-memory", "1M", "--max-disk", "1M")
    answer = talk(daemon, raw("PUT /k HTTP/1.1", "Content-Length: 9000000", EXPECT))
    assert_refused(answer, 503, "quota")
    assert answer["Retry-After"] == "5"
    state = daemon.state()
    assert (state["channels"], state["memory"]["used"], state["disk"]["used"]) == ({}, 0, 0)
    daemon.assert_clean_log()


@pytest.mark.parametrize("expect", ["200-ok", "100-continue, 200-ok", "100-continue;q=1", ""])
def test_another_expectation(free: Daemon, expect: str) -> None:
    """417 for what we do not know."""
    answer = talk(
        free, raw("PUT /k HTTP/1.1", "Content-Length: 5", f"Expect: {expect}", body=b"hello")
    )
    assert_refused(answer, 417, "100-continue")
    assert key_of(free, "k") is None


def test_1_0_is_not_invited(free: Daemon) -> None:
    """HTTP/1.0 has no 100 (RFC 9110, 10.1.1)."""
    data = free.talk(raw("PUT /k HTTP/1.0", "Content-Length: 5", EXPECT, body=b"hello"))
    assert b"100 Continue" not in data
    assert parse(data).status == 200


def test_a_sender_that_does_not_wait(free: Daemon) -> None:
    """The body may come at once all the same."""
    answer = talk(free, raw("PUT /k HTTP/1.1", "Content-Length: 5", EXPECT, body=b"hello"))
    assert answer.status == 200
    assert curl(free.url("/k")).stdout == b"hello"


def test_a_form_is_invited(free: Daemon) -> None:
    """curl waits before it sends a large form; it must not wait in vain."""
    body = body_of(2 * MIB)
    form = ("--form", "f=@-;filename=f.bin", "--header", EXPECT, "--expect100-timeout", "40")
    done = curl("-v", "-X", "PUT", *form, free.url("/k"), input=body)
    assert done.stdout == f"{free.url('/k')}\n".encode(), done.stderr
    assert b"< HTTP/1.1 100 Continue" in done.stderr
    assert sha(curl(free.url("/k")).stdout) == sha(body)


def test_curl_sends_nothing_that_is_refused(free: Daemon, tmp_path: Path) -> None:
    """With real curl: a key in use costs no byte of a large upload."""
    upload(free, "/k", b"first")
    large = tmp_path / "large"
    large.write_bytes(bytes(3 * MIB))
    wait = ("--header", EXPECT, "--expect100-timeout", "40", "--write-out", " %{size_upload}")
    assert curl("-T", str(large), *wait, free.url("/k")).stdout == b"key already exists\n 0"
