"""Sizes and durations: what people write, and nothing that only looks like it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from filepipe.sizes import (
    MAX_DURATION,
    MAX_SIZE,
    format_duration,
    format_size,
    parse_duration,
    parse_size,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1048576", 2**20),
        ("1K", 2**10),
        ("1m", 2**20),
        (" 1 G ", 2**30),
        ("1T", 2**40),
        ("1P", 2**50),
        ("1kb", 2**10),
        ("1 MiB", 2**20),
        ("1.5M", 3 * 2**19),
        ("5 bytes", 5),
        ("1 byte", 1),
        ("7b", 7),
        ("2 megabytes", 2**21),
        ("1 gibibyte", 2**30),
        (str(MAX_SIZE), MAX_SIZE),
    ],
)
def test_size_is_read_in_powers_of_1024(text: str, size: int) -> None:
    """Units in any case and with spaces around count in powers of 1024."""
    assert size == parse_size(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "-1",
        "+1",
        "-1M",
        "nan",
        "inf",
        "1e5",
        "0x10",
        "1_000",
        "1,5M",
        "M",
        "5 bananas",
        "1 Mega",
        "1X",
        "1M 2K",
        "0.5",
        "1.5 bytes",
        ".5M",
        "5.M",
        "٣",
        str(MAX_SIZE + 1),
        "9999999999999999999P",
        "9" * 5000,
    ],
)
def test_other_text_is_no_size(text: str) -> None:
    """Anything else is refused with one sentence."""
    with pytest.raises(ValueError, match=r"is not a size|is more than a file can hold"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        ("30", 30.0),
        ("0.5", 0.5),
        ("500ms", 0.5),
        (" 30 s ", 30.0),
        ("5m", 300.0),
        ("1.5h", 5400.0),
        ("1 day", 86400.0),
        ("2 Minutes", 120.0),
    ],
)
def test_duration_is_read_in_seconds(text: str, seconds: float) -> None:
    """A plain number is seconds; units may be spelled out."""
    assert seconds == parse_duration(text)


@pytest.mark.parametrize(
    "text",
    ["", "-1", "+1", "nan", "inf", "1e3", "s", "1 age", "5m 3s", "1:30", "٣", "101y", "9" * 400],
)
def test_other_text_is_no_duration(text: str) -> None:
    """Anything else, and more than a hundred years, is refused with one sentence."""
    with pytest.raises(ValueError, match=r"is not a duration|more than a hundred years"):
        parse_duration(text)


@given(st.text())
def test_any_text_is_read_within_bounds_or_refused(text: str) -> None:
    """No text makes the parsers fail in another way or return what no limit can be."""
    with contextlib.suppress(ValueError):
        assert 0 <= parse_size(text) <= MAX_SIZE
    with contextlib.suppress(ValueError):
        assert 0 <= parse_duration(text) <= MAX_DURATION


@given(st.integers(0, MAX_SIZE))
def test_plain_number_is_itself(size: int) -> None:
    """Digits alone are bytes, without loss."""
    assert size == parse_size(str(size))


def test_sizes_for_people() -> None:
    """Sizes are shown in binary units."""
    assert format_size(0) == "0 bytes"
    assert format_size(1536) == "1.5 KiB"
    assert format_size(2**40) == "1 TiB"


def test_durations_for_people() -> None:
    """Durations are shown in two units at most."""
    assert format_duration(1) == "1 second"
    assert format_duration(3600) == "1 hour"
    assert format_duration(3661) == "1 hour and 1 minute"
