"""PUT over file-pipe: which answer, in which order of checks, and when a body is asked for."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import eventually, start_curl
from tests.scenarios.file_pipe.front import PREFIX, Answer, Front, file_of
from tests.scenarios.peers import MIB, body_of, sha

OTHER_METHODS = ["HEAD", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND"]
BODY = body_of(3 * MIB)
SHUTTING_DOWN = "server is shutting down, not accepting new uploads"


# -- what is stored


@pytest.mark.parametrize("framing", [(), ("--header", "Transfer-Encoding: chunked")])
@pytest.mark.parametrize("size", [1, 5000, len(BODY)])
def test_a_complete_upload(
    front: Front, key: str, tmp_path: Path, size: int, framing: tuple[str, ...]
) -> None:
    """The answer to a whole upload is an empty 200 without a type, and all of it is stored."""
    answer = front.curl(key, "--upload-file", file_of(tmp_path, BODY[:size]), *framing)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "0"
    assert answer.headers["connection"] == "close"
    assert "content-type" not in answer.headers
    assert "date" in answer.headers
    assert sha(front.curl(key).body) == sha(BODY[:size])


@pytest.mark.parametrize("framing", [(), ("Content-Length: 0",)], ids=["none", "zero"])
def test_an_empty_object(front: Front, key: str, framing: tuple[str, ...]) -> None:
    """No body is an empty object, whether its length is announced or not."""
    assert front.ask("PUT", f"/{key}", *framing).status == 200
    answer = front.curl(key)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["content-length"] == "0"


def test_an_empty_object_in_chunks(front: Front, key: str) -> None:
    """A chunked body may be empty as well."""
    body = b"0\r\n\r\n"
    assert front.ask("PUT", f"/{key}", "Transfer-Encoding: chunked", body=body).status == 200
    assert front.curl(key).body == b""


def test_the_answer_comes_after_the_last_byte(front: Front, key: str) -> None:
    """Nobody is told 200 before everything is stored; then the connection ends."""
    with front.upload(key, 6) as upload:
        upload.send(b"abc")
        eventually(lambda: front.stored(key) == 3)
        upload.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            upload.sock.recv(1)
        upload.sock.settimeout(30)
        assert upload.finish(b"def").startswith(b"HTTP/1.1 200 ")


def test_a_writer_needs_no_reader(each_front: Front, key: str, tmp_path: Path) -> None:
    """An upload larger than every buffer ends without anybody who reads."""
    assert each_front.curl(key, "--upload-file", file_of(tmp_path, BODY)).status == 200
    assert each_front.stored(key) == len(BODY)


# -- refusals, and their order


@pytest.mark.parametrize("method", OTHER_METHODS)
def test_other_methods(front: Front, key: str, method: str) -> None:
    """Whatever is neither PUT nor GET is refused, and the answer says what is not."""
    answer = front.ask(method, f"/{key}", "Content-Length: 0")
    text = "" if method == "HEAD" else "only PUT and GET are supported"
    answer.assert_refusal(405, text)
    assert answer.headers["allow"] == "GET, PUT"


@pytest.mark.parametrize("method", ["PUT", "GET", *OTHER_METHODS])
@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/", "missing key in path"),
        ("///", "missing key in path"),
        ("/?key=k", "missing key in path"),
        ("/" + "k" * 513, "key exceeds 512 bytes"),
    ],
)
def test_the_key_is_checked_before_the_method(
    front: Front, method: str, path: str, text: str
) -> None:
    """Without a key that could be used nothing else matters, not even the method."""
    answer = front.ask(method, path, "Content-Length: 0")
    answer.assert_refusal(400, "" if method == "HEAD" else text)


def test_a_form_by_post(front: Front, key: str) -> None:
    """`curl -F` alone is a POST."""
    assert front.curl(key, "--form", "file=text").status == 405


@pytest.mark.parametrize("state", ["writing", "finished"])
def test_a_key_in_use(front: Front, key: str, state: str) -> None:
    """A key is taken while it is uploaded and while it is kept; the first object stays."""
    with front.upload(key, 3) as upload:
        if state == "finished":
            upload.finish(b"one")
        eventually(lambda: front.state_of(key) == state)
        front.put(key, b"two").assert_refusal(409, "key already exists")
        front.ask("POST", f"/{key}").assert_refusal(405, "only PUT and GET are supported")
        if state == "writing":
            assert upload.finish(b"one").startswith(b"HTTP/1.1 200 ")
    assert front.curl(key).body == b"one"


def test_ten_writers_at_once(front: Front, key: str) -> None:
    """Of ten writers exactly one gets the key, and what it sent is what is stored."""
    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda n: front.put(key, b"%d" % n), range(10)))
    statuses = [answer.status for answer in answers]
    assert sorted(statuses) == [200] + [409] * 9
    assert front.curl(key).body == b"%d" % statuses.index(200)


def test_the_order_of_checks_while_draining(draining: Front) -> None:
    """The key, then the method, then the drain, then whether the key is in use."""
    for front in (draining, Front(draining.daemon, 1, PREFIX)):
        front.put("", b"x").assert_refusal(400, "missing key in path")
        front.put("k" * 513, b"x").assert_refusal(400, "key exceeds 512 bytes")
        front.ask("POST", "/k").assert_refusal(405, "only PUT and GET are supported")
        front.put("new", b"x").assert_refusal(503, SHUTTING_DOWN)
        front.put("busy", b"x").assert_refusal(503, SHUTTING_DOWN)


@pytest.mark.parametrize("name", ["health", "ready", "state", "metrics"])
def test_the_daemons_own_paths(root: Front, name: str) -> None:
    """At the root four names are the daemon's: a GET is answered by it, a PUT refused."""
    assert root.ask("GET", f"/{name}", "Connection: close").status == 200
    root.put(name, b"x").assert_refusal(400, "this key is the daemon's own")
    root.put(f"/{name}", b"x").assert_refusal(400, "this key is the daemon's own")
    under_prefix = Front(root.daemon, 1, PREFIX)
    assert under_prefix.put(name, name.encode()).status == 200
    assert under_prefix.curl(name).body == name.encode()


