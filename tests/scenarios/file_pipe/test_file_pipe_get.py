"""GET over file-pipe: the head, the body, and readers that come, wait, stay and go."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path

import pytest

from tests.conftest import curl, eventually, read_all, start_curl
from tests.scenarios.file_pipe.front import Answer, Front, file_of
from tests.scenarios.peers import MIB, Download, body_of, sha

BODY = body_of(3 * MIB)
HALF = len(BODY) // 2


# -- the head


@pytest.mark.parametrize(
    "content_type", ["text/html", "text/plain; charset=utf-8", "image/svg+xml", "x/y"]
)
def test_the_type_is_the_uploaders(front: Front, key: str, content_type: str) -> None:
    """Readers get the type that the uploader gave, whatever it is."""
    front.put(key, b"hello", f"Content-Type: {content_type}")
    assert front.curl(key).headers["content-type"] == content_type


@pytest.mark.parametrize("content_type", [None, "no type", "text/plain\x01", "größe/x", "x/y; a"])
def test_a_type_that_is_none(front: Front, key: str, content_type: str | None) -> None:
    """Without a type that could be sent on, the bytes are just bytes."""
    headers = () if content_type is None else (f"Content-Type: {content_type}",)
    status = front.put(key, b"hello", *headers).status
    if content_type == "text/plain\x01":
        assert status == 400
    else:
        assert front.curl(key).headers["content-type"] == "application/octet-stream"


def test_the_length_is_the_uploaders(front: Front, key: str) -> None:
    """A reader of an upload under way gets the length that was announced."""
    with front.upload(key, 6) as upload, front.download(key) as reader:
        assert reader.begin() == 200
        assert reader.response.headers["Content-Length"] == "6"
        assert reader.response.headers["Transfer-Encoding"] is None
        upload.finish(b"abcdef")
        assert reader.rest() == b"abcdef"


def test_an_unknown_length(front: Front, key: str) -> None:
    """Without a length the body comes in chunks; once it is whole its length is known."""
    with front.upload(key, None) as upload, front.download(key) as reader:
        assert reader.begin() == 200
        assert reader.response.headers["Content-Length"] is None
        assert reader.response.headers["Transfer-Encoding"] == "chunked"
        upload.finish(b"abcdef")
        assert reader.rest() == b"abcdef"
    assert front.curl(key).headers["content-length"] == "6"


@pytest.mark.parametrize("length", [None, 5])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_the_head_comes_at_once(front: Front, key: str, length: int | None, version: str) -> None:
    """A reader learns that the key is there before its first byte is."""
    with front.upload(key, length) as upload:
        eventually(lambda: front.state_of(key) == "writing")
        with front.download(key, version=version) as reader:
            assert reader.begin() == 200
            assert reader.response.headers["Date"]
            upload.finish(b"hello")
            assert reader.rest() == b"hello"


@pytest.mark.parametrize("length", [None, 5])
def test_http_1_0(front: Front, key: str, length: int | None) -> None:
    """An old client gets no chunks: what has no known length ends with the connection."""
    with front.upload(key, length) as upload:
        eventually(lambda: front.state_of(key) == "writing")
        with front.begin(f"GET {{base}}/{key} HTTP/1.0") as sock:
            eventually(lambda: front.readers(key) == 1)
            upload.finish(b"hello")
            answer = Answer.parse(read_all(sock))
    assert answer.body == b"hello"
    assert answer.headers.get("content-length") == (None if length is None else "5")
    assert "transfer-encoding" not in answer.headers


def test_the_query_is_ignored(front: Front, key: str) -> None:
    """A query is no part of the key, and means nothing."""
    assert front.put(f"{key}?max-age=0&n=2", b"hello").status == 200
    assert front.curl(f"{key}?append&wait=0&%zz").body == b"hello"
    assert front.put(f"{key}?other", b"hello").status == 409


@pytest.mark.parametrize("disposition", ["", 'attachment; filename="größe.txt"'])
def test_a_browser_runs_nothing(front: Front, key: str, disposition: str) -> None:
    """Pages and pictures with scripts are saved, or shown in a sandbox, under their own name."""
    headers = (f"Content-Disposition: {disposition}",) if disposition else ()
    front.put(key, b"<script>1</script>", "Content-Type: text/html", *headers)
    answer = front.curl(key)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"].startswith("sandbox;")
    assert answer.headers["content-disposition"] == (disposition or "attachment")


# -- what the original ignores, and we do not


def test_a_range(front: Front, key: str) -> None:
    """A part of an object, as RFC 9110 has it."""
    front.put(key, b"0123456789")
    answer = front.curl(key, "--range", "2-4")
    assert (answer.status, answer.body) == (206, b"234")
    assert answer.headers["content-range"] == "bytes 2-4/10"
    assert front.curl(key, "--range", "10-").status == 416
    etag = front.curl(key).headers["etag"]
    assert front.curl(key, "--range", "2-4", "--header", f"If-Range: {etag}").body == b"234"
    assert front.curl(key, "--range", "2-4", "--header", 'If-Range: "x"').body == b"0123456789"


def test_a_range_of_what_is_growing(front: Front, key: str) -> None:
    """A broken download goes on at its offset while the upload still runs."""
    with front.upload(key, 10) as upload:
        upload.send(b"01234")
        eventually(lambda: front.stored(key) == 5)
        with front.download(key, "Range: bytes=3-") as reader:
            assert reader.begin() == 206
            assert reader.response.headers["Content-Range"] == "bytes 3-9/10"
            assert reader.take(2) == b"34"
            upload.finish(b"56789")
            assert reader.rest() == b"56789"


def test_conditions(front: Front, key: str) -> None:
    """The ETag names the upload."""
    front.put(key, b"hello")
    etag = front.curl(key).headers["etag"]
    answer = front.ask("GET", f"/{key}", f"If-None-Match: {etag}")
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["connection"] == "close"
    assert front.ask("GET", f"/{key}", 'If-Match: "x"').status == 412


# -- the connection


def test_a_second_request_is_never_answered(front: Front, key: str) -> None:
    """Each connection carries one request, however much the client wants more."""
    front.put(key, b"hello")
    one = f"GET {front.path(key)} HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    answer = Answer.parse(front.daemon.talk(one.encode() * 2, front.listener))
    assert answer.headers["connection"] == "close"
    assert answer.body == b"hello"


@pytest.mark.parametrize("length", [None, 5], ids=["chunked", "length"])
def test_every_answer_closes(front: Front, key: str, length: int | None) -> None:
    """Also one whose head goes out before the body is known says so."""
    with front.upload(key, length) as upload, front.download(key) as reader:
        assert reader.begin() == 200
        assert reader.response.headers["Connection"] == "close"
        upload.finish(b"hello")
        assert reader.rest() == b"hello"
        assert reader.sock.recv(1) == b""


def test_a_large_answer_closes(each_front: Front, key: str, tmp_path: Path) -> None:
    """And so does one that the kernel may send."""
    each_front.curl(key, "--upload-file", file_of(tmp_path, BODY))
    with each_front.download(key) as reader:
        assert reader.begin() == 200
        assert reader.response.headers["Connection"] == "close"
        assert sha(reader.rest() or b"") == sha(BODY)
        assert reader.sock.recv(1) == b""


def test_a_get_with_a_body(front: Front, key: str) -> None:
    """A body that has no business there changes nothing."""
    front.put(key, b"hello")
    answer = front.ask("GET", f"/{key}", "Content-Length: 3", body=b"abc")
    assert (answer.status, answer.body) == (200, b"hello")


# -- readers


def test_waiting_readers_are_let_in(front: Front, key: str) -> None:
    """Everybody who waits for a key gets it, as soon as somebody begins to write it."""
    with contextlib.ExitStack() as transfers:
        waiting = [transfers.enter_context(front.download(key)) for _ in range(10)]
        eventually(lambda: front.waiting() == 10)
        upload = transfers.enter_context(front.upload(key, None))
        for reader in waiting:
            assert reader.begin() == 200
        assert front.waiting() == 0
        upload.finish(b"hello")
        assert [reader.rest() for reader in waiting] == [b"hello"] * 10


def test_a_reader_waits_for_its_own_key(front: Front, key: str) -> None:
    """Other keys come and go meanwhile."""
    with front.download(key) as reader:
        eventually(lambda: front.waiting() == 1)
        front.put(f"{key}/other", b"other")
        assert front.waiting() == 1
        front.put(key, b"hello")
        assert reader.begin() == 200
        assert reader.rest() == b"hello"


@pytest.mark.parametrize("length", [None, len(BODY)], ids=["chunked", "length"])
def test_readers_of_all_times(each_front: Front, key: str, length: int | None) -> None:
    """Before, during and after: each reader gets everything from the first byte."""
    front = each_front
    with front.download(key) as before:
        eventually(lambda: front.waiting() == 1)
        with front.upload(key, length) as upload:
            upload.send(BODY[:HALF])
            with front.download(key) as during:
                assert during.begin() == 200
                upload.finish(BODY[HALF:])
                assert sha(during.rest() or b"") == sha(BODY)
        assert before.begin() == 200
        assert sha(before.rest() or b"") == sha(BODY)
    assert sha(front.curl(key).body) == sha(BODY)


@pytest.mark.parametrize("length", [None, len(BODY)], ids=["chunked", "length"])
def test_a_reader_that_leaves(each_front: Front, key: str, length: int | None) -> None:
    """Nobody else notices a reader that leaves, or one that takes nothing."""
    front = each_front
    with (
        front.upload(key, length) as upload,
        front.download(key) as leaver,
        Download(front.daemon, f"/{key}", receive_buffer=4096) as stuck,
        front.download(key) as reader,
    ):
        upload.send(BODY[:HALF])
        assert [peer.begin() for peer in (leaver, stuck, reader)] == [200] * 3
        leaver.take(1000)
        leaver.reset()
        assert upload.finish(BODY[HALF:]).startswith(b"HTTP/1.1 200 ")
        assert sha(reader.rest() or b"") == sha(BODY)


def test_curl_goes_on_where_it_stopped(front: Front, key: str, tmp_path: Path) -> None:
    """`curl -C -` completes a download that was cut."""
    front.curl(key, "--upload-file", file_of(tmp_path, BODY))
    partial = tmp_path / "partial"
    partial.write_bytes(BODY[:HALF])
    done = curl("--continue-at", "-", "--output", str(partial), front.url(key))
    assert done.returncode == 0, done
    assert sha(partial.read_bytes()) == sha(BODY)


def test_a_name_for_the_download(front: Front, key: str, tmp_path: Path) -> None:
    """`curl -OJ` saves a form's file under its name."""
    source = file_of(tmp_path, b"hello", "name.txt")
    front.curl(key, "--request", "PUT", "--form", f"f=@{source}")
    folder = tmp_path / "saved"
    folder.mkdir()
    assert curl("-OJ", front.url(key), cwd=folder).returncode == 0
    assert (folder / "name.txt").read_bytes() == b"hello"


def test_a_reader_of_a_broken_upload(front: Front, key: str) -> None:
    """curl ends with 18: it knows that it has a part only."""
    with front.upload(key, None) as upload:
        upload.send(b"hello")
        reader = start_curl(front.url(key))
        eventually(lambda: front.readers(key) == 1)
        upload.reset()
        got, _ = reader.communicate(timeout=30)
    assert reader.returncode == 18
    assert got in (b"hello", b"")


def test_names_of_headers_may_have_any_case(root: Front, key: str) -> None:
    """The client of Python's library, which looks at other things than curl, is content."""
    host, port = root.daemon.address
    connection = http.client.HTTPConnection(host, port, timeout=20)
    connection.request("PUT", f"/{key}", body=b"hello", headers={"content-type": "text/x-log"})
    assert connection.getresponse().status == 200
    connection.close()
    connection.request("GET", f"/{key}")
    answer = connection.getresponse()
    assert (answer.read(), answer.headers["CONTENT-TYPE"]) == (b"hello", "text/x-log")
    connection.close()
