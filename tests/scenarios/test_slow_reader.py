"""A slow reader stalls nobody, and what it has not read yet lies on the disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.peers import (
    MIB,
    Download,
    Upload,
    at_rest,
    body_of,
    put,
    readers,
    sha,
    stored,
)
from tests.scenarios.ways import Way

BODY = body_of(12 * MIB)  # more than the kernel keeps for a connection whose peer does not read

Start = Callable[..., Daemon]


def test_the_writer_does_not_wait(start: Start, way: Way) -> None:
    """The upload ends while its reader has taken one byte; the reader gets all of it later."""
    daemon = start(way.flag, "--spill-threshold", "64K", "--retention", "0.2")
    with (
        Upload(daemon, "/k", way.length(len(BODY))) as upload,
        Download(daemon, "/k", receive_buffer=65536) as slow,
        Download(daemon, "/k") as quick,
    ):
        upload.send(BODY[:MIB])
        assert slow.begin() == 200
        first = slow.take(1)
        assert upload.finish(BODY[MIB:]).startswith(b"HTTP/1.1 200 ")
        assert quick.begin() == 200
        assert sha(quick.rest() or b"") == sha(BODY)
        state = daemon.state()
        assert state["disk"]["used"] == len(BODY)
        assert state["memory"]["used"] <= 2 * MIB  # what waits for the disk
        assert sha(first + (slow.rest() or b"")) == sha(BODY)
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_spilled_while_it_is_read(start: Start, tmp_path: Path) -> None:
    """A throttled curl reads on while the body below it moves from memory to the disk."""
    daemon = start("--spill-threshold", "64K")
    body = BODY[: 2 * MIB]
    with Upload(daemon, "/k") as upload:
        upload.send(body[:50_000])
        got = tmp_path / "got"
        reader = start_curl("--limit-rate", "3M", "--output", str(got), daemon.url("/k"))
        eventually(lambda: readers(daemon, "k") == 1)
        assert daemon.state()["disk"]["used"] == 0
        upload.send(body[50_000:100_000])
        eventually(lambda: stored(daemon, "k") == 100_000)
        assert upload.finish(body[100_000:]).startswith(b"HTTP/1.1 200 ")
    reader.communicate(timeout=50)
    assert reader.returncode == 0
    assert sha(got.read_bytes()) == sha(body)
    daemon.assert_clean_log()


def test_memory_is_bounded_with_stuck_readers(start: Start) -> None:
    """Eight readers that take nothing cost no more of the ledger than the one body on the disk."""
    daemon = start("--max-memory", "1M", "--spill-threshold", "64K", "--retention", "0")
    put(daemon, "/warm", BODY)
    stuck = [Download(daemon, "/k", receive_buffer=65536) for _ in range(8)]
    with Upload(daemon, "/k", None) as upload:
        assert upload.finish(BODY).startswith(b"HTTP/1.1 200 ")
    for reader in stuck:
        assert reader.begin() == 200
    state = daemon.state()
    assert state["memory"]["used"] <= MIB
    assert state["disk"]["used"] == len(BODY)
    for number, reader in enumerate(stuck):
        if number % 2:
            assert sha(reader.rest() or b"") == sha(BODY)
        reader.leave()
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_deleted_under_a_slow_reader(start: Start, each_path: str) -> None:
    """The bytes of a key that is gone stay for whoever still reads them, and go with the last."""
    daemon = start(each_path, "--allow-delete", "--retention", "1h")
    put(daemon, "/k", BODY)
    with Download(daemon, "/k", receive_buffer=65536) as slow:
        assert slow.begin() == 200
        slow.take(1000)
        assert curl("--request", "DELETE", daemon.url("/k")).returncode == 0
        assert stored(daemon, "k") == -1
        assert daemon.state()["disk"]["used"] == len(BODY)
        assert put(daemon, "/k", b"another")[0] == 200
        assert sha(slow.rest() or b"") == sha(BODY[1000:])
    eventually(lambda: daemon.state()["disk"]["used"] == 0)
    assert curl(daemon.url("/k")).stdout == b"another"
    daemon.assert_clean_log()
