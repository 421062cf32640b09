"""A log as events: every byte once, however it is cut, and an id at which one can go on."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.protocols.events import Events, is_text

PIECES = st.lists(st.binary(max_size=20))


def parsed(stream):
    """What an EventSource makes of it: (id, data) of each event (HTML, 9.2.6)."""
    found, name, data = [], None, []
    for line in stream.decode().split("\n"):
        field, _, value = line.partition(": ")
        if not line and data:
            found.append((name, "\n".join(data)))
            data = []
        elif field == "id":
            name = int(value)
        elif field in ("data", "data:"):
            data.append(value)
    return found


def sent(pieces, *, text, offset=0):
    """The events of these pieces."""
    events = Events(offset, text=text)
    stream = b"".join(events.event(piece) for piece in pieces)
    return parsed(stream + events.event(b"", last=True))


@given(PIECES, st.integers(0, 2**60))
def test_bytes_arrive_whole(pieces, offset):
    """In base64, each piece an event."""
    found = sent(pieces, text=False, offset=offset)
    assert b"".join(base64.b64decode(data) for _, data in found) == b"".join(pieces)
    if found:
        assert found[-1][0] == offset + len(b"".join(pieces))


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_text_arrives_whole_wherever_it_is_cut(text, data):
    """But for carriage returns, which the format does not have."""
    whole = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=5)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    found = sent(pieces, text=True)
    wanted = text.replace("\r\n", "\n").replace("\r", "\n")
    assert "".join(value for _, value in found) == wanted


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 5))
def test_who_goes_on_at_an_id_gets_the_rest(text, size):
    """Neither a character nor a line's end is cut in two."""
    whole = text.encode()
    found = sent([whole[i : i + size] for i in range(0, len(whole), size)], text=True)
    for number, (name, _) in enumerate(found):
        before = "".join(value for _, value in found[: number + 1])
        after = sent([whole[name:]], text=True, offset=name)
        rest = "".join(value for _, value in after)
        assert before + rest == text.replace("\r\n", "\n").replace("\r", "\n")


@given(PIECES)
def test_what_is_no_text_is_replaced(pieces):
    """A log that is said to be text and is not breaks nothing."""
    found = sent(pieces, text=True)
    assert not found or found[-1][0] == len(b"".join(pieces))


def test_the_last_event():
    """Its name says why, its id where."""
    events = Events(5, text=True)
    events.event(b"abc")
    assert events.end("closed") == b"event: closed\nid: 8\ndata: 8\n\n"


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (None, False),
        ("application/octet-stream", False),
        ("text/plain; charset=utf-8", True),
        ("Application/JSON", True),
        ("application/problem+json", True),
        ("image/svg+xml", False),
    ],
)
def test_what_is_text(content_type, text):
    """By its type only."""
    assert is_text(content_type) is text