@pytest.mark.parametrize(
    ("header", "status", "text"),
    [
        ("Content-Range: bytes 0-4/10", 400, "Content-Range is not supported here"),
        ('If-Match: "x"', 412, "an upload replaces no object, whatever If-Match names"),
        ("Expect: 200-ok", 417, "the only expectation that is met here is 100-continue"),
        ("X-Forward-Url: http://127.0.0.1/", 403, "forwarding is not allowed here"),
    ],
)
def test_what_is_promised_to_nobody(
    front: Front, key: str, header: str, status: int, text: str
) -> None:
    """A header that asks for what is not done is refused, and the key stays free."""
    front.put(key, b"hello", header).assert_refusal(status, text)
    assert front.stored(key) == -1


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: -1",
        "Content-Length: 5x",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Content-Length: 99999999999999999999999",
    ],
)
def test_a_length_that_is_none(front: Front, key: str, framing: str) -> None:
    """A body whose end is in doubt is refused before anything is stored."""
    answer = front.ask("PUT", f"/{key}", framing, body=b"hello")
    assert 400 <= answer.status < 500
    assert front.stored(key) == -1


def test_bad_framing_in_the_middle(front: Front, key: str) -> None:
    """Chunks that cannot be read are the sender's fault: 400, readers cut, the key free."""
    with front.upload(key, None) as upload, front.download(key) as reader:
        upload.send(b"hello")
        assert reader.begin() == 200
        assert reader.take(5) == b"hello"
        upload.sock.sendall(b"zz\r\nnonsense\r\n")
        answer = Answer.parse(upload.answer())
        assert answer.status == 400
        assert answer.body.startswith(b"upload failed: ")
        assert reader.rest() is None
    assert front.stored(key) == -1


def test_a_pipe_of_shell_commands(front: Front, key: str) -> None:
    """`producer | curl -T -` into `curl`, the reader first: how the thing is used."""
    reader = start_curl(front.url(key))
    eventually(lambda: front.waiting() == 1)
    sender = subprocess.run(
        ["curl", "--silent", "--fail", "--upload-file", "-", front.url(key)],
        input=BODY, check=True, timeout=50, capture_output=True,
    )  # fmt: skip
    assert sender.stdout == b""
    got, _ = reader.communicate(timeout=30)
    assert reader.returncode == 0
    assert sha(got) == sha(BODY)


def test_http_2_is_refused(root: Front) -> None:
    """Whoever begins with the preface of HTTP/2 is sent away, not left hanging."""
    answer = root.daemon.talk(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert b" 400 Bad Request\r\n" in answer
