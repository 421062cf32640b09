"""Following with the real curl: history and live, from any offset, to the right end."""

from __future__ import annotations

import base64
import contextlib
import http.client
import subprocess
from collections.abc import Callable

import pytest

from tests.conftest import Daemon, eventually
from tests.scenarios.logs.asking import append, ask, begin, end_of, finish, follow, say
from tests.scenarios.peers import MIB, Download, body_of, readers, sha, stored


def follows(daemon: Daemon, path: str, number: int = 1) -> None:
    """Wait until so many follow."""
    eventually(lambda: readers(daemon, path[1:]) == number)


def test_before_during_and_after(shared: Daemon, path: str) -> None:
    """All of them get the same bytes; who came for the session ends with it."""
    early = follow(shared, path, "&wait=20")
    eventually(lambda: shared.state()["waiting_readers"] == 1)
    session = begin(shared, path)
    say(session, b"one ")
    follows(shared, path)
    late = follow(shared, path)
    follows(shared, path, 2)
    say(session, b"two ")
    middle = follow(shared, path, "&offset=4")
    follows(shared, path, 3)
    say(session, b"three")
    assert finish(session).status == 200
    assert end_of(early) == end_of(late) == (b"one two three", 0)
    assert end_of(middle) == (b"two three", 0)


def test_to_the_end_of_the_log(shared: Daemon, path: str) -> None:
    """Who comes when nobody appends stays over sessions and records until it is closed."""
    append(shared, path, b"history ")
    follower, tail = follow(shared, path), follow(shared, path, "&offset=now")
    follows(shared, path, 2)
    append(shared, path, b"session ", chunked=True)
    append(shared, path, b"record")
    append(shared, path, b"", "&close")
    assert end_of(follower) == (b"history session record", 0)
    assert end_of(tail) == (b"session record", 0)
    assert ask(shared, f"{path}?follow").body == b"history session record"


def test_a_lost_session_is_a_cut(shared: Daemon, path: str) -> None:
    """Its follower has every byte, and knows that more may come: it goes on at its offset."""
    session = begin(shared, path)
    say(session, b"part")
    eventually(lambda: stored(shared, path[1:]) == 4)
    follower = follow(shared, path)
    follows(shared, path)
    session.kill()
    session.communicate()
    data, code = end_of(follower)
    assert (data, code) == (b"part", 18)
    resumed = follow(shared, path, f"&offset={len(data)}")
    follows(shared, path)
    append(shared, path, b" rest", "&close")
    assert end_of(resumed) == (b" rest", 0)


def test_a_long_history(start: Callable[..., Daemon], each_path: str) -> None:
    """More than memory keeps, then live, then the end: each byte once, whoever moves them."""
    daemon = start(each_path)
    body = body_of(3 * MIB)
    append(daemon, "/log", body)
    starts = (0, 5, 2 * MIB, 3 * MIB)
    followers = [follow(daemon, "/log", f"&offset={start}") for start in starts]
    followers.append(follow(daemon, "/log", "", "--http1.0"))
    left = follow(daemon, "/log", "", "--limit-rate", "100K")
    follows(daemon, "/log", 6)
    left.kill()
    left.communicate()
    session = begin(daemon, "/log", "&close")
    for _ in range(20):
        say(session, body[:50_000])
    assert finish(session).end == len(body) + 1_000_000
    for begun, follower in zip((*starts, 0), followers, strict=True):
        data, code = end_of(follower)
        assert (sha(data), code) == (sha((body + body[:50_000] * 20)[begun:]), 0)
    daemon.assert_clean_log()


def test_a_range(shared: Daemon, path: str) -> None:
    """Open to its end; the last bytes; behind the end."""
    append(shared, path, b"0123456789", "&close")
    answer = ask(shared, f"{path}?follow", "-r", "4-")
    assert (answer.status, answer.body) == (206, b"456789")
    assert answer["Content-Range"] == "bytes 4-9007199254740991/*"
    assert ask(shared, f"{path}?follow", "-r", "-3").body == b"789"
    assert ask(shared, f"{path}?follow", "-r", "10-").body == b""
    answer = ask(shared, f"{path}?follow", "-r", "11-")
    assert (answer.status, answer["Content-Range"]) == (416, "bytes */10")
    assert ask(shared, f"{path}?follow", "-r", "2-3").status == 400
    assert ask(shared, f"{path}?follow&offset=11").status == 400


def test_a_log_is_no_service_worker(shared: Daemon, path: str) -> None:
    """Nor is it a page of ours: what strangers append runs nowhere."""
    append(shared, path, b"script", "&close", "-H", "Content-Type: text/html")
    assert ask(shared, f"{path}?follow", "-H", "Service-Worker: script").status == 403
    answer = ask(shared, f"{path}?follow")
    assert answer["Content-Security-Policy"].startswith("sandbox")
    assert (answer["X-Content-Type-Options"], answer["X-Accel-Buffering"]) == ("nosniff", "no")
    assert "stream-next-offset" not in answer.headers  # it would not be the end of this answer


def test_nobody_appends(shared: Daemon, path: str) -> None:
    """A log that never comes is 404 after the wait."""
    assert ask(shared, f"{path}?follow").status == 404


