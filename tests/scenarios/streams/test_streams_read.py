"""GET of a stream: at once, by long polls, as events; and as what else the key is."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable

import pytest

from tests.conftest import Daemon, eventually, read_until
from tests.scenarios.httpfstream.wire import Wire
from tests.scenarios.mount import Mount
from tests.scenarios.peers import readers
from tests.scenarios.streams.wire import CLOSED, TEXT, add, at, control, create, events, get

ACKS = "Sec-WebSocket-Protocol: filepipe.append"
BYTES = "Content-Type: application/octet-stream"


def test_from_any_offset(front: Mount, path: str) -> None:
    """To the end, which is told."""
    create(front, path, b"0123456789")
    for query, body in (("", b"0123456789"), ("offset=-1", b"0123456789"), ("offset=4", b"456789")):
        answer = get(front, path, query)
        assert (answer.status, answer.body) == (200, body)
        assert (answer["Stream-Next-Offset"], answer["Stream-Up-To-Date"]) == (at(10), "true")
        assert answer["Cache-Control"] == "private, max-age=60, stale-while-revalidate=300"
        assert answer["Stream-Closed"] is None
    empty = get(front, path, f"offset={at(10)}")
    assert (empty.status, empty.body, empty["Stream-Next-Offset"]) == (200, b"", at(10))


def test_08_from_now(streams: Mount, path: str) -> None:
    """Nothing of what is there, without a tag, and nobody keeps it."""
    create(streams, path, b"history")
    answer = get(streams, path, "offset=now")
    assert (answer.status, answer.body, answer["Stream-Next-Offset"]) == (200, b"", at(7))
    assert (answer["ETag"], answer["Cache-Control"]) == (None, "no-store")


def test_a_tag(streams: Mount, path: str) -> None:
    """304 while nothing is new; closing is something new."""
    create(streams, path, b"abc")
    tag = get(streams, path)["ETag"]
    same = get(streams, path, "offset=-1", f"If-None-Match: {tag}")
    assert (same.status, same["Stream-Next-Offset"]) == (304, at(3))
    streams.give("POST", path, b"", CLOSED)
    closed = get(streams, path, "offset=-1", f"If-None-Match: {tag}")
    assert (closed.status, closed["Stream-Closed"]) == (200, "true")


@pytest.mark.parametrize(
    "query",
    ["offset=", "offset=x", "offset=99", "offset=1,2", "offset=-2", "live=sse",
     "offset=-1&live=maybe", "offset=-1&offset=-1", "offset=-1&live=sse&wait=never",
     "offset=-1&live=long-poll&wait=1h"],
)  # fmt: skip
def test_what_cannot_be_read(streams: Mount, path: str, query: str) -> None:
    """400 with one sentence."""
    create(streams, path, b"abc")
    answer = get(streams, path, query)
    assert (answer.status, answer.text.count("\n")) == (400, 1)


def test_a_large_stream(streams: Mount, path: str) -> None:
    """All of it in one answer, byte for byte."""
    data = bytes(range(256)) * 8192
    streams.give("PUT", path, data, BYTES)
    assert get(streams, path).body == data
    assert get(streams, path, "offset=1").body == data[1:]


def test_a_long_poll_with_data(streams: Mount, path: str) -> None:
    """At once, if there is some; else when it comes."""
    create(streams, path, b"ab")
    there = get(streams, path, "offset=1&live=long-poll")
    assert (there.status, there.body) == (200, b"b")
    with streams.receiver(f"{path}?offset=now&live=long-poll") as reader:
        eventually(lambda: readers(streams.daemon, path[1:]))
        add(streams, path, b"cd")
        assert (reader.begin(), reader.rest()) == (200, b"cd")
        assert reader.response.getheader("Stream-Next-Offset") == at(4)


def test_a_long_poll_without_data(streams: Mount, path: str) -> None:
    """204 with everything to go on; the cursor rises above the one that was told."""
    create(streams, path, b"ab")
    first = get(streams, path, "offset=2&live=long-poll&wait=0")
    assert (first.status, first.body, first["Cache-Control"]) == (204, b"", "no-store")
    assert (first["Stream-Next-Offset"], first["Stream-Up-To-Date"]) == (at(2), "true")
    cursor = first["Stream-Cursor"]
    second = get(streams, path, f"offset=2&live=long-poll&wait=0&cursor={cursor}")
    assert int(str(second["Stream-Cursor"])) > int(str(cursor))


def test_01_a_long_poll_ends_with_the_stream(streams: Mount, path: str) -> None:
    """When it is closed, or was; when it is removed."""
    create(streams, path, b"ab")
    ends = [("POST", 204), ("DELETE", 410)]
    for method, status in ends:
        create(streams, f"{path}-{method}", b"ab")
        with streams.receiver(f"{path}-{method}?offset=2&live=long-poll") as reader:
            eventually(lambda key=f"{path[1:]}-{method}": readers(streams.daemon, key))
            streams.give(method, f"{path}-{method}", b"", CLOSED)
            assert reader.begin() == status
    closed = get(streams, f"{path}-POST", "offset=2&live=long-poll")
    assert (closed.status, closed["Stream-Closed"]) == (204, "true")


def test_a_closed_stream_is_not_waited_for(streams: Mount, path: str) -> None:
    """204 at once, with the closure; its last bytes come before."""
    create(streams, path, b"ab", TEXT, CLOSED)
    last = get(streams, path, "offset=0&live=long-poll")
    assert (last.status, last.body, last["Stream-Closed"]) == (200, b"ab", "true")
    over = get(streams, path, "offset=2&live=long-poll")
    assert (over.status, over["Stream-Closed"]) == (204, "true")


def test_events(streams: Mount, path: str) -> None:
    """History, then live, each with where to go on; the last one says that it is closed."""
    create(streams, path, b"old\ntext")
    with streams.receiver(f"{path}?offset=-1&live=sse") as reader:
        assert reader.begin() == 200
        assert reader.response.getheader("Content-Type") == "text/event-stream"
        eventually(lambda: readers(streams.daemon, path[1:]))
        add(streams, path, "new €".encode())
        add(streams, path, b"!", CLOSED)
        found = events(reader.rest())
    text = "".join(data for name, data in found if name == "data")
    assert text == "old\ntextnew €!"
    last = control(found[-1][1])
    assert last == {"streamNextOffset": at(16), "upToDate": True, "streamClosed": True}
    assert "streamCursor" in control(found[1][1])


def test_11_events_end_by_themselves(streams: Mount, path: str) -> None:
    """After their time, with nothing lost: whoever comes again goes on."""
    create(streams, path)
    found = events(get(streams, path, "offset=now&live=sse&wait=0.2").body)
    assert [name for name, _ in found] == ["control"]
    assert control(found[0][1])["upToDate"] is True


def test_events_of_bytes(streams: Mount, path: str) -> None:
    """In base64, and the header says so."""
    streams.give("PUT", path, b"\xff\x00", BYTES, CLOSED)
    answer = get(streams, path, "offset=-1&live=sse")
    assert answer["stream-sse-data-encoding"] == "base64"
    assert events(answer.body)[0] == ("data", "/wA=")


def test_11_a_character_in_two_appends(streams: Mount, path: str) -> None:
    """It is shown when it is whole, and the offset before is in front of it."""
    euro = "€".encode()
    create(streams, path, b"a" + euro[:1])
    found = events(get(streams, path, "offset=-1&live=sse&wait=0.2").body)
    assert found[0] == ("data", "a")
    assert control(found[1][1])["streamNextOffset"] == at(1)
    add(streams, path, euro[1:])
    found = events(get(streams, path, "offset=1&live=sse&wait=0.2").body)
    assert found[0] == ("data", "€")


def test_10_a_reader_who_waits_in_a_drain(start: Callable[..., Daemon]) -> None:
    """503 to a long poll; events are cut; the daemon does not wait for them."""
    daemon = start()
    mount = Mount(daemon, 0, "/streams")
    create(mount, "/s")
    asked = b"GET /streams/s?offset=now&live=sse HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with mount.receiver("/s?offset=now&live=long-poll") as poll, daemon.connect(asked) as events:
        read_until(events, b"upToDate")
        eventually(lambda: readers(daemon, "s") == 2)
        daemon.process.send_signal(signal.SIGTERM)
        assert poll.begin() == 503
        while events.recv(65536):
            pass
    assert daemon.process.wait(30) == 0


def test_one_key_by_two_protocols(auto: Mount, streams: Mount, path: str) -> None:
    """`?append` and `?follow` of `auto` are at the same log; both see the same bytes."""
    assert auto.give("POST", f"{path}?append", b"one ", TEXT).status == 200
    add(streams, path, b"two ")
    with (
        auto.receiver(f"{path}?follow") as follower,
        streams.receiver(f"{path}?offset=-1&live=sse") as reader,
    ):
        assert (follower.begin(), reader.begin()) == (200, 200)
        auto.give("POST", f"{path}?append", b"three ", TEXT)
        add(streams, path, b"four", CLOSED)
        assert follower.rest() == b"one two three four"
        text = "".join(data for name, data in events(reader.rest()) if name == "data")
        assert text == "one two three four"
    assert auto.curl(path)["Stream-Closed"] == "true"


def test_a_websocket_at_the_same_key(auto: Mount, streams: Mount, path: str) -> None:
    """Who appends by it is read by all at once; its end is one for those who came for it."""
    create(streams, path, b"one ")
    with (
        Wire(auto.daemon, f"{path}?verb=APPEND", ACKS) as appender,
        Wire(auto.daemon, path) as websocket,
        auto.receiver(f"{path}?follow") as follower,
        streams.receiver(f"{path}?offset=-1&live=sse") as reader,
        streams.receiver(f"{path}?offset=now&live=long-poll") as poll,
    ):
        assert websocket.join() == b"one "
        eventually(lambda: readers(streams.daemon, path[1:]) == 4)
        appender.say(b"two ")
        assert json.loads(appender.message().data) == {"offset": 8}
        assert (poll.begin(), poll.rest()) == (200, b"two ")
        refused = add(streams, path, b"not now")
        assert (refused.status, refused["X-Error-Code"]) == (409, "writer_present")
        assert appender.close().code == 1000
        assert websocket.live() == b"two "
        assert (follower.begin(), follower.rest()) == (200, b"one two ")
        add(streams, path, b"three", CLOSED)
        assert reader.begin() == 200
        text = "".join(data for name, data in events(reader.rest()) if name == "data")
        assert text == "one two three"


def test_a_stream_is_no_service_worker(streams: Mount, path: str) -> None:
    """As whatever strangers store."""
    create(streams, path, b"script")
    answer = get(streams, path, "offset=-1", "Service-Worker: script")
    assert answer.status == 403
    assert "sandbox" in str(get(streams, path)["Content-Security-Policy"])
