"""The wire rules of streams as a table: what headers and queries mean, and what is refused."""

import pytest

from filepipe.errors import BadRequest
from filepipe.journal.frames import Mark
from filepipe.protocols.streams import (
    CURSOR_EPOCH,
    Addition,
    Creation,
    Live,
    Reading,
    cursor,
    essence,
    read_addition,
    read_creation,
    read_offset,
    read_reading,
    write_moment,
    write_offset,
)

PLAIN = "application/octet-stream"
WHO = {"Producer-Id": "p", "Producer-Epoch": "0", "Producer-Seq": "7"}


@pytest.mark.parametrize(
    ("headers", "creation"),
    [
        ({}, Creation(PLAIN, None, None, False)),
        ({"Content-Type": "text/plain; charset=utf-8"},
         Creation("text/plain; charset=utf-8", None, None, False)),
        ({"Stream-TTL": "0"}, Creation(PLAIN, 0, None, False)),
        ({"Stream-TTL": "3600"}, Creation(PLAIN, 3600, None, False)),
        ({"Stream-Expires-At": "1970-01-01T00:01:00Z"}, Creation(PLAIN, None, 60.0, False)),
        ({"Stream-Expires-At": "1970-01-01T02:01:00.5+02:00"}, Creation(PLAIN, None, 60.5, False)),
        ({"Stream-Closed": "TRUE"}, Creation(PLAIN, None, None, True)),
        ({"Stream-Closed": "1"}, Creation(PLAIN, None, None, False)),
    ],
)  # fmt: skip
def test_creation(headers, creation):
    """The headers of PUT."""
    assert read_creation(headers) == creation


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Stream-TTL", value)
        for value in ("", "01", "+1", "-1", "1.0", "1e3", " 1", "9" * 17, "²")
    ]
    + [
        ("Stream-Expires-At", value)
        for value in (
            "", "tomorrow", "2030-01-31", "2030-01-31T12:00:00", "2030-02-31T12:00:00Z",
            "2030-01-31 12:00:00Z", "0000-01-01T00:00:00Z", "1767225600",
        )
    ]
    + [("Content-Type", "text"), ("Content-Type", "")]
    + [("Stream-Forked-From", "/streams/other"), ("Stream-Fork-Offset", "-1")],
)  # fmt: skip
def test_creation_refused(name, value):
    """What cannot be understood, and what is not there."""
    with pytest.raises(BadRequest):
        read_creation({name: value})


def test_two_ends_exclude_each_other():
    """A stream lives for a while, or until a moment."""
    with pytest.raises(BadRequest, match="exclude"):
        read_creation({"Stream-TTL": "1", "Stream-Expires-At": "2030-01-31T12:00:00Z"})


@pytest.mark.parametrize(
    ("headers", "addition"),
    [
        ({}, Addition(None, False, None, None)),
        ({"Stream-Closed": "true"}, Addition(None, True, None, None)),
        ({"Content-Type": "a/b", "Stream-Seq": "00 7"}, Addition("a/b", False, "00 7", None)),
        (WHO, Addition(None, False, None, Mark("p", 0, 7))),
    ],
)
def test_addition(headers, addition):
    """The headers of POST."""
    assert read_addition(headers) == addition


@pytest.mark.parametrize(
    "headers",
    [
        {"Stream-Seq": ""},
        {"Stream-Seq": "x" * 257},
        {"Stream-Seq": "ä"},
        *({name: WHO[name]} for name in WHO),
        *({**WHO, "Producer-Seq": value} for value in ("", "-1", "1.5", "x", "9" * 17)),
        *({**WHO, "Producer-Epoch": value} for value in ("", "-1")),
        {**WHO, "Producer-Id": ""},
    ],
)
def test_addition_refused(headers):
    """A producer says all three or none, as numbers from 0 on."""
    with pytest.raises(BadRequest):
        read_addition(headers)


@pytest.mark.parametrize(
    ("query", "reading"),
    [
        ({}, Reading(0, Live.NO, None, None)),
        ({"offset": "-1"}, Reading(0, Live.NO, None, None)),
        ({"offset": "now"}, Reading(None, Live.NO, None, None)),
        ({"offset": write_offset(12)}, Reading(12, Live.NO, None, None)),
        ({"offset": "12", "live": "sse"}, Reading(12, Live.SSE, None, None)),
        ({"offset": "now", "live": "long-poll", "cursor": "9", "wait": "1"},
         Reading(None, Live.LONG_POLL, 9, "1")),
        ({"offset": "-1", "cursor": "abc"}, Reading(0, Live.NO, None, None)),
        ({"offset": "-1", "cursor": "9" * 16}, Reading(0, Live.NO, None, None)),
    ],
)  # fmt: skip
def test_reading(query, reading):
    """The query of GET; a cursor of another server is none."""
    assert read_reading(query) == reading


@pytest.mark.parametrize(
    "query",
    [
        *(
            {"offset": text}
            for text in ("", "-2", "+1", "1.0", "x", "0_1", "1,2", "9" * 21, "\u0661")
        ),
        {"live": "sse"},
        {"live": "long-poll"},
        {"offset": "-1", "live": ""},
        {"offset": "-1", "live": "true"},
    ],
)
def test_reading_refused(query):
    """An offset that nobody handed out; a live read without one."""
    with pytest.raises(BadRequest):
        read_reading(query)


def test_offsets_sort_as_text():
    """And are read again as they were written."""
    offsets = [0, 9, 10, 99, 100, 2**63]
    texts = [write_offset(offset) for offset in offsets]
    assert texts == sorted(texts)
    assert [read_offset(text) for text in texts] == offsets


@pytest.mark.parametrize(
    ("known", "expected"), [(None, 50), (49, 50), (50, 57), (51, 58), (10**14, 10**14 + 7)]
)
def test_a_cursor_never_goes_back(known, expected):
    """It is the interval of now, or beyond the one that is known."""
    assert cursor(CURSOR_EPOCH + 50 * 20 + 19, known, 7) == expected


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [(None, PLAIN), ("Text/Plain", "text/plain"), ("application/json ; a=b", "application/json")],
)
def test_types_are_compared_without_parameters(content_type, expected):
    """And without case."""
    assert essence(content_type) == expected


@pytest.mark.parametrize("text", ["2030-01-31T12:00:00Z", "2030-01-31T12:00:00.250Z"])
def test_a_moment_is_written_as_it_is_read(text):
    """In UTC."""
    moment = read_creation({"Stream-Expires-At": text}).expires_at
    assert write_moment(moment) == text
