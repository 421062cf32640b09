"""Streams of JSON: values in, arrays out, one a line in the log."""

from __future__ import annotations

import json

import pytest

from filepipe.web.stream_looks import LONGEST_LINE
from tests.conftest import eventually
from tests.scenarios.mount import Mount
from tests.scenarios.peers import readers, sha
from tests.scenarios.streams.wire import CLOSED, JSON, add, at, control, create, events, get


def test_values(front: Mount, auto: Mount, path: str) -> None:
    """Arrays are taken apart once; the log has a value a line."""
    create(front, path, b"[]", JSON)
    assert get(front, path).body == b"[]"
    for body in (b'{"a": 1}', b'[1, "x"]', b"[[2]]"):
        assert add(front, path, body, JSON).status == 204
    answer = get(front, path)
    assert (answer["Content-Type"], answer["Stream-Up-To-Date"]) == ("application/json", "true")
    assert json.loads(answer.body) == [{"a": 1}, 1, "x", [2]]
    assert auto.curl(path).body == b'{"a": 1}\n1\n"x"\n[2]\n'


def test_the_first_values(streams: Mount, path: str) -> None:
    """Those of PUT."""
    assert create(streams, path, b"[1, 2]", JSON)["Stream-Next-Offset"] == at(4)
    assert get(streams, path).body == b"[1,2]"


@pytest.mark.parametrize("body", [b"[]", b"{", b"[1,]", b"NaN", b"\xff", b"[" * 50_000])
def test_what_is_no_value(streams: Mount, path: str, body: bytes) -> None:
    """400, also when it creates; an empty array creates an empty stream."""
    create(streams, path, b"", JSON)
    assert add(streams, path, body, JSON).status == 400
    assert get(streams, path).body == b"[]"
    if body != b"[]":
        assert create(streams, f"{path}-new", body, JSON).status == 400


def test_in_several_answers(streams: Mount, path: str) -> None:
    """What is too much for one answer comes in the next; no value is cut."""
    values = [{"number": number, "text": "x" * 500} for number in range(1000)]
    create(streams, path, json.dumps(values).encode(), JSON)
    found, offset, answers = [], "-1", 0
    while True:
        answer = get(streams, path, f"offset={offset}")
        found += json.loads(answer.body)
        offset, answers = str(answer["Stream-Next-Offset"]), answers + 1
        if answer["Stream-Up-To-Date"] == "true":
            break
    assert found == values
    assert answers > 2


def test_07_an_offset_inside_a_value(streams: Mount, path: str) -> None:
    """It was handed out to nobody."""
    create(streams, path, b"[123, 4]", JSON)
    assert get(streams, path, "offset=1").status == 400
    assert get(streams, path, "offset=4").body == b"[4]"


def test_live(streams: Mount, path: str) -> None:
    """By long polls and events, arrays, too."""
    create(streams, path, b"[1]", JSON)
    with streams.receiver(f"{path}?offset=2&live=long-poll") as poll:
        eventually(lambda: readers(streams.daemon, path[1:]))
        add(streams, path, b"[2, 3]", JSON)
        assert (poll.begin(), poll.rest()) == (200, b"[2,3]")
    streams.give("POST", path, b"", CLOSED)
    found = events(get(streams, path, "offset=-1&live=sse").body)
    assert found[0] == ("data", "[1,2,3]")
    assert control(found[1][1])["streamClosed"] is True
    assert get(streams, path, "offset=now").body == b"[]"


def test_07_lines_that_others_append(auto: Mount, streams: Mount, path: str) -> None:
    """A line is a value when it is whole; what is no JSON is a string; nothing is lost."""
    create(streams, path, b"[1]", JSON)
    auto.give("POST", f"{path}?append", b'{"b": 2}\nnot json\nhalf')
    seen = get(streams, path)
    assert json.loads(seen.body) == [1, {"b": 2}, "not json"]
    assert (seen["Stream-Next-Offset"], seen["Stream-Up-To-Date"]) == (at(20), "true")
    assert streams.ask("HEAD", path)["Stream-Next-Offset"] == at(20)
    assert get(streams, path, f"offset={at(20)}&live=long-poll&wait=0").status == 204
    add(streams, path, b"4", JSON)
    assert json.loads(get(streams, path, f"offset={at(20)}").body) == ["half", 4]
    auto.give("POST", f"{path}?append&close", b"5")
    last = get(streams, path)
    assert json.loads(last.body)[-1] == 5
    assert last["Stream-Closed"] == "true"


def test_07_a_line_that_is_too_long(auto: Mount, streams: Mount, path: str) -> None:
    """It comes in pieces, as if each were a line: no stranger makes a stream unreadable."""
    create(streams, path, b"[1]", JSON)
    long = "ä".encode() * (LONGEST_LINE // 2 + 1000)
    auto.give("POST", f"{path}?append", b"x" + long)
    tail = str(streams.ask("HEAD", path)["Stream-Next-Offset"])
    assert (tail, get(streams, path, f"offset={tail}").body) == (at(3 + len(long)), b"[]")
    auto.give("POST", f"{path}?append&close", b"rest\n2\n")
    found, offset, over = [], "-1", None
    while not over:
        answer = get(streams, path, f"offset={offset}&live=long-poll")
        assert answer.status == 200
        found += json.loads(answer.body)
        offset, over = str(answer["Stream-Next-Offset"]), answer["Stream-Closed"]
    shown = events(get(streams, path, "offset=-1&live=sse").body)
    live = [value for name, data in shown if name == "data" for value in json.loads(data)]
    for first, *pieces, last in (found, live):
        assert (first, len(pieces), last) == (1, 2, 2)
        assert sha("".join(pieces).encode()) == sha(b"x" + long + b"rest")
    assert json.loads(get(streams, path, f"offset={tail}").body) == ["rest", 2]
