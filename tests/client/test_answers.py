"""What answers mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.client import Busy, NotThere, RangeRefused, Refused
from filepipe.client.answers import (
    MAX_SENTENCE,
    content_range,
    metadata,
    printable,
    refusal,
    strong_etag,
    whole_number,
)


@pytest.mark.parametrize(
    ("etag", "expected"),
    [('"a"', '"a"'), ('""', '""'), ('W/"a"', None), ("a", None), ('"a"b"', None), ("", None)],
)
def test_strong_etag(etag: str, expected: str | None) -> None:
    """Only a quoted ETag without W/ names one sequence of bytes."""
    assert strong_etag({"ETag": etag}) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), ("12", 12), ("-1", None), ("1 ", None), ("", None)]
)
def test_whole_number(text: str, expected: int | None) -> None:
    """A count of bytes is digits."""
    assert whole_number(text) == expected
    assert whole_number(None) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("bytes 5-9/10", (5, 10)),
        ("bytes 5-9007199254740991/*", (5, None)),
        ("bytes */10", (None, 10)),
        ("bytes */*", (None, None)),
        ("bytes 5-9", (None, None)),
        ("lines 5-9/10", (None, None)),
        (None, (None, None)),
    ],
)
def test_content_range(header: str | None, expected: tuple[int | None, int | None]) -> None:
    """First position and whole length, each where it is said."""
    assert content_range(header) == expected


def test_metadata_of_nothing() -> None:
    """Headers that say nothing leave everything unknown."""
    about = metadata({})
    assert (about.length, about.etag, about.filename) == (None, None, None)
    assert (about.content_type, about.offset) == (None, None)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, NotThere), (409, Busy), (416, RangeRefused), (400, Refused), (503, Refused)],
)
def test_refusal_has_a_class(status: int, kind: type[Refused]) -> None:
    """The statuses that callers tell apart have their own class."""
    made = refusal(status, {"Content-Type": "text/plain"}, b"no\nmore\n")
    assert type(made) is kind
    assert (made.status, made.sentence, str(made)) == (status, "no", f"no ({status})")


def test_range_refused_knows_the_length() -> None:
    """A 416 tells how long the object is, and may tell which."""
    made = refusal(416, {"Content-Range": "bytes */10", "ETag": '"x"'}, b"")
    assert isinstance(made, RangeRefused)
    assert (made.length, made.etag) == (10, '"x"')


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (502, {"Content-Type": "text/html"}, b"<h1>Oops</h1>", "bad gateway"),
        (400, {}, b"  \n", "bad request"),
        (599, {}, b"", "the server refused without a reason"),
        (400, {}, b"\x1b[31mred\x07\n", "[31mred"),
        (400, {}, b"\xff", "\ufffd"),
        (301, {"Location": "https://h/\x1b"}, b"", "the server points to https://h/: use it"),
    ],
)
def test_sentence(status: int, headers: dict[str, str], body: bytes, expected: str) -> None:
    """The server's first line if it is text, else the name of the status."""
    assert refusal(status, headers, body).sentence.startswith(expected.removesuffix("use it"))


@given(st.text())
def test_printable_is_harmless(text: str) -> None:
    """No text of a server can steer a terminal or fill it."""
    shown = printable(text)
    assert len(shown) <= MAX_SENTENCE
    assert all(c.isprintable() or c == "\n" for c in shown)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"error": "no room", "status": 507}', "no room"),
        (b'{"error": "one\\ntwo"}', "one"),
        (b'{"error": 7}', "insufficient storage"),
        (b"[" * 9999, "insufficient storage"),
        (b"no json", "insufficient storage"),
    ],
)
def test_a_refusal_that_is_json(body: bytes, expected: str) -> None:
    """Its sentence is read, and what is none is not shown."""
    assert refusal(507, {"Content-Type": "application/json"}, body).sentence == expected


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("999999", 3600.0), ("soon", 0.0)])
def test_when_to_ask_again(text: str, seconds: float) -> None:
    """The server says it in seconds, and is not believed beyond an hour."""
    assert refusal(503, {"Retry-After": text}, b"").retry_after == seconds
