"""PUT, HEAD and DELETE of a stream."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from filepipe.journal.files import name_of
from tests.conftest import eventually
from tests.scenarios.answers import Answer
from tests.scenarios.mount import Mount
from tests.scenarios.streams.wire import CLOSED, JSON, TEXT, add, at, create, get


def test_a_stream_is_created_once(front: Mount, path: str) -> None:
    """201 with its URL, then 200; the first bytes are there once."""
    first = create(front, path, b"hello")
    assert (first.status, first["Location"]) == (201, f"http://localhost{front.base}{path}")
    assert (first["Stream-Next-Offset"], first["Content-Type"]) == (at(5), "text/plain")
    again = create(front, path, b"hello")
    assert (again.status, again["Stream-Next-Offset"], again["Location"]) == (200, at(5), None)
    assert get(front, path).body == b"hello"


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ((TEXT,), ("Content-Type: Text/Plain; charset=utf-8",), 200),
        ((TEXT,), (JSON,), 409),
        ((), ("Content-Type: application/octet-stream",), 200),
        (("Stream-TTL: 60",), ("Stream-TTL: 60",), 200),
        (("Stream-TTL: 60",), ("Stream-TTL: 61",), 409),
        (("Stream-TTL: 60",), (), 409),
        (("Stream-Expires-At: 2090-01-01T00:00:00Z",),
         ("Stream-Expires-At: 2090-01-01T01:00:00+01:00",), 200),
        (("Stream-Expires-At: 2090-01-01T00:00:00Z",), (), 409),
        ((TEXT, CLOSED), (TEXT, CLOSED), 200),
        ((TEXT, CLOSED), (TEXT,), 409),
        ((TEXT,), (TEXT, CLOSED), 409),
    ],
)  # fmt: skip
def test_the_same_stream_or_another_one(
    streams: Mount, path: str, first: tuple[str, ...], second: tuple[str, ...], status: int
) -> None:
    """Type, lifetime and closure decide."""
    assert streams.give("PUT", path, b"", *first).status == 201
    assert streams.give("PUT", path, b"", *second).status == status


@pytest.mark.parametrize(
    "headers",
    [
        ("Stream-TTL: 007",),
        ("Stream-TTL: 1", "Stream-Expires-At: 2090-01-01T00:00:00Z"),
        ("Stream-Expires-At: soon",),
        ("Content-Type: nonsense",),
    ],
)
def test_nothing_is_created_for_a_bad_request(
    streams: Mount, path: str, headers: tuple[str, ...]
) -> None:
    """400 with one sentence, and 404 afterwards."""
    answer = streams.give("PUT", path, b"", *headers)
    assert (answer.status, answer.text.count("\n")) == (400, 1)
    assert get(streams, path).status == 404


@pytest.mark.parametrize("header", ["Forked-From: /streams/other", "Fork-Offset: -1"])
def test_13_forks(streams: Mount, path: str, header: str) -> None:
    """Are refused, where an ordinary stream would be a wrong answer."""
    answer = create(streams, path, b"", TEXT, f"Stream-{header}")
    assert (answer.status, answer.text.count("\n")) == (400, 1)
    assert get(streams, path).status == 404


def test_a_closed_stream_is_created_whole(streams: Mount, path: str) -> None:
    """Its first bytes are its last ones."""
    answer = create(streams, path, b"all", TEXT, CLOSED)
    assert (answer.status, answer["Stream-Closed"]) == (201, "true")
    assert add(streams, path, b"more").status == 409


def test_looking(streams: Mount, path: str) -> None:
    """HEAD tells all that is known, and is never cached."""
    streams.give("PUT", path, b"12345", TEXT, "Stream-TTL: 90")
    seen = streams.ask("HEAD", path)
    assert (seen.status, seen.body) == (200, b"")
    assert (seen["Stream-Next-Offset"], seen["Stream-TTL"]) == (at(5), "90")
    assert (seen["Content-Type"], seen["Cache-Control"]) == ("text/plain", "no-store")
    assert seen["Stream-Closed"] is None


def test_a_moment_is_told(streams: Mount, path: str) -> None:
    """In UTC."""
    streams.give("PUT", path, b"", "Stream-Expires-At: 2090-01-01T01:00:00+01:00")
    assert streams.ask("HEAD", path)["Stream-Expires-At"] == "2090-01-01T00:00:00Z"


def test_removing(front: Mount, path: str) -> None:
    """Then nothing is there, and another one can be created."""
    create(front, path, b"x")
    assert front.ask("DELETE", path).status == 204
    for method in ("GET", "HEAD", "DELETE"):
        assert front.ask(method, path).status == 404
    assert add(front, path, b"x").status == 404
    assert create(front, path, b"", JSON).status == 201


def test_02_removing_is_a_setting(strict: Mount, path: str) -> None:
    """Without it DELETE is 405, and OPTIONS does not name it."""
    mount = strict
    create(mount, path)
    refused = mount.ask("DELETE", path)
    assert (refused.status, "DELETE" in str(refused["Allow"])) == (405, False)
    assert "DELETE" not in str(mount.ask("OPTIONS", path)["Allow"])


def test_unused_streams_go(streams: Mount, path: str) -> None:
    """After their seconds; reading begins them anew, looking does not."""
    streams.give("PUT", path, b"", TEXT, "Stream-TTL: 1")
    other = f"{path}-moment"
    past = "Stream-Expires-At: 2020-01-01T00:00:00Z"
    for ask in (get, lambda *_: None):  # it makes room, whoever finds first that it is over
        assert streams.give("PUT", other, b"x", TEXT, past).status == 201
        ask(streams, other)
        answer = streams.give("PUT", other, b"", JSON)
        assert (answer.status, answer["Stream-Next-Offset"]) == (201, at(0))
        streams.ask("DELETE", other)
    streams.give("PUT", other, b"", TEXT, past)
    assert get(streams, other).status == 404
    eventually(lambda: streams.ask("HEAD", path).status == 404)


def test_what_a_use_is(streams: Mount, path: str) -> None:
    """Reading and appending begin the seconds anew, as far as they count; looking does not."""
    streams.give("PUT", path, b"", TEXT, "Stream-TTL: 1000")
    name = name_of(path[1:]) + ".data"
    data = streams.daemon.data_dir / "filepipe/logs" / name
    uses: list[tuple[Callable[[], Answer], bool]] = [
        (lambda: streams.ask("HEAD", path), False),
        (lambda: streams.give("PUT", path, b"", TEXT, "Stream-TTL: 1000"), False),
        (lambda: get(streams, path), True),
        (lambda: get(streams, path, "offset=now"), True),
        (lambda: get(streams, path, "offset=now&live=long-poll&wait=0"), True),
        (lambda: add(streams, path, b"x"), True),
        (lambda: add(streams, path, b"x", JSON), False),
        (lambda: streams.give("POST", path, b"", CLOSED), True),
    ]
    for number, (use, counts) in enumerate(uses):
        long_ago = data.stat().st_mtime - 100
        os.utime(data, (long_ago, long_ago))
        assert use().status in (200, 204, 409)
        assert (data.stat().st_mtime > long_ago + 50) is counts, number


def test_01_an_offset_of_a_stream_before(streams: Mount, path: str) -> None:
    """It is one of the new stream, or behind its end."""
    create(streams, path, b"0123456789")
    streams.ask("DELETE", path)
    create(streams, path, b"abcde")
    assert get(streams, path, f"offset={at(3)}").body == b"de"
    assert get(streams, path, f"offset={at(10)}").status == 400


@pytest.mark.parametrize("path", ["/", "/state", "/-/x", "/files/x", "/a//b", "/a/../b", "/a%2Fb"])
def test_12_names_that_cannot_be(streams: Mount, path: str) -> None:
    """400, and nothing is made."""
    assert create(streams, path).status in (400, 404)


def test_12_a_key_in_use(auto: Mount, streams: Mount, path: str) -> None:
    """What is there by another protocol is no stream."""
    assert auto.give("PUT", path, b"a pipe").status == 200
    assert create(streams, path).status == 409
    assert get(streams, path).status == 409
    assert add(streams, path, b"x").status == 409


def test_other_methods(streams: Mount, path: str) -> None:
    """405 with those that there are."""
    answer = streams.ask("PATCH", path)
    assert (answer.status, answer["Allow"]) == (405, "GET, HEAD, POST, PUT, OPTIONS, DELETE")