def test_http_1_0(shared: Daemon, path: str) -> None:
    """The end of the connection is the end of the log."""
    append(shared, path, b"data", "&close")
    answer = ask(shared, f"{path}?follow", "--http1.0")
    assert (answer.code, answer.body) == (0, b"data")
    assert "transfer-encoding" not in answer.headers


def test_many_followers(shared: Daemon, path: str) -> None:
    """Wherever they begin, each gets each byte from there."""
    body = body_of(2 * MIB)
    append(shared, path, body[:1000])
    followers = [Download(shared, f"{path}?follow&offset={10 * number}") for number in range(60)]
    session = begin(shared, path, "&close")
    for offset in range(1000, len(body), 40_000):
        say(session, body[offset : offset + 40_000])
    assert finish(session).end == len(body)
    for number, follower in enumerate(followers):
        with follower:
            assert follower.begin() == 200
            assert sha(follower.rest() or b"") == sha(body[10 * number :])


@pytest.mark.parametrize("live", [True, False])
def test_who_takes_nothing_is_cut_and_can_go_on(start: Callable[..., Daemon], live: bool) -> None:
    """At the limit, live or in the history; the log says where, the others have everything."""
    daemon = start("--stall-timeout", "1")
    body = body_of(16 * MIB)
    if not live:
        append(daemon, "/log", body, chunked=True)
    with Download(daemon, "/log?follow&wait=20", receive_buffer=64 * 1024) as stuck:
        well = follow(daemon, "/log", "&wait=20")
        if live:
            eventually(lambda: daemon.state()["waiting_readers"] == 2)
            append(daemon, "/log", body, chunked=True)
        else:
            append(daemon, "/log", b"", "&close")
        assert end_of(well) == (body, 0)
        eventually(lambda: cuts(daemon))
        assert stuck.begin() == 200
        got = b""
        with contextlib.suppress(http.client.IncompleteRead, ConnectionError):
            while piece := stuck.response.read1(65536):
                got += piece
    [offset] = cuts(daemon)
    assert 0 < len(got) <= offset < len(body)
    assert sha(got) == sha(body[: len(got)])
    append(daemon, "/log", b"", "&close")
    rest = ask(daemon, f"/log?follow&offset={len(got)}").body
    assert sha(got + rest) == sha(body)
    daemon.assert_clean_log()


def cuts(daemon: Daemon) -> list[int]:
    """The offsets at which followers were cut."""
    lines = (line for line in daemon.log() if "took nothing and was cut" in line["event"])
    return [line["offset"] for line in lines]


# -- events


def events(text: str) -> list[dict[str, str]]:
    """The fields of each event, its data lines joined."""
    found = []
    for block in text.split("\n\n")[:-1]:
        fields: dict[str, str] = {}
        for line in block.split("\n"):
            name, _, value = line.partition(": ")
            fields[name] = f"{fields[name]}\n{value}" if name in fields else value
        if not block.startswith(":"):
            found.append(fields)
    return found


EVENTS = ("-H", "Accept: text/event-stream")
TEXT = ("-H", "Content-Type: text/plain")


def test_events_of_text(shared: Daemon, path: str) -> None:
    """Data as they are; the ids lead on without gap or repeat."""
    append(shared, path, "grün\nrot".encode(), "", *TEXT)
    follower = follow(shared, path, "", *EVENTS)
    follows(shared, path)
    append(shared, path, b"!\n", "&close")
    data, code = end_of(follower)
    assert code == 0
    assert events(data.decode()) == [
        {"id": "9", "data": "grün\nrot"},
        {"id": "11", "data": "!\n"},
        {"event": "closed", "id": "11", "data": "11"},
    ]
    seen = ask(shared, f"{path}?follow&offset=0", *EVENTS, "-H", "Last-Event-ID: 9")
    assert seen["Content-Type"] == "text/event-stream; charset=utf-8"
    assert events(seen.text)[0] == {"id": "11", "data": "!\n"}
    over = ask(shared, f"{path}?follow", *EVENTS, "-H", "Last-Event-ID: 11")
    assert (over.status, over["Stream-Closed"]) == (204, "true")
    assert ask(shared, f"{path}?follow", *EVENTS, "-H", "Last-Event-ID: 12").status == 400


def test_events_of_bytes(shared: Daemon, path: str) -> None:
    """In base64, which a header says."""
    body = bytes(range(256)) * 400
    append(shared, path, body, "&close")
    answer = ask(shared, f"{path}?follow", *EVENTS)
    assert answer["stream-sse-data-encoding"] == "base64"
    found = events(answer.text)
    assert b"".join(base64.b64decode(each["data"]) for each in found[:-1]) == body


def test_events_end_with_their_session(shared: Daemon, path: str) -> None:
    """The last one says that it is not the end of the log."""
    session = begin(shared, path)
    say(session, b"data")
    eventually(lambda: stored(shared, path[1:]) == 4)
    follower: subprocess.Popen[bytes] = follow(shared, path, "", *EVENTS)
    follows(shared, path)
    finish(session)
    data, code = end_of(follower)
    assert (events(data.decode())[-1]["event"], code) == ("end", 0)
