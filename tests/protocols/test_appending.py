"""What a request wants of a log: each query, and each that cannot be followed."""

import pytest

from filepipe.errors import BadRequest
from filepipe.journal.frames import Mark
from filepipe.protocols.appending import (
    Append,
    read_offset,
    wanted_append,
    wanted_mark,
    wanted_start,
    wants_events,
)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({}, Append(None, False, True, None)),
        ({"offset": "0", "close": ""}, Append(0, True, True, None)),
        ({"durability": "async", "ttl": "5m"}, Append(None, False, False, 300.0)),
        ({"durability": "sync"}, Append(None, False, True, None)),
    ],
)
def test_a_query_that_is_understood(query, wanted):
    """Each of its parts may be left out."""
    assert wanted_append({"append": "", **query}) == wanted


@pytest.mark.parametrize(
    "query",
    [
        {"append": "yes"},
        {"close": "no"},
        {"offset": ""},
        {"offset": "-1"},
        {"offset": "1e3"},
        {"offset": "٣"},
        {"offset": "9" * 20},
        {"durability": "never"},
        {"ttl": "0"},
        {"ttl": "soon"},
    ],
    ids=str,
)
def test_a_query_that_is_not(query):
    """A sentence, and never a guess."""
    with pytest.raises(BadRequest):
        wanted_append(query)


@pytest.mark.parametrize(
    ("query", "seen", "start"),
    [
        ({}, None, None),
        ({"offset": "3"}, None, 3),
        ({"offset": "now"}, None, 10),
        ({"offset": "3"}, "7", 7),
        ({}, "10", 10),
        ({}, "", None),
    ],
)
def test_where_a_reader_begins(query, seen, start):
    """An event that was seen beats the query."""
    assert wanted_start({"follow": "", **query}, seen, 10) == start


@pytest.mark.parametrize(
    ("query", "seen"),
    [
        ({"follow": "1"}, None),
        ({"offset": "11"}, None),
        ({"offset": "x"}, None),
        ({}, "11"),
        ({}, "-"),
    ],
)
def test_where_nobody_can_begin(query, seen):
    """Behind the end, or nowhere."""
    with pytest.raises(BadRequest):
        wanted_start(query, seen, 10)


def test_the_name_of_what_is_no_offset_is_told():
    """It may be a header."""
    with pytest.raises(BadRequest, match="Last-Event-ID"):
        read_offset("x", "Last-Event-ID")


def test_the_record_of_a_producer():
    """All three headers, or none."""
    headers = {"Producer-Id": "sensor 1", "Producer-Epoch": "0", "Producer-Seq": "15"}
    assert wanted_mark(headers) == Mark("sensor 1", 0, 15)
    assert wanted_mark({}) is None
    for name in headers:
        with pytest.raises(BadRequest):
            wanted_mark({each: value for each, value in headers.items() if each != name})
        for value in ("", "-1", "x" * 257, "\u202e"):
            if name != "Producer-Id" or value != "-1":
                with pytest.raises(BadRequest):
                    wanted_mark({**headers, name: value})


def test_who_wants_events():
    """Wherever it stands in the list."""
    assert wants_events("text/html, Text/Event-Stream;q=0.9")
    assert not wants_events("*/*")
    assert not wants_events(None)
