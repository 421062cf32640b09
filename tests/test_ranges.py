"""Byte ranges: read, resolved and written as RFC 9110 and RFC 8673 want them."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.errors import RangeNotSatisfiable
from filepipe.ranges import (
    GROWING_END,
    ByteRange,
    content_range,
    parse_range,
    resolve,
    unsatisfied,
)

POSITIONS = st.integers(0, 10**19 - 1)


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("bytes=0-0", ByteRange(0, 0, None)),
        ("bytes=5-", ByteRange(5, None, None)),
        ("bytes=-5", ByteRange(None, None, 5)),
        ("BYTES = 1-2 ", ByteRange(1, 2, None)),
        ("bytes=, 1-2 ,", ByteRange(1, 2, None)),
        (f"bytes=7-{GROWING_END}", ByteRange(7, GROWING_END, None)),
        ("bytes=9999999999999999999-", ByteRange(9999999999999999999, None, None)),
    ],
)
def test_one_range_is_read(header: str, wanted: ByteRange) -> None:
    """The three forms of one range, with the white space that is allowed."""
    assert wanted == parse_range(header)


@pytest.mark.parametrize(
    "header", [None, "", "items=0-5", "bytes 0-5", "0-5", "bytes=0-1,3-4", "bytes=0-,-1"]
)
def test_whole_object_answers(header: str | None) -> None:
    """No range, another unit and several ranges all get everything."""
    assert parse_range(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-4",
        "bytes=+1-2",
        "bytes=1",
        "bytes=1-2-3",
        "bytes=1 - 2",
        "bytes=0x1-",
        "bytes=٣-",
        "bytes=1_0-",
        "bytes=0-1,x",
        "bytes=10000000000000000000-",
        "bytes=-10000000000000000000",
    ],
)
def test_malformed_range_refused(header: str) -> None:
    """A byte range that cannot be read is refused, and no length is claimed."""
    with pytest.raises(RangeNotSatisfiable, match="malformed") as refusal:
        parse_range(header)
    assert refusal.value.length is None


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (ByteRange(0, None, None), (0, 10)),
        (ByteRange(3, 5, None), (3, 6)),
        (ByteRange(3, 99, None), (3, 10)),
        (ByteRange(9, 9, None), (9, 10)),
        (ByteRange(None, None, 4), (6, 10)),
        (ByteRange(None, None, 40), (0, 10)),
    ],
)
def test_range_resolves_within_object(wanted: ByteRange, expected: tuple[int, int]) -> None:
    """A range is clipped to the object."""
    assert expected == resolve(wanted, 10)


@pytest.mark.parametrize(
    ("wanted", "length"),
    [
        (ByteRange(10, None, None), 10),
        (ByteRange(11, 12, None), 10),
        (ByteRange(0, None, None), 0),
        (ByteRange(None, None, 0), 10),
        (ByteRange(None, None, 5), 0),
    ],
)
def test_range_outside_object_refused(wanted: ByteRange, length: int) -> None:
    """What does not overlap the object is refused with the object's length."""
    with pytest.raises(RangeNotSatisfiable) as refusal:
        resolve(wanted, length)
    assert length == refusal.value.length


@given(st.one_of(st.none(), POSITIONS), st.one_of(st.none(), POSITIONS), st.integers(0, 2**63))
def test_range_never_leaves_object(first: int | None, last: int | None, length: int) -> None:
    """Whatever is asked, the answer is a non-empty piece of the object or a refusal."""
    header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
    try:
        wanted = parse_range(header)
        assert wanted is not None
        start, stop = resolve(wanted, length)
    except RangeNotSatisfiable:
        return
    assert 0 <= start < stop <= length
    if first is not None:
        assert first == start
        assert last is None or stop <= last + 1


@given(st.text())
def test_any_header_is_read_or_refused(header: str) -> None:
    """No header makes the parser fail in another way."""
    with contextlib.suppress(RangeNotSatisfiable):
        parse_range("bytes=" + header)


def test_content_range_of_known_length() -> None:
    """The last position is inclusive on the wire."""
    assert content_range(3, 6, 10) == "bytes 3-5/10"


def test_content_range_of_closed_piece_of_unknown_length() -> None:
    """A piece with both ends can be named before the length is known."""
    assert content_range(3, 6, None) == "bytes 3-5/*"


@pytest.mark.parametrize("stop", [None, GROWING_END, GROWING_END + 1])
def test_content_range_of_growing_object(stop: int | None) -> None:
    """An open end of an unknown length is the largest number (RFC 8673)."""
    assert content_range(7, stop, None) == "bytes 7-9007199254740991/*"


def test_unsatisfied_names_length() -> None:
    """A 416 tells how long the object is."""
    assert unsatisfied(10) == "bytes */10"
