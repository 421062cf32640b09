"""`Expect: 100-continue` over file-pipe: the body is asked for once the key is won, or never."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import curl, read_all, read_until
from tests.scenarios.file_pipe.front import Answer, Front, file_of, first_line
from tests.scenarios.peers import MIB, body_of, sha

BODY = body_of(3 * MIB)


def expecting(front: Front, method: str, path: str, *headers: str) -> str:
    """How the answer begins that a sender gets who waits to be asked for 5 bytes."""
    lines = (f"{method} {{base}}{path} HTTP/1.1", "Content-Length: 5", *headers)
    with front.begin("\n".join((*lines, "Expect: 100-continue"))) as sock:
        return first_line(sock)


def test_the_body_is_asked_for_once_the_key_is_won(front: Front, key: str) -> None:
    """`100 Continue` means that the key is ours: it comes at once, and a rival gets 409."""
    with front.begin(
        f"PUT {{base}}/{key} HTTP/1.1\nContent-Length: 5\nExpect: 100-continue"
    ) as sock:
        assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert front.state_of(key) == "writing"
        assert front.put(key, b"rival").status == 409
        sock.sendall(b"hello")
        assert read_all(sock).startswith(b"HTTP/1.1 200 ")
    assert front.curl(key).body == b"hello"


def test_refusals_come_instead_of_the_100(front: Front, key: str) -> None:
    """Who is refused is never asked for the body."""
    front.put(key, b"first")
    forward = "X-Forward-Url: http://127.0.0.1/"
    assert expecting(front, "PUT", "/") == "HTTP/1.1 400 Bad Request"
    assert expecting(front, "PUT", "/" + "k" * 513) == "HTTP/1.1 400 Bad Request"
    assert expecting(front, "PUT", f"/{key}x", forward) == "HTTP/1.1 403 Forbidden"
    assert expecting(front, "POST", f"/{key}") == "HTTP/1.1 405 Method Not Allowed"
    assert expecting(front, "PUT", f"/{key}") == "HTTP/1.1 409 Conflict"


def test_a_503_comes_instead_of_the_100(draining: Front) -> None:
    """A daemon that drains asks for no body."""
    assert expecting(draining, "PUT", "/new") == "HTTP/1.1 503 Service Unavailable"


def test_http_1_0_is_never_asked(front: Front, key: str) -> None:
    """A client of HTTP/1.0 does not know interim answers."""
    with front.begin(
        f"PUT {{base}}/{key} HTTP/1.0\nContent-Length: 5\nExpect: 100-continue"
    ) as sock:
        sock.sendall(b"hello")
        assert read_all(sock).startswith(b"HTTP/1.0 200 ")


def test_curl_waits_to_be_asked(each_front: Front, key: str, tmp_path: Path) -> None:
    """What curl expects before a large upload it gets, whoever moves the body."""
    done = curl(
        "--verbose", "--expect100-timeout", "20", "--header", "Expect: 100-continue",
        "--upload-file", file_of(tmp_path, BODY), each_front.url(key),
    )  # fmt: skip
    log = done.stderr.decode()
    assert log.index("< HTTP/1.1 100 Continue") < log.index("< HTTP/1.1 200 OK")
    assert sha(each_front.curl(key).body) == sha(BODY)


@pytest.mark.parametrize("framing", ["length", "chunked"])
@pytest.mark.parametrize("expect", ["Expect:", "Expect: 100-continue"])
def test_the_body_of_a_refused_upload_is_not_read(
    front: Front, key: str, tmp_path: Path, framing: str, expect: str
) -> None:
    """curl sees the 409 of a large upload, and the daemon has taken none of its bytes."""
    front.put(key, b"first")
    before = front.daemon.state()["bytes_in"]
    how = ("--header", "Transfer-Encoding: chunked") if framing == "chunked" else ()
    body = file_of(tmp_path, bytes(20 * MIB))
    done = curl("--include", "--upload-file", body, "--header", expect, *how, front.url(key))
    Answer.parse(done.stdout).assert_refusal(409, "key already exists")
    assert front.daemon.state()["bytes_in"] == before
