"""PUT: nothing is read before the downloader is there, and the answer tells how it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest

from tests.conftest import eventually, read_until, start_curl
from tests.scenarios.answers import parse
from tests.scenarios.mount import Mount, finished, sending
from tests.scenarios.peers import MIB, Download, at_rest, body_of, sha

LARGE = body_of(3 * MIB)
VERSIONS = ("1.0", "1.1")
COMPLETED = "Upload completed successfully"

Offered = Callable[[Mount, str], None]


@pytest.mark.parametrize("first", ["upload", "download"])
def test_two_curls(front: Mount, name: str, first: str, offered: Offered) -> None:
    """In either order."""
    source = front.daemon.folder / "small"
    source.write_bytes(b"hello")
    if first == "upload":
        upload = front.start_curl(name, "-T", str(source))
        offered(front, name)
        download = front.start_curl(name)
    else:
        download = front.start_curl(name)
        eventually(lambda: front.waiting(name) == 1)
        upload = front.start_curl(name, "-T", str(source))
    assert finished(download).body == b"hello"
    answer = finished(upload)
    assert (answer.status, answer.text) == (200, COMPLETED)
    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert at_rest(front.daemon)


@pytest.mark.parametrize("download_version", VERSIONS)
@pytest.mark.parametrize(
    ("version", "known"),
    [("1.0", True), ("1.1", True), ("1.1", False)],
    ids=["1.0", "length", "chunked"],
)
@pytest.mark.parametrize("body", [b"", b"hello", LARGE], ids=["empty", "small", "large"])
@pytest.mark.parametrize("mover", ["kernel", "loop", "tls"])
def test_every_framing(
    root: Mount, hurried: Mount, name: str, version: str, known: bool, download_version: str,
    body: bytes, mover: str,
) -> None:  # fmt: skip
    """Every byte arrives, and then the uploader is told."""
    front = root if mover == "kernel" else hurried
    length = len(body) if known else None
    receiver = Mount(front.daemon, 2, tls=True) if mover == "tls" else front
    with (
        receiver.receiver(f"{name}?wait=30", version=download_version) as download,
        front.sender("PUT", f"{name}?wait=30", length, version=version) as upload,
    ):
        # in chunks, no bytes are the end
        with sending(upload, body):
            assert download.begin() == 200
            assert download.response.getheader("Content-Length") == (str(length) if known else None)
            assert sha(download.take(len(body))) == sha(body)
        if body and not known:
            upload.sock.sendall(b"0\r\n\r\n")
        assert download.rest() == b""
        head = read_until(upload.sock, COMPLETED.encode())
    assert head.startswith(f"HTTP/{version} 200 ".encode())


def test_nothing_without_a_body(root: Mount, name: str) -> None:
    """A PUT that says nothing of a body has an empty one."""
    download = root.start_curl(name)
    assert root.ask("PUT", name).text == COMPLETED
    assert finished(download).body == b""


def test_the_invitation_comes_at_the_match(front: Mount, name: str) -> None:
    """Who expects it sends no byte before."""
    with front.sender("PUT", name, 5, "Expect: 100-continue") as upload:
        upload.sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            upload.sock.recv(1)
        upload.sock.settimeout(30)
        download = front.start_curl(name)
        assert read_until(upload.sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert parse(upload.finish(b"hello")).text == COMPLETED
    assert finished(download).body == b"hello"


def test_a_form_is_passed_as_it_is(front: Mount, name: str) -> None:
    """With its framing."""
    form = b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\ny\r\n--b--\r\n'
    content_type = "multipart/form-data; boundary=b"
    download = front.start_curl(name)
    assert front.give("PUT", name, form, f"Content-Type: {content_type}").status == 200
    answer = finished(download)
    assert (answer.body, answer["Content-Type"]) == (form, content_type)


def test_an_endless_stream(root: Mount, name: str) -> None:
    """`curl -T -`: each line goes on at once, until the downloader has enough."""
    upload = start_curl("-T", "-", "--include", root.url(name), stdin=-1)
    assert upload.stdin is not None
    with root.receiver(name) as download:
        for number in range(3):
            line = b"line %d\n" % number
            upload.stdin.write(line)
            upload.stdin.flush()
            if number == 0:
                assert download.begin() == 200
            assert download.take(len(line)) == line
    with contextlib.suppress(BrokenPipeError):
        upload.communicate(b"x" * MIB, timeout=30)
    eventually(lambda: at_rest(root.daemon))


@pytest.mark.parametrize("version", VERSIONS)
def test_nobody_comes(hurried: Mount, name: str, version: str) -> None:
    """400 in the original's words, after `--wait`; the name is free then."""
    with hurried.sender("PUT", name, len(LARGE), version=version) as upload:
        answer = parse(read_until(upload.sock, b"client"))
    assert answer.status == 400
    assert answer.text == "Upload failed: Timeout waiting for download client"
    assert answer["X-Error-Code"] == "nobody_came"
    assert at_rest(hurried.daemon)


@pytest.mark.parametrize("how", ["?wait=0", "Prefer: wait=0"])
def test_an_upload_says_how_long(root: Mount, name: str, how: str) -> None:
    """By its query, or as a preference."""
    path, headers = (name + how, ()) if how[0] == "?" else (name, (how,))
    assert root.ask("PUT", path, "Content-Length: 0", *headers).status == 400
    assert root.ask("PUT", name + "?wait=x", "Content-Length: 0").status == 400
    assert root.ask("PUT", name + "?wait=2h", "Content-Length: 0").text.startswith("wait exceeds")


@pytest.mark.parametrize("begun", [b"", b"5\r\nhello\r\n"], ids=["first", "later"])
def test_a_body_with_broken_framing(root: Mount, name: str, begun: bytes, offered: Offered) -> None:
    """It is the uploader's fault; what the downloader got does not look whole."""
    with root.sender("PUT", name, None) as upload:
        offered(root, name)
        with root.receiver(name + "?wait=0") as download:
            if begun:
                upload.sock.sendall(begun)
                assert (download.begin(), download.take(5)) == (200, b"hello")
            else:
                root.heard()
            upload.sock.sendall(b"no length\r\n")
            answer = parse(read_until(upload.sock, b"broken"))
            assert answer.status == 400
            assert answer.text == "Upload failed: Stream error: the body's framing is broken"
            if begun:
                assert download.rest() is None
            else:
                assert download.begin() in (404, 502)


@pytest.mark.parametrize(
    ("header", "status", "words"),
    [
        ("Expect: the-unexpected", 417, "100-continue"),
        ("Content-Range: bytes 0-4/10", 400, "Content-Range"),
    ],
)
def test_a_refused_upload(root: Mount, name: str, header: str, status: int, words: str) -> None:
    """Nobody waits for what cannot be."""
    answer = root.give("PUT", name, b"hello", header)
    assert answer.status == status
    assert words in answer.text
    assert root.ask("HEAD", name).status == 404


@pytest.mark.parametrize("end", [Download.leave, Download.reset])
@pytest.mark.parametrize("length", [len(LARGE), None], ids=["length", "chunked"])
def test_a_downloader_that_leaves_half_way(
    root: Mount, name: str, length: int | None, end: Callable[[Download], None]
) -> None:
    """The uploader is told at once."""
    with root.sender("PUT", name, length) as upload:
        with root.receiver(name, receive_buffer=4096) as download:
            upload.send(LARGE[: MIB // 2])
            assert download.begin() == 200
            download.take(1000)
            end(download)
        answer = read_until(upload.sock, b"Upload failed: ")
        assert answer.startswith(b"HTTP/1.1 502 ")
    eventually(lambda: at_rest(root.daemon))
