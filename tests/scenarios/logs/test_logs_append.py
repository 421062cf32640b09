"""Appending with the real curl: records, sessions, offsets, closing, and each refusal."""

from __future__ import annotations

from tests.conftest import Daemon, curl, eventually, start_curl
from tests.scenarios.logs.asking import Answer, append, ask, begin, finish, say
from tests.scenarios.peers import MIB, Upload, body_of, readers, sha, stored


def test_a_record_is_answered_with_the_end(shared: Daemon, path: str) -> None:
    """As a header and as one line; what is there can be read at once."""
    for text, end in ((b"one\n", 4), (b"two\n", 8), (b"", 8)):
        answer = append(shared, path, text)
        assert (answer.status, answer.text, answer.end) == (200, f"{end}\n", end)
        assert answer["Access-Control-Allow-Origin"] == "*"
    assert ask(shared, path).body == b"one\ntwo\n"


def test_post_is_put(shared: Daemon, path: str) -> None:
    """And what curl says of `-d` is not taken for the type of the log."""
    assert ask(shared, f"{path}?append", "-d", "one").status == 200
    answer = ask(shared, path)
    assert (answer.body, answer["Content-Type"]) == (b"one", "application/octet-stream")


def test_the_type_is_that_of_the_first(shared: Daemon, path: str) -> None:
    """Whoever appends later says nothing of the whole."""
    append(shared, path, b"one", "", "-H", "Content-Type: text/plain; charset=utf-8")
    append(shared, path, b"two", "", "-H", "Content-Type: text/html")
    assert ask(shared, path)["Content-Type"] == "text/plain; charset=utf-8"


def test_a_stream_is_a_session(shared: Daemon, path: str) -> None:
    """Its bytes can be read while it goes on, and nobody else appends."""
    session = begin(shared, path)
    say(session, b"first ")
    eventually(lambda: stored(shared, path[1:]) == 6)
    assert ask(shared, path).body == b"first "
    for chunked in (False, True):
        answer = append(shared, path, b"not mine", chunked=chunked)
        assert (answer.status, answer["X-Error-Code"]) == (409, "writer_present")
    say(session, b"second")
    answer = finish(session)
    assert (answer.status, answer.text, answer.end) == (200, "12\n", 12)
    assert append(shared, path, b"!").end == 13
    assert ask(shared, path).body == b"first second!"


def test_a_large_body_arrives_whole(shared: Daemon, path: str) -> None:
    """With its length or without."""
    body = body_of(3 * MIB)
    for chunked in (False, True):
        append(shared, path, body, chunked=chunked)
    assert sha(ask(shared, path).body) == sha(body + body)


def test_an_offset_must_be_the_end(shared: Daemon, path: str) -> None:
    """A record, a session; the refusal says where the end is."""
    assert append(shared, path, b"12345", "&offset=0").status == 200
    for chunked in (False, True):
        for offset in (0, 4, 6):
            answer = append(shared, path, b"x", f"&offset={offset}", chunked=chunked)
            assert (answer.status, answer["X-Error-Code"], answer.end) == (409, "not_at_end", 5)
            assert answer.text == f"the log ends at offset 5, not {offset}\n"
    assert append(shared, path, b"", "&offset=4").status == 409
    assert append(shared, path, b"67", "&offset=5", chunked=True).end == 7
    assert append(shared, path, b"8", "&offset=7").end == 8


def test_a_wrong_offset_makes_no_log(shared: Daemon, path: str) -> None:
    """Nothing is there, and so it ends at 0."""
    answer = append(shared, path, b"x", "&offset=5")
    assert (answer.status, answer.end) == (409, 0)
    assert ask(shared, f"{path}?wait=0").status == 404


def test_closing_is_for_ever(shared: Daemon, path: str) -> None:
    """With the last bytes or after them; closing again is fine, appending is not."""
    answer = append(shared, path, b"all", "&close")
    assert (answer.status, answer.end, answer["Stream-Closed"]) == (200, 3, "true")
    for data, chunked in ((b"more", False), (b"more", True)):
        answer = append(shared, path, data, chunked=chunked)
        assert (answer.status, answer["X-Error-Code"], answer.end) == (409, "log_closed", 3)
        assert answer["Stream-Closed"] == "true"
    assert append(shared, path, b"", "&close").status == 200
    assert ask(shared, path, "--head")["Stream-Closed"] == "true"


def test_a_session_can_close(shared: Daemon, path: str) -> None:
    """At its end."""
    session = begin(shared, path, "&close")
    say(session, b"all")
    answer = finish(session)
    assert (answer.end, answer["Stream-Closed"]) == (3, "true")


def test_asynchronous_is_echoed(shared: Daemon, path: str) -> None:
    """So that nobody takes it for the usual promise."""
    assert append(shared, path, b"x", "&durability=async")["Stream-Durability"] == "async"
    assert "stream-durability" not in append(shared, path, b"x").headers


