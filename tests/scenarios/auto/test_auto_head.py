"""HEAD of a key in the protocol auto: all that GET would say, at once, and nothing consumed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.answers import ask, raw, talk, upload
from tests.scenarios.peers import MIB, Upload, key_of, stored


@pytest.mark.parametrize("size", [0, 5, 3 * MIB])
def test_the_same_as_get(both: Daemon, path: str, size: int) -> None:
    """A HEAD of a finished object has the headers of its GET, its length too, and no body."""
    labels = ("--header", "Content-Type: image/png", "--header", "Content-Encoding: gzip")
    upload(both, path, bytes(size), *labels)
    head, got = ask(both, path, "--head"), ask(both, path)
    assert (head.status, head.body) == (200, b"")
    passing = {"date", "x-request-id", "connection"}
    assert sorted(field for field in head.headers.items() if field[0].lower() not in passing) == (
        sorted(field for field in got.headers.items() if field[0].lower() not in passing)
    )
    assert head["Content-Length"] == str(size)
    assert head["Upload-Offset"] is None


def test_nobody_there(shared: Daemon, path: str) -> None:
    """A HEAD waits for nobody, whatever it asks for."""
    began = time.monotonic()
    answer = ask(shared, f"{path}?wait=1h", "--head", "--header", "Prefer: wait=1000")
    assert (answer.status, answer.body) == (404, b"")
    assert time.monotonic() - began < 40
    assert shared.state()["waiting_readers"] == 0


def test_growing_with_a_known_length(both: Daemon, path: str) -> None:
    """Both numbers are there: how far it is, and how far it will go."""
    with Upload(both, path, 2 * MIB, "Content-Type: text/plain") as sender:
        eventually(lambda: key_of(both, path[1:]))
        assert ask(both, path, "--head")["Upload-Offset"] == "0"
        sender.send(bytes(MIB))
        eventually(lambda: stored(both, path[1:]) == MIB)
        head = ask(both, path, "--head")
        assert head["Upload-Offset"] == str(MIB)
        assert head["Content-Length"] == str(2 * MIB)
        assert head["Content-Type"] == "text/plain"
        assert sender.finish(bytes(MIB)).startswith(b"HTTP/1.1 200 ")
    assert ask(both, path, "--head")["Upload-Offset"] is None


def test_growing_with_an_unknown_length(both: Daemon, path: str) -> None:
    """Only how far it is can be said."""
    with Upload(both, path) as sender:
        sender.send(b"hello")
        eventually(lambda: stored(both, path[1:]) == 5)
        head = ask(both, path, "--head")
        assert head["Upload-Offset"] == "5"
        assert head["Content-Length"] is None
        sender.finish()
    assert ask(both, path, "--head")["Content-Length"] == "5"


def test_a_range_is_not_looked_at(shared: Daemon, path: str) -> None:
    """Range means something in a GET only (RFC 9110, 14.2)."""
    upload(shared, path, b"hello")
    head = ask(shared, path, "--head", "--range", "99-")
    assert (head.status, head["Content-Length"]) == (200, "5")


def test_looking_is_not_reading(start: Callable[..., Daemon]) -> None:
    """However often somebody looks, the key goes when its time is over."""
    daemon = start("--retention", "1", "--wait", "0")
    upload(daemon, "/k", b"hello")
    eventually(lambda: ask(daemon, "/k", "--head").status == 404)


def test_keep_alive_after_a_head(shared: Daemon, path: str) -> None:
    """No byte of a body follows: the next answer on the connection is in its place."""
    upload(shared, path, bytes(100_000))
    requests = raw(f"HEAD {path} HTTP/1.1", "Connection: keep-alive") + raw("GET /ready HTTP/1.1")
    answer = talk(shared, requests)
    assert answer.status == 200
    assert answer.body.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.body.endswith(b'{"status": "ready"}')
