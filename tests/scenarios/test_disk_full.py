"""A file system that is really full: a 503 that says so, nobody else disturbed, then all well."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.peers import MIB, Download, Upload, at_rest, body_of, put, sha, stored
from tests.scenarios.ways import Way

FULL = "disk full, try again later\n"
BODY = body_of(12 * MIB)

Start = Callable[..., Daemon]


@pytest.fixture
def starts_on(start: Start, small_disk: Path) -> Start:
    """Starts a daemon whose spilled bytes go to the small disk, without a quota of its own."""
    return partial(start, "--storage", f"file:{small_disk}", "--max-disk", "unlimited")


def test_one_body_too_large(starts_on: Start, way: Way) -> None:
    """What the disk cannot hold is refused, and takes no room afterwards."""
    daemon = starts_on(way.flag, "--retention", "0.3")
    assert put(daemon, "/k", BODY, chunked=way.chunked) == (503, FULL)
    eventually(lambda: at_rest(daemon))
    assert put(daemon, "/k", BODY[: 7 * MIB], chunked=way.chunked)[0] == 200
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY[: 7 * MIB])
    daemon.assert_clean_log()


def test_full_in_the_middle(starts_on: Start, way: Way) -> None:
    """An upload that meets the end of the disk is refused; the one beside it is whole.

    The reader of the first is cut, the reader of the second gets everything, small uploads go on.
    """
    daemon = starts_on(way.flag, "--retention", "0.3")
    size = 6 * MIB
    with (
        Upload(daemon, "/lucky", way.length(size)) as lucky,
        Download(daemon, "/lucky") as whole,
        Download(daemon, "/unlucky") as cut,
    ):
        lucky.send(BODY[: 5 * MIB])
        eventually(lambda: stored(daemon, "lucky") == 5 * MIB)
        with Upload(daemon, "/unlucky") as unlucky:
            unlucky.send(BODY[:MIB])
            assert whole.begin() == cut.begin() == 200
            assert sha(cut.take(MIB)) == sha(BODY[:MIB])
            unlucky.send(BODY[MIB:size])
            answer = unlucky.answer()
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert answer.endswith(FULL.encode())
        assert cut.rest() is None
        assert put(daemon, "/small", BODY[:1000])[0] == 200
        assert lucky.finish(BODY[5 * MIB : size]).startswith(b"HTTP/1.1 200 ")
        assert sha(whole.rest() or b"") == sha(BODY[:size])
    eventually(lambda: at_rest(daemon))
    assert put(daemon, "/unlucky", BODY[:size], chunked=way.chunked)[0] == 200
    daemon.assert_clean_log()


def test_filled_by_somebody_else(starts_on: Start, small_disk: Path) -> None:
    """A disk that others filled refuses until they make room; what memory holds goes on."""
    daemon = starts_on("--retention", "0.3")
    with (small_disk / "theirs").open("wb", buffering=0) as theirs:
        assert theirs.write(bytes(16 * MIB)) <= 8 * MIB
    for chunked in (False, True):
        assert put(daemon, "/k", BODY[: 2 * MIB], chunked=chunked) == (503, FULL)
    assert put(daemon, "/small", BODY[:100_000])[0] == 200
    assert sha(curl(daemon.url("/small")).stdout) == sha(BODY[:100_000])
    (small_disk / "theirs").unlink()
    assert put(daemon, "/k", BODY[: 2 * MIB])[0] == 200
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY[: 2 * MIB])
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_a_full_disk_and_full_memory(starts_on: Start, small_disk: Path) -> None:
    """With nowhere to go a small body is refused as well, and those that are there stay whole."""
    daemon = starts_on("--max-memory", "300K")
    (small_disk / "theirs").write_bytes(bytes(7 * MIB))
    statuses = {}
    for number in range(20):
        statuses[number] = put(daemon, f"/{number}", body_of(100_000, number))[0]
    assert set(statuses.values()) == {200, 503}
    for number, status in statuses.items():
        got = curl(daemon.url(f"/{number}?wait=0"), "--write-out", "%{http_code}").stdout
        assert int(got[-3:]) == (200 if status == 200 else 404)
        if status == 200:
            assert sha(got[:-3]) == sha(body_of(100_000, number))
    daemon.assert_clean_log()
