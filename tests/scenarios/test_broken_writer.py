"""The sender goes in the middle of its body: no reader takes the part for the whole."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.peers import (
    MIB,
    Download,
    Upload,
    at_rest,
    body_of,
    key_of,
    put,
    readers,
    sha,
    stored,
)
from tests.scenarios.ways import Way

BODY = body_of(4 * MIB)
PART = 3 * MIB

Start = Callable[..., Daemon]

ENDINGS = {"reset": Upload.reset, "fin": Upload.half_close, "close": Upload.leave}


def test_readers_see_the_break(start: Start, way: Way) -> None:
    """Readers are cut (curl: 18), the key is free at once, the next upload under it is whole."""
    daemon = start(way.flag, "--retention", "1h")
    for name, end in ENDINGS.items():
        path, url = f"/{name}", daemon.url(f"/{name}")
        with Upload(daemon, path, way.length(len(BODY))) as upload, Download(daemon, path) as slow:
            real = start_curl("--output", "/dev/null", url)
            upload.send(BODY[:PART])
            assert slow.begin() == 200
            eventually(lambda key=name: stored(daemon, key) == PART and readers(daemon, key) == 2)
            end(upload)
            eventually(lambda key=name: key_of(daemon, key) is None)
            assert put(daemon, path, BODY[::-1])[0] == 200
            real.communicate(timeout=30)
            assert real.returncode == 18
            assert slow.rest() is None
            assert sha(curl(url).stdout) == sha(BODY[::-1])
    daemon.assert_clean_log()


def test_curl_is_killed(start: Start, way: Way, tmp_path: Path) -> None:
    """kill -9 of a real curl in the middle of its upload is an abort for a real curl that reads."""
    daemon = start(way.flag)
    source = tmp_path / "body"
    source.write_bytes(body_of(16 * MIB))
    framing = ("--header", "Transfer-Encoding: chunked") if way.chunked else ()
    sender = start_curl(
        "--upload-file", str(source), "--limit-rate", "8M", *framing, daemon.url("/k")
    )
    reader = start_curl("--output", str(tmp_path / "got"), daemon.url("/k"))
    eventually(lambda: readers(daemon, "k") == 1 and stored(daemon, "k") > 2 * MIB)
    sender.kill()
    sender.communicate()
    reader.communicate(timeout=30)
    assert reader.returncode == 18
    eventually(lambda: at_rest(daemon))
    got = (tmp_path / "got").read_bytes()
    assert source.read_bytes().startswith(got)
    daemon.assert_clean_log()


def test_a_small_upload_breaks(start: Start) -> None:
    """What was in memory only is cut in the same way."""
    daemon = start()
    for length in (100_000, None):
        with Upload(daemon, "/k", length) as upload, Download(daemon, "/k") as reader:
            upload.send(b"x" * 50_000)
            assert reader.begin() == 200
            upload.reset()
            assert reader.rest() is None
        eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


@pytest.mark.parametrize("length", [10, None], ids=["length", "chunked"])
def test_a_small_upload_is_live_from_its_first_bytes(start: Start, length: int | None) -> None:
    """A reader of a slow upload gets what there is, however short the whole will be."""
    daemon = start("--wait", "1")
    with Upload(daemon, "/k", length) as upload, Download(daemon, "/k") as reader:
        upload.send(b"12345")
        assert reader.begin() == 200
        assert reader.take(5) == b"12345"
        assert upload.finish(b"67890").startswith(b"HTTP/1.1 200 ")
        assert reader.rest() == b"67890"


def test_a_reader_without_framing_sees_a_reset(start: Start) -> None:
    """For HTTP/1.0 the end of the connection is the end of the body, so a break must be a reset."""
    daemon = start()
    with Upload(daemon, "/k") as upload, Download(daemon, "/k", version="1.0") as reader:
        upload.send(BODY[:PART])
        assert reader.begin() == 200
        assert sha(reader.take(PART)) == sha(BODY[:PART])
        upload.reset()
        with pytest.raises(ConnectionResetError) as broken:
            reader.sock.recv(1)
        assert broken.value.errno == errno.ECONNRESET
    daemon.assert_clean_log()


def test_a_reader_without_framing_sees_a_clean_end(start: Start) -> None:
    """The same reader of an upload that ends well gets an ordinary end."""
    daemon = start()
    with Upload(daemon, "/k") as upload, Download(daemon, "/k", version="1.0") as reader:
        assert upload.finish(BODY).startswith(b"HTTP/1.1 200 ")
        assert reader.begin() == 200
        assert sha(reader.rest() or b"") == sha(BODY)


def test_a_reader_in_http_1_0_of_a_known_length(start: Start, each_path: str) -> None:
    """With a length an HTTP/1.0 reader can tell the part from the whole by itself."""
    daemon = start(each_path)
    with Upload(daemon, "/k", len(BODY)) as upload, Download(daemon, "/k", version="1.0") as reader:
        upload.send(BODY[:PART])
        assert reader.begin() == 200
        upload.reset()
        assert reader.rest() is None
    daemon.assert_clean_log()


def test_wrong_framing_is_told_and_cuts(start: Start) -> None:
    """A chunk whose size is no number gets a 400, and its readers an abort."""
    daemon = start()
    with Upload(daemon, "/k") as upload, Download(daemon, "/k") as reader:
        upload.send(b"hello")
        assert reader.begin() == 200
        upload.sock.sendall(b"nonsense\r\n")
        assert upload.answer().startswith(b"HTTP/1.1 400 ")
        assert reader.rest() is None
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()
