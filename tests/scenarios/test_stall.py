"""Peers that are silent for longer than they may be: each is cut, and nothing stays behind."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.peers import (
    MIB,
    Download,
    Upload,
    at_rest,
    body_of,
    descriptors,
    put,
    readers,
    sha,
    stored,
)
from tests.scenarios.ways import Way

BODY = body_of(16 * MIB)  # more than the kernel keeps for a connection whose peer does not read

Start = Callable[..., Daemon]


def test_a_silent_writer(start: Start, way: Way) -> None:
    """A writer that sends nothing for --idle-timeout gets 408, its reader an abort."""
    daemon = start(way.flag, "--idle-timeout", "0.5")
    with Upload(daemon, "/k", way.length(4 * MIB)) as upload, Download(daemon, "/k") as reader:
        upload.send(BODY[: 2 * MIB])
        assert reader.begin() == 200
        answer = upload.answer()
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert answer.endswith(b"\r\n\r\nthe peer sent nothing for 0.5 seconds\n")
        assert reader.rest() is None
    eventually(lambda: at_rest(daemon))
    assert put(daemon, "/k", b"again")[0] == 200
    daemon.assert_clean_log()


def test_a_slow_writer_is_not_silent(start: Start) -> None:
    """A writer that keeps sending, however little, may take as long as it wants."""
    daemon = start("--idle-timeout", "0.6")
    with Upload(daemon, "/k", 2 * MIB + 8) as upload:
        upload.send(BODY[: 2 * MIB])
        for number in range(8):
            eventually(lambda size=2 * MIB + number: stored(daemon, "k") == size)
            upload.sock.settimeout(0.15)
            with pytest.raises(TimeoutError):
                upload.sock.recv(1)
            upload.sock.settimeout(30)
            upload.send(BODY[number : number + 1])
        assert upload.answer().startswith(b"HTTP/1.1 200 ")


def test_a_reader_that_takes_nothing_live(start: Start, way: Way) -> None:
    """A live reader stuck for --stall-timeout is cut; the upload and another reader go on."""
    daemon = start(way.flag, "--stall-timeout", "0.5", "--retention", "0.2")
    with (
        Upload(daemon, "/k", way.length(len(BODY))) as upload,
        Download(daemon, "/k", receive_buffer=65536) as stuck,
        Download(daemon, "/k") as quick,
    ):
        upload.send(BODY[:-MIB])
        assert stuck.begin() == 200
        eventually(lambda: readers(daemon, "k") == 2)
        assert quick.begin() == 200
        assert sha(quick.take(len(BODY) - MIB)) == sha(BODY[:-MIB])
        eventually(lambda: readers(daemon, "k") == 1)
        assert upload.finish(BODY[-MIB:]).startswith(b"HTTP/1.1 200 ")
        assert sha(quick.rest() or b"") == sha(BODY[-MIB:])
        assert stuck.rest() is None
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_a_reader_may_wait_for_a_slow_writer(start: Start, each_path: str) -> None:
    """A reader that has taken all there is stands still through no fault of its own."""
    daemon = start(each_path, "--stall-timeout", "0.3")
    with Upload(daemon, "/k", 3 * MIB) as upload, Download(daemon, "/k") as reader:
        upload.send(BODY[: 2 * MIB])
        assert reader.begin() == 200
        assert sha(reader.take(2 * MIB)) == sha(BODY[: 2 * MIB])
        reader.sock.settimeout(1.5)
        with pytest.raises(TimeoutError):
            reader.sock.recv(1)
        reader.sock.settimeout(30)
        assert upload.finish(BODY[2 * MIB : 3 * MIB]).startswith(b"HTTP/1.1 200 ")
        # http.client's own buffer is of no use after a timeout
        rest = b""
        while len(rest) < MIB:
            rest += reader.sock.recv(MIB)
        assert sha(rest) == sha(BODY[2 * MIB : 3 * MIB])


def test_a_reader_that_takes_nothing_late(start: Start, each_path: str) -> None:
    """The download of a finished upload is cut after --download-stall, and the bytes go."""
    daemon = start(each_path, "--download-stall", "0.5", "--retention", "0.2")
    before = descriptors(daemon)
    put(daemon, "/k", BODY)
    with Download(daemon, "/k", receive_buffer=65536) as stuck:
        assert stuck.begin() == 200
        eventually(lambda: at_rest(daemon))
        # the relay's own: two threads with an epoll, a bell and a pipe each, one pool of files
        assert descriptors(daemon) <= before + 10
        assert stuck.rest() is None
    daemon.assert_clean_log()


def test_a_slow_download_goes_on(start: Start, each_path: str) -> None:
    """Whoever takes a little all the time is not stuck."""
    daemon = start(each_path, "--download-stall", "3")
    put(daemon, "/k", BODY)
    with Download(daemon, "/k", receive_buffer=65536) as slow:
        assert slow.begin() == 200
        pieces = []
        for _ in range(8):  # together longer than the limit, each far below it
            time.sleep(0.5)
            pieces.append(slow.take(MIB // 2))
        assert sha(b"".join(pieces) + (slow.rest() or b"")) == sha(BODY)


def test_a_late_head(start: Start) -> None:
    """A head that does not arrive within --head-timeout gets 408; a connection that is silent from
    the start is closed.
    """
    daemon = start("--head-timeout", "0.5")
    assert daemon.talk(b"GET /k HTTP/1.1\r\nHost: loc").startswith(b"HTTP/1.1 408 ")
    assert daemon.talk(b"") == b""
    daemon.assert_clean_log()


def test_a_kept_connection_goes(start: Start) -> None:
    """A connection on which no further request comes is closed after --keepalive-timeout."""
    daemon = start("--keepalive-timeout", "0.3")
    for path in (b"/health", b"/k"):
        request = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path
        put(daemon, "/k", b"hello")
        assert daemon.talk(request).startswith(b"HTTP/1.1 200 ")
