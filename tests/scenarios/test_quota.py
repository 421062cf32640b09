"""The limits of the ledger: who is refused, who is not, and that everything is given back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.peers import MIB, Download, Upload, at_rest, body_of, put, sha, stored
from tests.scenarios.ways import Way

BODY = body_of(4 * MIB)

Start = Callable[..., Daemon]


def test_more_than_the_disk_quota(start: Start, way: Way) -> None:
    """One body above --max-disk gets 503 and a sentence, and leaves nothing behind."""
    daemon = start(way.flag, "--max-disk", "2M")
    status, text = put(daemon, "/k", BODY, "--include", chunked=way.chunked)
    assert status == 503
    assert "\r\nRetry-After: " in text
    assert text.endswith("\r\n\r\ndisk quota exceeded, try again later\n")
    eventually(lambda: at_rest(daemon))
    assert put(daemon, "/k", BODY[: 2 * MIB], chunked=way.chunked)[0] == 200
    assert sha(curl(daemon.url("/k")).stdout) == sha(BODY[: 2 * MIB])
    daemon.assert_clean_log()


def test_a_known_length_is_refused_before_its_body(start: Start) -> None:
    """Whoever announces too much is told without being asked for it."""
    daemon = start("--max-disk", "2M")
    answer = daemon.talk(
        b"PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4000000\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 503 ")


def test_a_reader_of_what_is_refused(start: Start) -> None:
    """A body that meets the quota in its middle is an abort for its reader."""
    daemon = start("--max-disk", "2M", "--spill-threshold", "64K")
    with Upload(daemon, "/k") as upload, Download(daemon, "/k") as reader:
        upload.send(BODY[:MIB])
        assert reader.begin() == 200
        assert sha(reader.take(MIB)) == sha(BODY[:MIB])
        upload.send(BODY[MIB:])
        assert upload.answer().startswith(b"HTTP/1.1 503 ")
        assert reader.rest() is None
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_the_quota_is_for_all_keys_together(start: Start, each_path: str) -> None:
    """Two bodies that fit one by one do not fit together; the second comes in after the first."""
    daemon = start(each_path, "--max-disk", "5M", "--retention", "0.3")
    with Upload(daemon, "/first", 3 * MIB) as first:
        first.send(BODY[:MIB])
        eventually(lambda: stored(daemon, "first") > 0)
        assert put(daemon, "/second", BODY[: 3 * MIB])[0] == 503
        assert put(daemon, "/small", BODY[:1000])[0] == 200
        assert first.finish(BODY[MIB : 3 * MIB]).startswith(b"HTTP/1.1 200 ")
    assert sha(curl(daemon.url("/first")).stdout) == sha(BODY[: 3 * MIB])
    eventually(lambda: at_rest(daemon))
    assert put(daemon, "/second", BODY[: 3 * MIB])[0] == 200
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_full_memory_spills(start: Start, *, chunked: bool) -> None:
    """What memory has no room for goes to the disk: nobody is refused for that."""
    daemon = start("--max-memory", "200K", "--retention", "1")
    bodies = {f"/{number}": body_of(90_000, number) for number in range(6)}
    for path, body in bodies.items():
        assert put(daemon, path, body, chunked=chunked)[0] == 200
    state = daemon.state()
    assert 0 < state["memory"]["used"] <= 200 * 1024
    assert state["memory"]["used"] + state["disk"]["used"] == 6 * 90_000
    for path, body in bodies.items():
        assert sha(curl(daemon.url(path)).stdout) == sha(body)
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_no_memory_and_no_disk(start: Start) -> None:
    """With neither there is nothing to give, and that is said."""
    daemon = start("--max-memory", "0", "--max-disk", "0")
    for size in (1, 100_000, len(BODY)):
        status, text = put(daemon, "/k", BODY[:size])
        assert (status, text.count("\n")) == (503, 1)
        assert "quota exceeded" in text
    assert put(daemon, "/k", b"")[0] == 200
    daemon.assert_clean_log()


@pytest.mark.parametrize("limit", [1000, 3 * MIB])
def test_one_body_too_large(start: Start, way: Way, limit: int) -> None:
    """Above --max-body-size a body gets 413, known length or not; exactly the limit is fine."""
    daemon = start(way.flag, "--max-body-size", str(limit), "--retention", "0")
    status, text = put(daemon, "/k", BODY[: limit + 1], chunked=way.chunked)
    assert (status, text) == (413, f"the body exceeds the limit of {limit} bytes\n")
    eventually(lambda: at_rest(daemon))
    assert put(daemon, "/k", BODY[:limit], chunked=way.chunked)[0] == 200
    eventually(lambda: at_rest(daemon))
    daemon.assert_clean_log()


def test_too_large_is_said_before_the_body(start: Start) -> None:
    """A length above the limit is refused unread, and a reader does not see the key at all."""
    daemon = start("--max-body-size", "1000", "--wait", "0")
    answer = daemon.talk(
        b"PUT /k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert curl(daemon.url("/k"), "--write-out", "%{http_code}").stdout.endswith(b"404")


def test_too_many_keys(start: Start) -> None:
    """Above --max-keys an upload gets 503; a key that was read makes room for a new one."""
    daemon = start("--max-keys", "2")
    assert put(daemon, "/a", b"a")[0] == 200
    assert put(daemon, "/b", b"b")[0] == 200
    assert put(daemon, "/c", b"c") == (503, "too many keys, try again later\n")
    assert curl(daemon.url("/a")).stdout == b"a"
    assert put(daemon, "/c", b"c")[0] == 200
    daemon.assert_clean_log()


def test_too_many_who_wait(start: Start) -> None:
    """Above --max-keys a GET that would have to wait gets 503; one that leaves makes room."""
    daemon = start("--max-keys", "2")
    with Download(daemon, "/a"), Download(daemon, "/b?wait=3000") as second:
        eventually(lambda: daemon.state()["waiting_readers"] == 2)
        for query in ("", "?wait=100"):
            answer = curl(daemon.url(f"/c{query}"), "--write-out", "%{http_code}").stdout
            assert answer == b"too many waiting readers, try again later\n503"
        second.leave()
        eventually(lambda: daemon.state()["waiting_readers"] == 1)
        assert curl(daemon.url("/c?wait=0.1"), "--write-out", "%{http_code}").stdout[-3:] == b"404"
    daemon.assert_clean_log()
