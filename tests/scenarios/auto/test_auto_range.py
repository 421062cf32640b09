"""Range: parts of finished objects, and of those that still grow (RFC 9110, 14; RFC 8673)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Daemon, curl, eventually
from tests.scenarios.answers import ask, assert_refused, raw, talk, upload
from tests.scenarios.peers import MIB, Download, Upload, body_of, readers, sha, stored

Start = Callable[..., Daemon]
SIZE = 3 * MIB
BODY = body_of(SIZE)
END = 9007199254740991


@pytest.fixture(scope="module")
def finished(both: Daemon) -> str:
    """The path of a finished object."""
    upload(both, "/ranges", BODY, "--header", "Content-Type: text/plain")
    return "/ranges"


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("0-0", 0, 1),
        ("0-99", 0, 100),
        ("100-199", 100, 200),
        ("1000000-", 1_000_000, SIZE),
        ("0-", 0, SIZE),
        ("-1", SIZE - 1, SIZE),
        ("-500", SIZE - 500, SIZE),
        (f"-{2 * SIZE}", 0, SIZE),
        (f"{SIZE - 1}-{2 * SIZE}", SIZE - 1, SIZE),
        (f"5-{END}", 5, SIZE),
    ],
)
def test_a_part_of_a_finished_object(
    both: Daemon, finished: str, asked: str, start: int, stop: int
) -> None:
    """206 with exactly the bytes, how many, where they lie, and of how many."""
    answer = ask(both, finished, "--range", asked)
    assert answer.status == 206
    assert answer["Content-Range"] == f"bytes {start}-{stop - 1}/{SIZE}"
    assert answer["Content-Length"] == str(stop - start)
    assert answer["Content-Type"] == "text/plain"
    assert answer["ETag"] == ask(both, finished, "--head")["ETag"]
    assert answer["Accept-Ranges"] == "bytes"
    assert sha(answer.body) == sha(BODY[start:stop])


@pytest.mark.parametrize("asked", [f"{SIZE}-", f"{SIZE}-{SIZE + 5}", f"{10**18}-", "-0"])
def test_outside(both: Daemon, finished: str, asked: str) -> None:
    """416 says how long the object is."""
    answer = ask(both, finished, "--range", asked)
    assert_refused(answer, 416, "outside")
    assert answer["Content-Range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize(
    "asked", ["bytes=", "bytes=-", "bytes=5-2", "bytes=a-b", "bytes=1", "bytes=0x0-5", "bytes=+1-",
              "bytes=1-2-3", "bytes=" + "9" * 40 + "-", "bytes=0-0\r\nRange: bytes=1-1"]
)  # fmt: skip
def test_no_range_at_all(both: Daemon, finished: str, asked: str) -> None:
    """What cannot be read is refused: a client that resumes must not take the whole for a part."""
    assert_refused(talk(both, raw(f"GET {finished} HTTP/1.1", f"Range: {asked}")), 416, "malformed")


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=0-0, -1", "lines=0-5", "items=1"])
def test_the_whole_instead(both: Daemon, finished: str, asked: str) -> None:
    """Several ranges, and units that are not ours, are answered by the whole."""
    answer = ask(both, finished, "--header", f"Range: {asked}")
    assert answer.status == 200
    assert answer["Content-Range"] is None
    assert sha(answer.body) == sha(BODY)


def test_if_range(both: Daemon, finished: str) -> None:
    """A range of another object than the one that is here is answered by the whole."""
    tag = ask(both, finished, "--head")["ETag"]
    part = ask(both, finished, "--range", "5-9", "--header", f"If-Range: {tag}")
    assert (part.status, part.body) == (206, BODY[5:10])
    for other in ('"another"', f"W/{tag}", "Wed, 21 Oct 2015 07:28:00 GMT", f"{tag}, {tag}"):
        whole = ask(both, finished, "--range", "5-9", "--header", f"If-Range: {other}")
        assert whole.status == 200, other
        assert sha(whole.body) == sha(BODY)
    outside = ask(both, finished, "--range", f"{SIZE}-", "--header", 'If-Range: "another"')
    assert outside.status == 200


def test_an_empty_object(both: Daemon, path: str) -> None:
    """No range lies within nothing."""
    upload(both, path, b"")
    answer = ask(both, path, "--range", "0-")
    assert_refused(answer, 416)
    assert answer["Content-Range"] == "bytes */0"


def test_curl_goes_on(both: Daemon, finished: str, tmp_path: Path) -> None:
    """curl -C - completes what it has."""
    target = tmp_path / "part"
    target.write_bytes(BODY[:1_234_567])
    done = curl("-C", "-", "-o", str(target), both.url(finished))
    assert done.returncode == 0, done.stderr
    assert sha(target.read_bytes()) == sha(BODY)
    assert curl("-C", "-", "-o", str(target), both.url(finished)).returncode in (0, 33)
    assert sha(target.read_bytes()) == sha(BODY)


# -- while it grows


def test_growing_with_a_known_length(both: Daemon, path: str) -> None:
    """Content-Range is what it will be at the end, and the bytes come as they arrive."""
    with (
        Upload(both, path, SIZE) as sender,
        Download(both, path, "Range: bytes=1000-") as rest,
        Download(both, path, f"Range: bytes={MIB}-{2 * MIB - 1}") as middle,
        Download(both, path, "Range: bytes=-10") as last,
    ):
        sender.send(BODY[:MIB])
        assert rest.begin() == 206
        assert rest.response.getheader("Content-Range") == f"bytes 1000-{SIZE - 1}/{SIZE}"
        assert sha(rest.take(MIB - 1000)) == sha(BODY[1000:MIB])
        sender.send(BODY[MIB : 2 * MIB])
        assert middle.begin() == 206
        assert middle.response.getheader("Content-Range") == f"bytes {MIB}-{2 * MIB - 1}/{SIZE}"
        assert sha(middle.rest() or b"") == sha(BODY[MIB : 2 * MIB])
        assert sender.finish(BODY[2 * MIB :]).startswith(b"HTTP/1.1 200 ")
        assert sha(rest.rest() or b"") == sha(BODY[MIB:])
        assert last.begin() == 206
        assert last.response.getheader("Content-Range") == f"bytes {SIZE - 10}-{SIZE - 1}/{SIZE}"
        assert last.rest() == BODY[-10:]


def test_growing_with_an_unknown_length(both: Daemon, path: str) -> None:
    """An open range has no end yet: chunks, and the last position that means so."""
    with Upload(both, path) as sender, Download(both, path, "Range: bytes=3-") as reader:
        sender.send(BODY[:MIB])
        assert reader.begin() == 206
        assert reader.response.getheader("Content-Range") == f"bytes 3-{END}/*"
        assert reader.response.getheader("Transfer-Encoding") == "chunked"
        assert reader.response.getheader("Content-Length") is None
        assert sha(reader.take(MIB - 3)) == sha(BODY[3:MIB])
        assert sender.finish(BODY[MIB:]).startswith(b"HTTP/1.1 200 ")
        assert sha(reader.rest() or b"") == sha(BODY[MIB:])


def test_a_range_that_is_not_there_yet(both: Daemon, path: str) -> None:
    """A range far ahead waits until its bytes are there; a closed one for its end."""
    with Upload(both, path) as sender:
        sender.send(b"x" * 10)
        with (
            Download(both, path, "Range: bytes=100-") as ahead,
            Download(both, path, "Range: bytes=5-149") as closed,
            Download(both, path, "Range: bytes=-5") as last,
            Download(both, path, "Range: bytes=1000-") as never,
        ):
            eventually(lambda: readers(both, path[1:]) == 4)
            sender.send(b"y" * 140)
            assert closed.begin() == 206
            assert closed.response.getheader("Content-Range") == "bytes 5-149/*"
            assert closed.response.getheader("Content-Length") == "145"
            assert closed.rest() == b"x" * 5 + b"y" * 140
            assert ahead.begin() == 206
            assert ahead.response.getheader("Content-Range") == f"bytes 100-{END}/*"
            assert ahead.take(50) == b"y" * 50
            sender.finish(b"z")
            assert ahead.rest() == b"z"
            assert last.begin() == 206
            assert last.response.getheader("Content-Range") == "bytes 146-150/151"
            assert last.rest() == b"yyyyz"
            assert never.begin() == 416
            assert never.response.getheader("Content-Range") == "bytes */151"


@pytest.mark.parametrize("more", [b"", b", world"])
def test_right_behind_the_last_byte(both: Daemon, path: str, more: bytes) -> None:
    """Who has all that is there gets the head at once, and whatever follows, if only the end."""
    with Upload(both, path) as sender:
        sender.send(b"hello")
        eventually(lambda: stored(both, path[1:]) == 5)
        with Download(both, path, "Range: bytes=5-") as reader:
            assert reader.begin() == 206
            assert reader.response.getheader("Content-Range") == f"bytes 5-{END}/*"
            sender.finish(more)
            assert reader.rest() == more


def test_the_end_comes_before_that_of_the_range(both: Daemon, path: str) -> None:
    """A closed range that reaches beyond what came gets what came."""
    with Upload(both, path) as sender, Download(both, path, "Range: bytes=3-999") as reader:
        sender.finish(b"hello")
        assert reader.begin() == 206
        assert reader.response.getheader("Content-Range") == "bytes 3-4/5"
        assert reader.rest() == b"lo"


@pytest.mark.parametrize("asked", ["100-", "0-99", "-5"])
def test_the_upload_breaks_off_first(both: Daemon, path: str, asked: str) -> None:
    """Whoever waits for bytes that will not come is told, before any head promised them."""
    with Download(both, path, f"Range: bytes={asked}") as reader:
        with Upload(both, path) as sender:
            sender.send(b"hello")
            eventually(lambda: readers(both, path[1:]) == 1)
        assert reader.begin() == 502
        assert reader.rest() == b"the upload broke off\n"


def test_the_upload_breaks_off_during_a_part(both: Daemon, path: str) -> None:
    """A 206 that is under way is cut before its end."""
    with (
        Download(both, path, "Range: bytes=2-") as open_ended,
        Download(both, path, f"Range: bytes=2-{SIZE - 1}") as closed,
    ):
        with Upload(both, path, SIZE) as sender:
            sender.send(BODY[:MIB])
            assert open_ended.begin() == 206
            assert closed.begin() == 206
        assert open_ended.rest() is None
        assert closed.rest() is None


def test_curl_goes_on_with_a_growing_object(both: Daemon, path: str, tmp_path: Path) -> None:
    """curl -C - resumes a live download too, once it is known how far it has got."""
    target = tmp_path / "part"
    with Upload(both, path, SIZE) as sender:
        sender.send(BODY[:MIB])
        eventually(lambda: stored(both, path[1:]) == MIB)
        offset = int(ask(both, path, "--head")["Upload-Offset"] or "")
        assert offset == MIB
        target.write_bytes(BODY[:offset])
        sender.send(BODY[MIB:])
        done = curl("-C", "-", "-o", str(target), both.url(path))
        assert done.returncode == 0, done.stderr
        sender.answer()
    assert sha(target.read_bytes()) == sha(BODY)
