"""A reader goes in the middle: the sender and the other readers do not notice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Daemon, curl, eventually, start_curl
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

BODY = body_of(4 * MIB)
PART = 2 * MIB

Start = Callable[..., Daemon]


ENDINGS = {"reset": Download.reset, "fin": Download.half_close, "close": Download.leave}


def test_the_upload_goes_on(start: Start, way: Way) -> None:
    """One of two readers leaves: it is forgotten at once, the other one gets everything."""
    daemon = start(way.flag)
    for name, end in ENDINGS.items():
        path = f"/{name}"
        with (
            Upload(daemon, path, way.length(len(BODY))) as upload,
            Download(daemon, path) as leaver,
            Download(daemon, path) as stayer,
        ):
            upload.send(BODY[:PART])
            assert leaver.begin() == 200
            leaver.take(1000)
            eventually(lambda key=name: stored(daemon, key) == PART and readers(daemon, key) == 2)
            end(leaver)
            eventually(lambda key=name: readers(daemon, key) == 1)
            assert upload.finish(BODY[PART:]).startswith(b"HTTP/1.1 200 ")
            assert stayer.begin() == 200
            assert sha(stayer.rest() or b"") == sha(BODY)
    daemon.assert_clean_log()


def test_a_killed_curl(start: Start, each_path: str) -> None:
    """kill -9 of a slow curl that reads a finished upload leaves the upload as it was."""
    daemon = start(each_path, "--retention", "1h")
    body = body_of(64 * MIB)  # more than two kernels' buffers hold
    put(daemon, "/k", body)
    reader = start_curl("--limit-rate", "1M", "--output", "/dev/null", daemon.url("/k"))
    eventually(lambda: readers(daemon, "k") == 1)
    reader.kill()
    reader.communicate()
    eventually(lambda: readers(daemon, "k") == 0)
    assert sha(curl(daemon.url("/k")).stdout) == sha(body)
    daemon.assert_clean_log()


@pytest.mark.parametrize("query", ["", "?wait=3000"], ids=["plain", "with a query"])
def test_a_reader_that_waits_may_leave(start: Start, query: str) -> None:
    """Nothing is kept of those who stopped waiting."""
    daemon = start("--wait", "50m")
    eventually(lambda: at_rest(daemon))
    before = descriptors(daemon)
    waiting = [Download(daemon, f"/nobody-{number}{query}") for number in range(50)]
    eventually(lambda: daemon.state()["waiting_readers"] == 50)
    for number, reader in enumerate(waiting):
        (Download.reset if number % 2 else Download.leave)(reader)
    eventually(lambda: at_rest(daemon) and descriptors(daemon) <= before)
    daemon.assert_clean_log()


def test_a_reader_that_leaves_after_the_upload(start: Start, each_path: str) -> None:
    """The bytes go with the last reader when the retention is over, also if that one is cut."""
    daemon = start(each_path, "--retention", "0.2")
    put(daemon, "/k", body_of(16 * MIB))
    with Download(daemon, "/k", receive_buffer=65536) as reader:
        assert reader.begin() == 200
        reader.take(1000)
        assert not at_rest(daemon)
        reader.reset()
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()
