"""The events of a stream, byte for byte."""

import pytest

from filepipe.protocols.stream_events import (
    bytes_event,
    control_event,
    text_event,
    whole_characters,
)


@pytest.mark.parametrize(
    ("text", "event"),
    [
        ("a", b"event: data\ndata:a\n\n"),
        (" a", b"event: data\ndata:  a\n\n"),
        ("a\nb\r\nc\rd\n", b"event: data\ndata:a\ndata:b\ndata:c\ndata:d\ndata:\n\n"),
        ("\n\nevent: control\n", b"event: data\ndata:\ndata:\ndata:event: control\ndata:\n\n"),
    ],
)
def test_text(text, event):
    """A line of text is never a line of the format."""
    assert text_event(text) == event


def test_bytes():
    """In base64."""
    assert bytes_event(b"\x00\xff") == b"event: data\ndata:AP8=\n\n"


@pytest.mark.parametrize(
    ("up_to_date", "closed", "text"),
    [
        (False, False, b'"streamCursor":"3"'),
        (True, False, b'"streamCursor":"3","upToDate":true'),
        (True, True, b'"upToDate":true,"streamClosed":true'),
    ],
)
def test_control(up_to_date, closed, text):
    """Where to go on; who is at the end of a closed stream needs no cursor."""
    event = control_event(5, 3, up_to_date=up_to_date, closed=closed)
    start = b'event: control\ndata:{"streamNextOffset":"00000000000000000005",'
    assert event == start + text + b"}\n\n"


@pytest.mark.parametrize("text", ["a", "aä", "a€", "a𐍈"])
def test_a_character_is_not_cut(text):
    """What is there of it waits for the rest."""
    data = text.encode()
    assert whole_characters(data) == len(data)
    for size in range(2, len(data)):
        assert whole_characters(data[:size]) == 1


@pytest.mark.parametrize("data", [b"", b"\x80\x80\x80\x80", b"a\x80"])
def test_what_is_no_character_does_not_wait(data):
    """It would wait for ever."""
    assert whole_characters(data) == len(data)