def test_a_producer(shared: Daemon, path: str) -> None:
    """Whose answer was lost sends the record again, and it is there once."""

    def produce(epoch: int, number: int, data: bytes, *, chunked: bool = False) -> Answer:
        headers = ("-H", "Producer-Id: me", "-H", f"Producer-Epoch: {epoch}")
        return append(
            shared, path, data, "", *headers, "-H", f"Producer-Seq: {number}", chunked=chunked
        )

    for _ in range(2):
        answer = produce(0, 0, b"zero ")
        assert (answer.status, answer.end) == (200, 5)
    assert produce(0, 1, b"one ").end == 9
    gap = produce(0, 3, b"three")
    assert (gap.status, gap["X-Error-Code"]) == (409, "sequence_gap")
    assert (gap["Producer-Expected-Seq"], gap["Producer-Received-Seq"]) == ("2", "3")
    assert produce(1, 0, b"anew").end == 13
    stale = produce(0, 2, b"two")
    assert (stale.status, stale["Producer-Epoch"]) == (403, "1")
    assert produce(2, 5, b"x").status == 400
    assert produce(1, 1, b"x", chunked=True).status == 400
    assert ask(shared, path).body == b"zero one anew"


def test_a_large_record_of_a_producer(shared: Daemon, path: str) -> None:
    """Up to 1 MiB it is there once, or not at all."""
    producer = ("-H", "Producer-Id: me", "-H", "Producer-Epoch: 0", "-H", "Producer-Seq: 0")
    data = body_of(MIB)
    assert append(shared, path, data + b"x", "", *producer).status == 400
    for _ in range(2):
        assert append(shared, path, data, "", *producer).end == MIB
    assert ask(shared, path).body == data


def test_a_lost_session_leaves_what_arrived(shared: Daemon, path: str) -> None:
    """The next one goes on where it ended."""
    with Upload(shared, f"{path}?append") as lost:
        lost.send(b"part")
        eventually(lambda: stored(shared, path[1:]) == 4)
    eventually(lambda: append(shared, path, b"", "&offset=4").status == 200)
    assert ask(shared, path, "--head").end == 4
    assert append(shared, path, b" and rest", "&offset=4", chunked=True).end == 13
    assert ask(shared, path).body == b"part and rest"


def test_a_lost_record_leaves_nothing(shared: Daemon, path: str) -> None:
    """It is whole, or not there."""
    append(shared, path, b"whole")
    with Upload(shared, f"{path}?append", 10) as lost:
        lost.send(b"half ")
    with Upload(shared, f"{path}?append", 10) as broken:
        broken.send(b"half ")
        broken.half_close()
        broken.answer()
    assert append(shared, path, b"!").end == 6
    assert ask(shared, path).body == b"whole!"


def test_a_key_has_one_kind(shared: Daemon, path: str) -> None:
    """A pipe is no log, and no log is a pipe."""
    append(shared, path, b"log")
    assert ask(shared, path, "-T", __file__).status == 409
    assert ask(shared, path, "-d", "x").status == 409
    pipe = f"{path}-pipe"
    assert ask(shared, pipe, "-T", __file__).status == 200
    assert append(shared, pipe, b"x").status == 409
    assert ask(shared, f"{pipe}?follow").status == 409


def test_what_is_refused(shared: Daemon, path: str) -> None:
    """Each with 400 and one sentence, and nothing is made."""
    form = ("-F", "file=@" + __file__)
    refused = [
        append(shared, path, b"x", "=yes"),
        append(shared, path, b"x", "&offset=-1"),
        append(shared, path, b"x", "&durability=maybe"),
        append(shared, path, b"x", "&ttl=never"),
        append(shared, path, b"x", "&close=1"),
        append(shared, path, b"x", "", "-H", "Content-Range: bytes 0-0/1"),
        append(shared, path, b"x", "", "-H", "X-Forward-Url: http://localhost/"),
        append(shared, path, b"x", "", "-H", "If-Match: *"),
        append(shared, path, b"x", "", "-H", "If-None-Match: *"),
        append(shared, path, b"x", "", "-H", "Producer-Id: alone"),
        append(shared, path, b"x", "&offset=1&offset=1"),
        ask(shared, f"{path}?append", *form),
        ask(shared, f"{path}?append"),
        ask(shared, f"{path}?follow", "-d", "x"),
        ask(shared, f"{path}?follow", "-X", "DELETE"),
    ]
    for answer in refused:
        assert answer.status == 400
        assert answer.text.count("\n") == 1
    assert ask(shared, f"{path}?wait=0").status == 404


def test_deleting(shared: Daemon, path: str) -> None:
    """Who appends is told, who follows is cut, the key is free."""
    session = begin(shared, path)
    say(session, b"data")
    eventually(lambda: stored(shared, path[1:]) == 4)
    follower = start_curl("--no-buffer", shared.url(f"{path}?follow"))
    eventually(lambda: readers(shared, path[1:]) == 1)
    assert ask(shared, path, "-X", "DELETE").status == 204
    answer = finish(session)
    assert (answer.status, answer.text) == (502, "the key was deleted\n")
    out, _ = follower.communicate(timeout=30)
    assert (out, follower.returncode) == (b"data", 18)
    assert ask(shared, path, "-T", __file__).status == 200


def test_a_look(shared: Daemon, path: str) -> None:
    """Length, ranges, and a tag that changes as the log grows."""
    append(shared, path, b"0123456789")
    head = ask(shared, path, "--head")
    assert (head["Content-Length"], head.end) == ("10", 10)
    assert ask(shared, path, "-r", "2-4").body == b"234"
    assert ask(shared, path, "-r", "20-").status == 416
    assert ask(shared, path, "-H", f"If-None-Match: {head['ETag']}").status == 304
    append(shared, path, b"!")
    changed = ask(shared, path, "-H", f"If-None-Match: {head['ETag']}")
    assert (changed.status, changed.body) == (200, b"0123456789!")
    assert curl(shared.url(f"/-/file-pipe{path}")).stdout == b"0123456789!"
